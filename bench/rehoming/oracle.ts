/**
 * Knows what comes: for each account the best homes from any hour on, by dynamic programming, under the same
 * budget of bytes and the same pause between two moves of one account as everybody.
 */
import type { Distances } from '../../src/placement/preference.ts';
import type { Chooser } from './replay.ts';
import { Spent } from './spent.ts';
import type { Trace, TracedAccount } from './traces.ts';

export interface OracleOptions {
  readonly distances: Distances;
  readonly bytesShareMax: number;
  readonly cooldownHours: number;
}

/** Less than this is not worth a move, in ms of waiting until the end. */
const GAIN_MIN_MS = 1;

export function oracle(trace: Trace, options: OracleOptions): Chooser {
  const { accounts, hours, regions } = trace;
  const futures = accounts.map((account) => new Future(account, trace, options));
  const freeAt = new Int32Array(accounts.length);
  const spent = new Spent();
  const totalBytes = accounts.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    after: (hour, homes) => {
      const next = hour + 1;
      if (next >= hours) return [];
      const wanted: { account: number; to: number; worth: number; bytes: number }[] = [];
      accounts.forEach(({ bytes }, account) => {
        if ((freeAt[account] ?? 0) > next) return;
        const home = homes[account] ?? 0;
        const { to, gainMs } = futures[account]?.best(next, home, regions) ?? {
          to: home,
          gainMs: 0,
        };
        if (to !== home) wanted.push({ account, to, worth: gainMs / bytes, bytes });
      });
      wanted.sort((a, b) => b.worth - a.worth);
      let left = options.bytesShareMax * totalBytes - spent.lately(hour).bytes;
      return wanted.filter(({ account, bytes }) => {
        if (bytes > left) return false;
        left -= bytes;
        spent.add(hour, bytes);
        freeAt[account] = next + options.cooldownHours;
        return true;
      });
    },
  };
}

class Future {
  /** By hour and home: what is waited from then on at best, moves included. */
  readonly #least: Float64Array;
  /** By hour and home: what was waited until then if it had always been there. */
  readonly #until: Float64Array;
  readonly #hours: number;
  readonly #cooldown: number;

  constructor(
    { accesses }: TracedAccount,
    { hours, regions }: Trace,
    { distances, cooldownHours }: OracleOptions,
  ) {
    this.#hours = hours;
    this.#cooldown = cooldownHours;
    const until = new Float64Array((hours + 1) * regions);
    for (let hour = 0; hour < hours; hour += 1) {
      for (let home = 0; home < regions; home += 1) {
        let waited = until[hour * regions + home] ?? 0;
        for (let client = 0; client < regions; client += 1) {
          waited += (accesses[hour * regions + client] ?? 0) * (distances[client]?.[home] ?? 0);
        }
        until[(hour + 1) * regions + home] = waited;
      }
    }
    this.#until = until;
    const least = new Float64Array((hours + 1) * regions);
    this.#least = least;
    for (let hour = hours - 1; hour >= 0; hour -= 1) {
      for (let home = 0; home < regions; home += 1) {
        let best = this.#staying(hour, home, regions);
        for (let to = 0; to < regions; to += 1) {
          if (to !== home) best = Math.min(best, this.#moving(hour, to, regions));
        }
        least[hour * regions + home] = best;
      }
    }
  }

  /** Where to be from this hour on, and what that saves until the end against staying for ever. */
  best(
    hour: number,
    home: number,
    regions: number,
  ): { readonly to: number; readonly gainMs: number } {
    let [to, waits] = [home, this.#staying(hour, home, regions) - GAIN_MIN_MS];
    for (let other = 0; other < regions; other += 1) {
      if (other === home) continue;
      const moved = this.#moving(hour, other, regions);
      if (moved < waits) [to, waits] = [other, moved];
    }
    return { to, gainMs: this.#between(hour, this.#hours, { home, regions }) - waits };
  }

  #staying(hour: number, home: number, regions: number): number {
    const rest = this.#least[(hour + 1) * regions + home] ?? 0;
    return this.#between(hour, hour + 1, { home, regions }) + rest;
  }

  #moving(hour: number, to: number, regions: number): number {
    const end = Math.min(hour + this.#cooldown, this.#hours);
    return this.#between(hour, end, { home: to, regions }) + (this.#least[end * regions + to] ?? 0);
  }

  #between(
    from: number,
    to: number,
    { home, regions }: { readonly home: number; readonly regions: number },
  ): number {
    return (this.#until[to * regions + home] ?? 0) - (this.#until[from * regions + home] ?? 0);
  }
}
