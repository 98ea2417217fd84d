/** Counts of a run, by region and class, and the recent seconds for the progress line. No IO. */
import type { Fault } from './client.ts';
import { Samples } from './latency.ts';
import { REQUEST_CLASSES, type RequestClass } from './mix.ts';

export interface ClassTally {
  readonly region: string;
  readonly class: RequestClass;
  /** Latencies of answered requests, measured part only; refusals and errors have none. */
  readonly samples: Samples;
  requests: number;
  refused: number;
  retries: number;
  readonly errors: Map<string, number>;
}

export interface Outcome {
  readonly region: string;
  readonly class: RequestClass;
  /** From the planned arrival. */
  readonly latencyMs: number;
  /** False during warm-up. */
  readonly measured: boolean;
  readonly result:
    | { readonly kind: 'done'; readonly attempts: number }
    | { readonly kind: 'refused' }
    | { readonly kind: 'failed'; readonly code: string };
}

export interface CountedFault extends Fault {
  readonly times: number;
}

/** A request that was not answered. */
export interface Loss {
  readonly region: string;
  readonly code: string;
  /** Since 1970: when that was noticed. */
  readonly atMs: number;
}

/** More are counted, and not kept. */
const LOSSES_MAX = 2_000;

export interface RecentPart {
  readonly answered: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

export class Tally {
  readonly classes: readonly ClassTally[];
  /** Retries inside the servers during the run, by code. */
  readonly retriesByCode = new Map<string, number>();
  readYourWritesChecks = 0;
  readYourWritesViolations = 0;
  readonly losses: Loss[] = [];
  lossesTotal = 0;
  readonly #faults = new Map<string, CountedFault>();
  readonly #byKey = new Map<string, ClassTally>();
  readonly #recent = new Samples();
  readonly #lastRetries = new Map<string, Readonly<Record<string, number>>>();

  constructor(regions: readonly string[]) {
    this.classes = regions.flatMap((region) =>
      REQUEST_CLASSES.map((name): ClassTally => {
        const tally: ClassTally = {
          region,
          class: name,
          samples: new Samples(),
          requests: 0,
          refused: 0,
          retries: 0,
          errors: new Map(),
        };
        this.#byKey.set(`${region}/${name}`, tally);
        return tally;
      }),
    );
  }

  add(outcome: Outcome): void {
    const tally = this.#byKey.get(`${outcome.region}/${outcome.class}`);
    if (tally === undefined) throw new Error(`no class ${outcome.class} in ${outcome.region}`);
    const { result } = outcome;
    tally.requests += 1;
    this.#recent.add(outcome.latencyMs);
    if (result.kind === 'done') {
      tally.retries += result.attempts - 1;
      if (outcome.measured) tally.samples.add(outcome.latencyMs);
    } else if (result.kind === 'refused') {
      tally.refused += 1;
    } else {
      count(tally.errors, result.code, 1);
    }
  }

  /** A server's counters only rise; its first report is where we began to watch. */
  noteRetries(server: string, retries: Readonly<Record<string, number>>): void {
    const last = this.#lastRetries.get(server);
    const highest: Record<string, number> = { ...last };
    for (const [code, value] of Object.entries(retries)) {
      const before = last?.[code] ?? (last === undefined ? value : 0);
      // Answers overtake each other.
      if (value > before) count(this.retriesByCode, code, value - before);
      highest[code] = Math.max(before, value);
    }
    this.#lastRetries.set(server, highest);
  }

  /** Of every answer, those of requests that were sent again too. */
  noteFault(fault: Fault): void {
    const key = JSON.stringify(fault);
    this.#faults.set(key, { ...fault, times: (this.#faults.get(key)?.times ?? 0) + 1 });
  }

  noteLoss(loss: Loss): void {
    this.lossesTotal += 1;
    if (this.losses.length < LOSSES_MAX) this.losses.push(loss);
  }

  get faults(): readonly CountedFault[] {
    return [...this.#faults.values()];
  }

  get errors(): number {
    return this.classes.reduce((sum, { errors }) => sum + total(errors), 0);
  }

  /** What was answered since the last call. */
  takeRecent(): RecentPart {
    const [p50 = null, p99 = null] = this.#recent.percentiles([0.5, 0.99]);
    const answered = this.#recent.count;
    this.#recent.clear();
    return { answered, p50, p99 };
  }
}

export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, value) => sum + value, 0);
}

export function count(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
