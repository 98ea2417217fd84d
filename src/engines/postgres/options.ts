/** Options of the embedded PostgreSQL engine. Defaults are in src/config/defaults.ts. */
export interface PostgresOptions {
  /** Per server; 15 servers share one machine by default. */
  readonly sharedBuffersMb: number;
  readonly connectionsMax: number;
  /** Off only for throw-away clusters: survives kill -9 of everything, not a crash of the machine. */
  readonly fsync: boolean;
  readonly startTimeoutMs: number;
  /** How long a leader that the arbiter cannot reach may go on serving strong reads. */
  readonly leaseMs: number;
  /** How far the clocks of any two servers may be apart: reads of bounded age allow for it. */
  readonly clockOffsetMaxMs: number;
  readonly heartbeat: { readonly activeMs: number; readonly idleMs: number };
}
