/**
 * The long verification, `npm run test:long`: clean seeds in both layouts, then every planted bug until a
 * seed catches it. It takes hours; what was done is kept in a file, and the same command goes on there.
 *
 *   npm run test:long -- [--part clean|planted] [--from 1] [--seeds 20] [--seconds 60] [--out FILE]
 *
 * Results are of one build: with another one everything is run anew. Exit code 1 when a clean run was
 * not clean, or a bug was not caught within its seeds.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { PLANTED_BUGS, type PlantedBug } from './bugs.ts';
import { DIST, plant } from './plant.ts';
import { caughtBy, runVerification, type Told } from './verification.ts';

/** A planted bug has to be caught within so many seeds. */
const CATCH_SEEDS = 10;
const LAYOUTS: readonly SurvivalGoal[] = ['zone', 'region'];

interface Result {
  /** 'clean', or the bug's name. */
  readonly run: string;
  readonly layout: SurvivalGoal;
  readonly seed: number;
  readonly seconds: number;
  /** Of a clean run: undefined. Otherwise what was found. */
  readonly found: string | undefined;
  readonly clean: boolean;
  /** What had not recovered at the end. */
  readonly unrecovered: readonly string[];
  readonly operations: number;
  readonly faults: number;
  readonly moves: string;
  readonly tookMs: number;
  readonly atUtc: string;
}

interface Kept {
  readonly build: string;
  readonly results: Result[];
}

/** Of everything that is compiled for the platform. */
async function buildOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js'));
  for (const name of files.toSorted()) hash.update(name).update(await readFile(join(folder, name)));
  return hash.digest('hex').slice(0, 12);
}

async function keptIn(file: string, build: string): Promise<Kept> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const kept = text === undefined ? undefined : (JSON.parse(text) as Kept);
  return kept?.build === build ? kept : { build, results: [] };
}

class Campaign {
  readonly #file: string;
  readonly #kept: Kept;
  readonly #seconds: number;
  readonly #signal: AbortSignal;
  failed = 0;

  constructor(parts: { file: string; kept: Kept; seconds: number; signal: AbortSignal }) {
    this.#file = parts.file;
    this.#kept = parts.kept;
    this.#seconds = parts.seconds;
    this.#signal = parts.signal;
  }

  async clean(from: number, seeds: number): Promise<void> {
    const program = join(DIST, 'src', 'cli', 'main.js');
    for (let seed = from; seed <= seeds; seed += 1) {
      for (const layout of LAYOUTS) {
        const { clean } = await this.#once({ run: 'clean', program, layout, seed });
        if (!clean) this.failed += 1;
      }
    }
  }

  async catches(bug: PlantedBug): Promise<void> {
    const program = await plant(bug);
    const [layout] = bug.layouts;
    for (let seed = 1; seed <= CATCH_SEEDS; seed += 1) {
      const faults = bug.faults?.join();
      const asked = { run: bug.name, program, layout, seed, faults };
      const { found, unrecovered } = await this.#once(asked);
      if (found !== undefined || (bug.staysBroken === true && unrecovered.length > 0)) return;
    }
    console.log(`${bug.name}: NOT CAUGHT in ${String(CATCH_SEEDS)} seeds`);
    this.failed += 1;
  }

  /** Of this build and already there: not again. */
  async #once(asked: {
    readonly run: string;
    readonly program: string;
    readonly layout: SurvivalGoal;
    readonly seed: number;
    readonly faults?: string | undefined;
  }): Promise<Result> {
    const { run, program, layout, seed, faults = 'all' } = asked;
    const seconds = this.#seconds;
    const same = (one: Result): boolean =>
      one.run === run && one.layout === layout && one.seed === seed && one.seconds === seconds;
    const before = this.#kept.results.find(same);
    if (before !== undefined) return before;
    this.#signal.throwIfAborted();
    const signal = this.#signal;
    const told = await runVerification({ program, layout, seed, seconds, faults, signal });
    const result: Result = {
      ...{ run, layout, seed, seconds, found: caughtBy(told), ...countsOf(told) },
      atUtc: new Date().toISOString(),
    };
    console.log(lineOf(result));
    this.#kept.results.push(result);
    await mkdir(dirname(this.#file), { recursive: true });
    await writeFile(this.#file, `${JSON.stringify(this.#kept, undefined, 2)}\n`);
    return result;
  }
}

function countsOf(
  told: Told,
): Pick<Result, 'clean' | 'unrecovered' | 'operations' | 'faults' | 'moves' | 'tookMs'> {
  const { clean, unrecovered, operations, injected, moves, tookMs } = told;
  const played = `${String(moves.played)} of ${String(moves.planned)}`;
  return { clean, unrecovered, operations, faults: injected.length, moves: played, tookMs };
}

function lineOf(result: Result): string {
  const { run, layout, seed, clean, found, unrecovered, operations, faults, tookMs } = result;
  const left = unrecovered.length === 0 ? 'shows nothing' : unrecovered.join('; ');
  const end = clean ? 'clean' : (found ?? left);
  const did = `${String(operations)} operations, ${String(faults)} faults`;
  return `${run} ${layout} seed ${String(seed)}: ${end} (${did}, ${(tookMs / 1_000).toFixed(0)} s)`;
}

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '60' },
    bug: { type: 'string', multiple: true },
    out: { type: 'string', default: join(DIST, '..', 'bench', 'results', 'verify.json') },
  },
});
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupted.abort(new Error('interrupted: the same command goes on where it was'));
  });
}
const kept = await keptIn(values.out, await buildOf(join(DIST, 'src')));
const campaign = new Campaign({
  ...{ file: values.out, kept, seconds: Number(values.seconds), signal: interrupted.signal },
});
const bugs = PLANTED_BUGS.filter(({ name }) => values.bug?.includes(name) ?? true);
console.log(`results: ${relative(process.cwd(), values.out)}`);
if (values.part !== 'clean') for (const bug of bugs) await campaign.catches(bug);
if (values.part !== 'planted') await campaign.clean(Number(values.from), Number(values.seeds));
const failures = String(campaign.failed);
console.log(campaign.failed === 0 ? 'all as it should be' : `${failures} not as they should be`);
process.exitCode = campaign.failed === 0 ? 0 : 1;
