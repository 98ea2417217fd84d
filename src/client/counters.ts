/** Counts since `connect`; read by metrics and tests. */
import type { ClientCounters } from './api.ts';

type Simple = Exclude<keyof ClientCounters, 'retries'>;

export class Counters {
  readonly #counts: Record<Simple, number> = {
    transactions: 0,
    reads: 0,
    readsOnReplica: 0,
    readsOnLeader: 0,
    readsRedirected: 0,
    replicasSilent: 0,
    commitsUnknown: 0,
    crossGroupCommitted: 0,
    crossGroupAborted: 0,
    crossGroupUnknown: 0,
    crossGroupRecovered: 0,
    replays: 0,
  };
  readonly #retries: Record<string, number> = {};

  add(name: Simple): void {
    this.#counts[name] += 1;
  }

  retried(code: string): void {
    this.#retries[code] = (this.#retries[code] ?? 0) + 1;
  }

  snapshot(): ClientCounters {
    return { ...this.#counts, retries: { ...this.#retries } };
  }
}
