/**
 * The traffic of accounts as gateways and libraries have told it: for each a ring of intervals by client region
 * (placement/traffic.ts). Bounded: of more accounts than are to be remembered those with the least traffic are
 * forgotten. Kept in a file from interval to interval, so that a restart does not forget days; what was told
 * since the last one is lost with the supervisor.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Traffic, type TrafficShape } from '../placement/traffic.ts';
import type { AccountId } from '../topology/routing.ts';

export interface Remembered {
  readonly traffic: Traffic;
  /** Interval in which it was moved; undefined: it was not, for all that is known. */
  movedAt: number | undefined;
}

interface Stored {
  readonly format: 1;
  readonly intervalMs: number;
  readonly regions: readonly string[];
  readonly interval: number;
  /** Since when each is known, when it was moved, and its counts as [interval, region, accesses]. */
  readonly accounts: Readonly<
    Record<
      AccountId,
      readonly [number, number | null, readonly (readonly [number, number, number])[]]
    >
  >;
}

export class AccountTraffic {
  readonly #accounts = new Map<AccountId, Remembered>();
  readonly #shape: TrafficShape;
  readonly #accountsMax: number;

  constructor(shape: TrafficShape, accountsMax: number) {
    this.#shape = shape;
    this.#accountsMax = accountsMax;
  }

  get size(): number {
    return this.#accounts.size;
  }

  add(account: AccountId, told: { interval: number; region: number; accesses: number }): void {
    const known = this.#accounts.get(account) ?? this.#take(account, told.interval);
    known.traffic.advance(told.interval);
    known.traffic.add(told.region, told.accesses);
  }

  of(account: AccountId): Remembered | undefined {
    return this.#accounts.get(account);
  }

  moved(account: AccountId, interval: number): void {
    const known = this.#accounts.get(account) ?? this.#take(account, interval);
    known.movedAt = interval;
  }

  /** Goes on to an interval, for everybody; those without any traffic left, and not moved lately, are forgotten. */
  advance(interval: number, cooldownIntervals: number): void {
    for (const [account, { traffic, movedAt }] of this.#accounts) {
      traffic.advance(interval);
      const cooling = movedAt !== undefined && interval - movedAt < cooldownIntervals;
      if (!cooling && totalOf(traffic) === 0) this.#accounts.delete(account);
    }
    if (this.#accounts.size <= this.#accountsMax) return;
    const least = [...this.#accounts].toSorted(
      ([, a], [, b]) => totalOf(a.traffic) - totalOf(b.traffic),
    );
    for (const [account] of least.slice(0, least.length - this.#accountsMax)) {
      this.#accounts.delete(account);
    }
  }

  entries(): IterableIterator<[AccountId, Remembered]> {
    return this.#accounts.entries();
  }

  async save(
    path: string,
    as: { intervalMs: number; regions: readonly string[]; interval: number },
  ): Promise<void> {
    const accounts: Record<string, Stored['accounts'][string]> = {};
    for (const [account, { traffic, movedAt }] of this.#accounts) {
      const counts: [number, number, number][] = [];
      for (let age = 0; age <= traffic.known; age += 1) {
        for (let region = 0; region < this.#shape.regions; region += 1) {
          const accesses = traffic.count(age, region);
          if (accesses > 0) counts.push([traffic.interval - age, region, accesses]);
        }
      }
      accounts[account] = [traffic.interval - traffic.known, movedAt ?? null, counts];
    }
    const stored: Stored = { format: 1, ...as, accounts };
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, JSON.stringify(stored));
    await rename(`${path}.new`, path);
  }

  /** What another declaration has counted, in other intervals or regions, says nothing: false. */
  async load(
    path: string,
    as: { intervalMs: number; regions: readonly string[] },
  ): Promise<boolean> {
    let stored: Stored;
    try {
      stored = JSON.parse(await readFile(path, 'utf8')) as Stored;
    } catch {
      return false;
    }
    const same =
      stored.format === 1 &&
      stored.intervalMs === as.intervalMs &&
      JSON.stringify(stored.regions) === JSON.stringify(as.regions);
    if (!same) return false;
    for (const [account, [since, movedAt, counts]] of Object.entries(stored.accounts)) {
      const known = this.#take(account, since);
      known.movedAt = movedAt ?? undefined;
      for (const [interval, region, accesses] of counts.toSorted(([a], [b]) => a - b)) {
        known.traffic.advance(interval);
        known.traffic.add(region, accesses);
      }
    }
    return true;
  }

  #take(account: AccountId, interval: number): Remembered {
    // Room for one interval's newcomers; `advance` makes it.
    if (this.#accounts.size >= 2 * this.#accountsMax) this.#forgetOldest();
    const taken = { traffic: new Traffic(this.#shape, interval), movedAt: undefined };
    this.#accounts.set(account, taken);
    return taken;
  }

  #forgetOldest(): void {
    const [first] = this.#accounts.keys();
    if (first !== undefined) this.#accounts.delete(first);
  }
}

function totalOf(traffic: Traffic): number {
  let total = 0;
  for (let age = 0; age <= traffic.known; age += 1) {
    for (let region = 0; region < traffic.shape.regions; region += 1)
      total += traffic.count(age, region);
  }
  return total;
}
