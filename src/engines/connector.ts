/**
 * The data side of the port: sessions on nodes that meet a target. The connector does not choose how
 * fresh a read must be or when to retry: src/client does, from the consistency asked for.
 */
import type { Clock } from '../kernel/clock.ts';
import type { MeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Position } from '../topology/position.ts';
import type { AccountId, RangeName, RoutedNode } from '../topology/routing.ts';

export interface ConnectorServices {
  readonly clock: Clock;
  readonly log: Log;
  readonly credentials: {
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  /** Shown by the database as the client's name. */
  readonly applicationName: string;
  /** Connections per node; above, callers wait until their deadline. */
  readonly connectionsMax: number;
  readonly connectTimeoutMs: number;
}

/** What a transaction opens; checked by the database in the opening batch. */
export interface Scope {
  /** Undefined: the global tables alone. */
  readonly range: { readonly name: RangeName; readonly epoch: number } | undefined;
  readonly account: AccountId | undefined;
}

export type Access =
  | { readonly kind: 'write'; readonly groupEpoch: number; readonly global: boolean }
  | { readonly kind: 'strong-read'; readonly groupEpoch: number }
  | {
      readonly kind: 'replica-read';
      readonly groupEpoch: number;
      readonly maxStalenessMs: number | undefined;
      /** Wait until the node has replayed this, before the snapshot is taken. */
      readonly atLeast: Position | undefined;
      /** How long to wait for `atLeast`. */
      readonly waitMs: number;
    };

export interface SessionTarget {
  readonly node: RoutedNode;
  readonly group: string;
  readonly access: Access;
  readonly scopes: readonly Scope[];
}

export interface StatementResult {
  readonly rows: readonly Record<string, unknown>[];
  readonly rowCount: number;
}

/**
 * One transaction on one connection. The opening batch travels with the first statement. Errors are
 * MeridianErrors; after one, only `rollback` is allowed.
 */
export interface SessionTransaction {
  /** The database's first refusal, after which only `rollback` makes sense. */
  readonly failure: MeridianError | undefined;
  /** `scope` indexes SessionTarget.scopes: whose unqualified names the statement means. */
  query(
    scope: number,
    statement: { readonly text: string; readonly values: readonly unknown[] },
  ): Promise<StatementResult>;
  /**
   * Resolves only when the commit is durable on a quorum. Throws ERR_ENGINE_COMMIT_UNKNOWN with
   * outcome 'unknown' when it may or may not have happened.
   */
  commit(): Promise<Position>;
  /** Always gives the connection back or destroys it; never throws. */
  rollback(): Promise<void>;
}

export interface Connector extends AsyncDisposable {
  /** Takes a connection; ERR_ENGINE_UNAVAILABLE or ERR_ENGINE_OVERLOADED when there is none in time. */
  begin(
    target: SessionTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<SessionTransaction>;
}
