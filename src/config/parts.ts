/**
 * Makers of the parts of a declaration, besides `regional` and `global` (src/topology/locality.ts).
 * They only give data back: nothing is checked or started here, so that every problem of a
 * configuration is found in one place and told together.
 */
import type { AccountSource, ClaimBinding } from '../gateway/options.ts';

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
  /**
   * How long a leader that was cut off may go on serving strong reads, and so how long its successor waits
   * unless it is known to be dead. At least twice `heartbeat.idleMs`.
   * @defaultValue 3000
   */
  readonly leaseMs?: number | undefined;
  /**
   * How far the clocks of two servers may be apart. On one machine they are one; reads of bounded age and
   * leases allow for it.
   * @defaultValue 0
   */
  readonly clockOffsetMaxMs?: number | undefined;
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

/** The account is the `:account` label of the host that the client asked: ':account.example.com'. */
export function accountFromHost(pattern: string): AccountSource {
  return { kind: 'host', pattern };
}

/**
 * The account is a claim of the verified bearer token: 'account_id'. A claim that is a list holds the
 * accounts that the bearer may use; one of them is then named in another declared way.
 *
 * The claim binds unless told otherwise: a request that names an account that is not in it is refused
 * with 403, wherever it names it. 'when-present' lets tokens without the claim name any account;
 * 'never' makes the claim a mere way to name one.
 */
export function accountFromClaim(
  name: string,
  options: { readonly binding?: ClaimBinding } = {},
): AccountSource {
  return { kind: 'claim', name, binding: options.binding ?? 'always' };
}
