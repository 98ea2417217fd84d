/** Options of the embedded PostgreSQL engine. Defaults are in src/config/defaults.ts. */
export interface PostgresOptions {
  /** Per server; 15 servers share one machine by default. */
  readonly sharedBuffersMb: number;
  readonly connectionsMax: number;
  /** Off only for throw-away clusters: survives kill -9 of everything, not a crash of the machine. */
  readonly fsync: boolean;
  readonly startTimeoutMs: number;
  readonly heartbeat: { readonly activeMs: number; readonly idleMs: number };
}
