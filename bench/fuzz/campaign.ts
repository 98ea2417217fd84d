/** A run of cases, each with a seed of its own, so that one that fails can be run again alone. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { seededRandom, type Random } from '../../src/kernel/random.ts';
import { startEdgeFuzz, type EdgeFuzz } from './edge.ts';
import { PARSERS, runParser } from './parsers.ts';

export interface CampaignOptions {
  readonly seed: number;
  readonly forMs: number;
  /** Run this case alone. */
  readonly only?: number;
  readonly onProgress?: (line: string) => void;
}

export interface CampaignReport {
  readonly cases: number;
  readonly seconds: number;
  /** Answers by status, and parser results by name. */
  readonly counts: Readonly<Record<string, number>>;
  /** Answers of the gateway with hostile clients that were 2xx, of all it gave. */
  readonly servedShare: number;
  /** Of live objects after collection, idle after the warm-up to idle at the end. */
  readonly heapGrownMb: number;
  /** TCP handles, likewise. */
  readonly handlesGrown: number;
  readonly findings: readonly string[];
}

/** Connections at once. */
const LANES = 8;
/** Parser cases for each connection: they are that much cheaper. */
const PARSER_CASES = 20;
const CANARY_EVERY = 50;
const FINDINGS_MAX = 20;
const FINDING_LENGTH_MAX = 6_000;
const PROGRESS_MS = 30_000;
/** Of the time: then caches and pools have what they keep. */
const WARM_UP_SHARE = 0.2;
/** Live objects may not grow by more: the caches' bounds are far below. */
const HEAP_GROWTH_MB_MAX = 12;
/** Both ends of a connection to an app server for each lane are kept for the next request. */
const HANDLES_GROWTH_MAX = 4 * LANES;

/** Cases are numbered from 0; the hash keeps neighbours apart (Knuth's multiplicative constant). */
export function caseRandom(seed: number, number: number): Random {
  return seededRandom((seed ^ Math.imul(number + 1, 0x9e3779b1)) >>> 0);
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

interface Standing {
  readonly heapMb: number;
  readonly handles: number;
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #edge: EdgeFuzz;
  readonly #collect = collector();
  readonly counts: Record<string, number> = {};
  readonly findings: string[] = [];
  next = 0;
  #toldAtMs = performance.now();

  constructor(options: CampaignOptions, edge: EdgeFuzz) {
    this.#options = options;
    this.#edge = edge;
  }

  /** A case number of -1: of the run as a whole. */
  found(number: number, error: unknown): void {
    if (this.findings.length >= FINDINGS_MAX) return;
    const causes: string[] = [];
    for (let at = error; at instanceof Error; at = at.cause) causes.push(at.stack ?? at.message);
    const text = (causes.length === 0 ? String(error) : causes.reverse().join('\n')).slice(
      0,
      FINDING_LENGTH_MAX,
    );
    this.findings.push(`case ${String(number)} of seed ${String(this.#options.seed)}: ${text}`);
  }

  async run(number: number): Promise<void> {
    const random = caseRandom(this.#options.seed, number);
    try {
      for (let i = 0; i < PARSER_CASES; i += 1) {
        const target = PARSERS[random.below(PARSERS.length)];
        if (target !== undefined) this.#count(`${target.name}: ${await runParser(target, random)}`);
      }
      if (number % 4 === 0) {
        for (const status of await this.#edge.upstreams(random)) {
          this.#count(`hostile app server: ${status}`);
        }
      } else {
        for (const status of await this.#edge.clients(random)) this.#count(status);
      }
      if (number % CANARY_EVERY === 0) await this.#edge.canary();
    } catch (error) {
      this.found(number, error);
    }
  }

  /** Until that time; every case is bounded, so that the end is at most seconds late. */
  async runUntil(endMs: number): Promise<void> {
    const lane = async (): Promise<void> => {
      while (performance.now() < endMs && this.findings.length < FINDINGS_MAX) {
        const number = this.next;
        this.next += 1;
        await this.run(number);
        this.#tell();
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  /** When idle. */
  async standing(): Promise<Standing> {
    await this.#edge.canary();
    await this.#edge.settled();
    this.#collect();
    this.#collect();
    const handles = process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP'));
    return { heapMb: process.memoryUsage().heapUsed / 1024 / 1024, handles: handles.length };
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #tell(): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldAtMs < PROGRESS_MS) return;
    this.#toldAtMs = nowMs;
    this.#options.onProgress?.(
      `${String(this.next)} cases, ${String(this.findings.length)} findings`,
    );
  }
}

/** Share of 2xx among the statuses of the gateway with hostile clients. */
function servedShare(counts: Readonly<Record<string, number>>): number {
  const statuses = Object.entries(counts).filter(([name]) => /^\d{3}$/.test(name));
  const total = (rows: typeof statuses): number => rows.reduce((sum, [, times]) => sum + times, 0);
  return total(statuses.filter(([name]) => name.startsWith('2'))) / total(statuses);
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { forMs, only } = options;
  const startedAtMs = performance.now();
  const edge = await startEdgeFuzz();
  const campaign = new Campaign(options, edge);
  const crashed = (error: unknown): void => {
    campaign.found(-1, error);
  };
  process.on('uncaughtException', crashed);
  process.on('unhandledRejection', crashed);
  const grown = { heapMb: 0, handles: 0 };
  try {
    if (only !== undefined) await campaign.run(only);
    else await campaign.runUntil(startedAtMs + forMs * WARM_UP_SHARE);
    const before = await campaign.standing();
    if (only === undefined) await campaign.runUntil(startedAtMs + forMs);
    const after = await campaign.standing();
    grown.heapMb = after.heapMb - before.heapMb;
    grown.handles = after.handles - before.handles;
  } catch (error) {
    campaign.found(-1, error);
  }
  try {
    await edge[Symbol.asyncDispose]();
  } catch (error) {
    crashed(error);
  }
  process.off('uncaughtException', crashed);
  process.off('unhandledRejection', crashed);
  if (grown.heapMb > HEAP_GROWTH_MB_MAX) {
    campaign.found(-1, `${grown.heapMb.toFixed(1)} MB more are live`);
  }
  if (grown.handles > HANDLES_GROWTH_MAX) {
    campaign.found(-1, `${String(grown.handles)} more handles are open`);
  }
  const { counts, findings, next } = campaign;
  return {
    cases: only === undefined ? next : 1,
    seconds: (performance.now() - startedAtMs) / 1_000,
    ...{ counts, findings, servedShare: servedShare(counts) },
    heapGrownMb: grown.heapMb,
    handlesGrown: grown.handles,
  };
}
