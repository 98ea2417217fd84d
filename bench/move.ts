/**
 * How long writes wait while a range moves to another group and back, with the default distances: ranges of
 * 10 and of 100 MB, twenty moves each, written to all the while by library clients of both regions.
 *
 *   npm run bench -- move [moves] [zone|region]
 *
 * A pause is the longest time without an acknowledged write in the range, from the beginning of its move to
 * the end, whatever it comes from; beside each stand the phase of the move in which it began, and for how long of it
 * the driver itself stood still. The table is written to bench/results/move.json too. Exit code 1 when the aim is missed, or a
 * request failed.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OperationEvent } from '../src/control/operation.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { SurvivalGoal } from '../src/topology/survival.ts';
import { libraryDoor } from '../src/verify/doors.ts';
import { spreadOf } from './cluster/figures.ts';
import { RESULTS } from './cluster/results-folder.ts';
import { Load } from './failover/load.ts';
import { layoutsNamed, overLayouts } from './failover/over-layouts.ts';
import type { Stand } from './failover/stand.ts';
import { formatTable, rowOf, type Aim, type Row } from './failover/table.ts';
import { Standstill } from './measuring/standstill.ts';
import { interruption } from './measuring/interrupted.ts';

const SIZES_MB = [10, 100];
const LOAD = { writers: 8, thinkMs: 5 };
const CALM_MS = 1_000;
/** Told with the phases around it. */
const SLOW_MS = 400;
const FILLER_ROWS = 20_000;
/** With region survival each step takes round trips to the quorum: told, without an aim. */
const AIMS: Readonly<Record<SurvivalGoal, Aim>> = {
  zone: { max: 500 },
  region: { max: Infinity },
};

const [movesText = '20', only] = process.argv.slice(2);
const moves = Number(movesText);
if (!Number.isSafeInteger(moves) || moves < 1) throw new Error('how many moves?');
const layouts = layoutsNamed(only);

const signal = interruption(() => {
  console.log('ending: the cluster is taken down first');
});
const rows: Row[] = [];
/** Of each pause: how long the driver itself stood still. */
const stoodStillMs: Record<string, readonly number[]> = {};
const tookMs: Record<string, unknown> = {};
const failures: string[] = [];

/** Bytes of the range's tables, without their indexes: what is copied. */
async function sizeOf(stand: Stand, group: string, range: string): Promise<number> {
  const { leader } = await stand.groups.open(group);
  const [row] = await stand.servers.query<{ bytes: string }>(
    leader,
    `SELECT sum(pg_table_size(c.oid)) AS bytes FROM pg_class c
     WHERE c.relnamespace = '${range}'::regnamespace AND c.relkind = 'r'`,
  );
  return Number(row?.bytes);
}

async function measure(stand: Stand): Promise<void> {
  const { layout, cluster, groups, accounts } = stand;
  const [from = '', to = ''] = groups.names;
  const [account = ''] = accounts[from] ?? [];
  const { range } = await cluster.observer.locate(account);
  const homes = [from, to].map((name) => groups.seen(name).homeRegion);
  const doors = cluster.placed
    .filter(({ region }) => homes.includes(region))
    .map(({ db }) => libraryDoor(db));
  let filled = 0;
  for (const megabytes of SIZES_MB) {
    while ((await sizeOf(stand, from, range)) < megabytes * 1e6) {
      filled += 1;
      await cluster.observer.account(account).transaction(
        (tx) =>
          tx.query(
            `INSERT INTO inserted (account_id, id)
             SELECT $1, 'filler.' || $2 || '.' || n || '.' || md5(n::text) FROM generate_series(1, $3::int) n`,
            [account, String(filled), FILLER_ROWS],
          ),
        { timeoutMs: 60_000 },
      );
    }
    const what = `move of ${((await sizeOf(stand, from, range)) / 1e6).toFixed(0)} MB`;
    const [pauses, whole]: [number[], number[]] = [[], []];
    const during: string[] = [];
    const stood: number[] = [];
    using standstill = new Standstill();
    await using load = new Load({ doors, accounts: [account], ...LOAD });
    await load.next();
    for (let round = 0; round < moves; round += 1) {
      await systemClock.sleep(CALM_MS);
      const startedMs = performance.now();
      const phases: { readonly phase: string; readonly sinceMs: number }[] = [];
      const onEvent = (event: OperationEvent): void => {
        if (event.kind !== 'phase') return;
        phases.push({ phase: event.phase, sinceMs: performance.now() });
      };
      const request = { kind: 'move', range, to: round % 2 === 0 ? to : from } as const;
      await cluster.platform.operate(request, { onEvent });
      whole.push(performance.now() - startedMs);
      await load.next();
      const { pauseMs, sinceMs } = load.longestPause(startedMs, performance.now());
      pauses.push(pauseMs);
      stood.push(Math.round(standstill.within(sinceMs, sinceMs + pauseMs)));
      during.push(phases.findLast((one) => one.sinceMs <= sinceMs)?.phase ?? 'before');
      if (pauseMs > SLOW_MS) {
        const at = (ms: number): string => (ms - sinceMs).toFixed(0);
        const told = phases.map((one) => `${one.phase} ${at(one.sinceMs)}`);
        console.log(`${layout}: a pause of ${pauseMs.toFixed(0)} ms; since: ${told.join(', ')}`);
      }
    }
    // An even number of moves ends where it began; the next size is filled there.
    if (moves % 2 === 1) await cluster.platform.operate({ kind: 'move', range, to: from });
    const failed = Object.entries(load.failed);
    if (failed.length > 0) failures.push(`${layout}, ${what}: ${JSON.stringify(failed)}`);
    const row = rowOf({ layout, what, aim: AIMS[layout] }, pauses);
    rows.push(row);
    tookMs[`${layout}, ${what}`] = spreadOf(whole);
    stoodStillMs[`${layout}, ${what}`] = stood;
    const told = row.values.map(
      (ms, round) => `${String(ms)} (${String(stood[round])}) ${during[round] ?? ''}`,
    );
    console.log(`${layout}: ${what}: pauses, ms (driver stood still) since: ${told.join(', ')}`);
    console.log(`${layout}: ${what}: in all ${whole.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  }
}

const versions = await overLayouts(layouts, signal, measure);

for (const { layout, what, met } of rows) if (!met) failures.push(`${layout}: ${what}: missed`);
const measuredAt = new Date(systemClock.now()).toISOString();
const result = { measuredAt, versions, moves, failures, tookMs, stoodStillMs, rows };
await mkdir(RESULTS, { recursive: true });
await writeFile(join(RESULTS, 'move.json'), `${JSON.stringify(result, undefined, 2)}\n`);
console.log(['', formatTable(rows), ''].join('\n'));
for (const failure of failures) console.log(`FAILED: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
