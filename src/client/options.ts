/** Limits of the client library; one place. */
export interface ClientLimits {
  /** Bound on a transaction or read with its retries, unless the call says otherwise. */
  readonly timeoutMs: number;
  /** Bound on runs after conflicts and full pools; waits for a leader are bounded by time alone. */
  readonly retriesMax: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** The same for waits that a newer view ends: it comes with whatever they wait for, nearly always. */
  readonly newsWaitMaxMs: number;
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
  newsWaitMaxMs: 1_000,
  connectionsPerNodeMax: 8,
  connectTimeoutMs: 3_000,
  directoryEntriesMax: 100_000,
};
