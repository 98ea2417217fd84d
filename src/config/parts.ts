/**
 * Makers of the parts of a declaration, besides `regional` and `global` (src/topology/locality.ts).
 * They only give data back: nothing is checked or started here, so that every problem of a
 * configuration is found in one place and told together.
 */
import type { AccountSource } from '../gateway/options.ts';

export interface PostgresConfig {
  /**
   * Shared buffers of each server. Fifteen servers share one machine by default.
   * @defaultValue 8
   */
  readonly sharedBuffersMb?: number | undefined;
  /**
   * Connections each server accepts. Lowering it on existing data needs `--fresh`.
   * @defaultValue 100
   */
  readonly connectionsMax?: number | undefined;
  /**
   * Off only for throw-away data: it then survives the end of any process, but not of the machine.
   * @defaultValue true
   */
  readonly fsync?: boolean | undefined;
}

export interface EngineConfig {
  readonly adapter: 'postgres';
  readonly options: PostgresConfig;
}

/** PostgreSQL 18 on this machine, in replication groups. */
export function postgres(options: PostgresConfig = {}): EngineConfig {
  return { adapter: 'postgres', options };
}

/** The account is the `:account` segment of paths that begin so: '/accounts/:account'. */
export function accountFromPath(pattern: string): AccountSource {
  return { kind: 'path', pattern };
}

/** The account is the value of a request header: 'x-account'. */
export function accountFromHeader(name: string): AccountSource {
  return { kind: 'header', name };
}
