/** Traces run past those who choose homes: what clients waited, what was moved, and to and fro. */
import type { Distances } from '../../src/placement/preference.ts';
import type { Trace } from './traces.ts';

export interface Choice {
  readonly account: number;
  readonly to: number;
}

/** Chooses at the end of each hour, from what it keeps itself. */
export interface Chooser {
  /** Told of each hour, also of those in which nobody may move. */
  watch?(hour: number): void;
  /** `homes` as they are; it may not change them. */
  after(hour: number, homes: readonly number[]): readonly Choice[];
}

export interface Replayed {
  /** All round trips of all clients to the homes of their accounts, in the hours that count. */
  readonly waitedMs: number;
  readonly moves: number;
  /** In the worst day: of all bytes. */
  readonly bytesShareMax: number;
  /** Moves to a home that was left less than so long before. */
  readonly oscillations: number;
}

/** A move back within this is to and fro. */
export const OSCILLATION_HOURS = 72;
const HOURS = 24;

export interface ReplayOptions {
  readonly distances: Distances;
  /** Hours that are only watched: nobody moves, nothing counts. */
  readonly warmUpHours: number;
  /** Hours that only an oracle looks at: it must not live as if the world ended with the trace. */
  readonly tailHours: number;
}

export function replay(trace: Trace, chooser: Chooser, options: ReplayOptions): Replayed {
  const { distances, warmUpHours, tailHours } = options;
  const homes = trace.accounts.map(({ home }) => home);
  const books = new Books(trace);
  let waitedMs = 0;
  for (let hour = 0; hour < trace.hours - tailHours; hour += 1) {
    if (hour >= warmUpHours) waitedMs += waitedIn(trace, distances, { hour, homes });
    chooser.watch?.(hour);
    if (hour + 1 < warmUpHours) continue;
    for (const { account, to } of chooser.after(hour, homes)) {
      books.move({ account, from: homes[account] ?? 0, to, hour });
      homes[account] = to;
    }
  }
  return { waitedMs, ...books.totals() };
}

/** Of everybody in an hour in which nobody moves. */
function waitedIn(
  { accounts, regions }: Trace,
  distances: Distances,
  { hour, homes }: { readonly hour: number; readonly homes: readonly number[] },
): number {
  let waited = 0;
  accounts.forEach(({ accesses }, account) => {
    const home = homes[account] ?? 0;
    for (let region = 0; region < regions; region += 1) {
      waited += (accesses[hour * regions + region] ?? 0) * (distances[region]?.[home] ?? 0);
    }
  });
  return waited;
}

/** What was moved, and what came back. */
export class Books {
  readonly #trace: Trace;
  readonly #bytesByDay = new Map<number, number>();
  /** By account and region: when it was left. */
  readonly #left = new Map<number, number>();
  #moves = 0;
  #oscillations = 0;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  move(of: { account: number; from: number; to: number; hour: number }): void {
    const { account, from, to, hour } = of;
    const day = Math.floor(hour / HOURS);
    const bytes = this.#trace.accounts[account]?.bytes ?? 0;
    this.#bytesByDay.set(day, (this.#bytesByDay.get(day) ?? 0) + bytes);
    const key = (region: number): number => account * this.#trace.regions + region;
    const leftAt = this.#left.get(key(to));
    if (leftAt !== undefined && hour - leftAt < OSCILLATION_HOURS) this.#oscillations += 1;
    this.#left.set(key(from), hour);
    this.#moves += 1;
  }

  totals(): Omit<Replayed, 'waitedMs'> {
    const total = this.#trace.accounts.reduce((sum, { bytes }) => sum + bytes, 0);
    const worst = Math.max(0, ...this.#bytesByDay.values());
    return {
      moves: this.#moves,
      bytesShareMax: worst / total,
      oscillations: this.#oscillations,
    };
  }
}
