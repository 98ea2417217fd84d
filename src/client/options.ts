/** Limits of the client library; one place. */
export interface ClientLimits {
  /** Bound on a transaction or read with its retries, unless the call says otherwise. */
  readonly timeoutMs: number;
  /** Bound on runs after conflicts and full pools; waits for a leader are bounded by time alone. */
  readonly retriesMax: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly connectionsPerNodeMax: number;
  readonly connectTimeoutMs: number;
  /** Accounts whose range is remembered. */
  readonly directoryEntriesMax: number;
}

export const CLIENT_LIMITS: ClientLimits = {
  timeoutMs: 10_000,
  retriesMax: 10,
  backoffBaseMs: 5,
  backoffMaxMs: 250,
  connectionsPerNodeMax: 8,
  connectTimeoutMs: 3_000,
  directoryEntriesMax: 100_000,
};
