/** What a workload is, and what it is given: accounts in every region, and clients beside them. */
import type { Clock } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import type { Transaction } from '../../client/api.ts';
import type { Door } from '../doors.ts';
import type { Action } from '../history.ts';
import type { Recorder } from '../recorder.ts';

export interface Account {
  readonly id: string;
  readonly region: string;
  readonly group: string;
  /** It was asked for with it. */
  readonly residency?: string | undefined;
}

/** Doors of one region. */
export interface RegionDoors {
  readonly region: string;
  readonly gateway: Door;
  /** One in each zone: when a zone is cut off, a client is cut off with it. */
  readonly libraries: readonly Door[];
}

/** One logical client: it does one thing after the other. */
export interface LoadClient {
  readonly name: string;
  /** Mean pause between two operations. */
  readonly thinkMs: number;
  /** One operation, recorded; never rejects. */
  step(): Promise<void>;
}

export interface Ground {
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly accounts: readonly Account[];
  readonly regions: readonly RegionDoors[];
  /** Unique over the whole history, and rising. */
  readonly nextValue: () => number;
  readonly random: (name: string) => Random;
}

export interface Workload {
  readonly name: string;
  readonly actions: readonly Action['kind'][];
  readonly accountsPerRegion: number;
  /** Nothing is promised of several accounts at once: each may go elsewhere, and some are pinned. */
  readonly movable?: boolean;
  /** Rows of a new account. */
  open(tx: Transaction, account: string): Promise<void>;
  /** Money in each new account. */
  readonly openedWith: number;
  clients(ground: Ground): LoadClient[];
}

/** Mostly accounts of the client's own region, as in life; the others often enough. */
export function nearby(
  { accounts }: Pick<Ground, 'accounts'>,
  { region, random, share }: { region: string; random: Random; share: number },
): Account {
  const own = accounts.filter((account) => account.region === region);
  const pool = own.length > 0 && random.next() < share ? own : accounts;
  const found = pool[random.below(pool.length)];
  if (found === undefined) throw new RangeError('a workload without accounts');
  return found;
}
