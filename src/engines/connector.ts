/**
 * The data side of the port: sessions on nodes that meet a target. The connector does not choose how
 * fresh a read must be or when to retry: src/client does, from the consistency asked for.
 */
import type { Clock } from '../kernel/clock.ts';
import type { MeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import type { GroupName, Position } from '../topology/position.ts';
import type { AccountId, RangeName, RoutedNode } from '../topology/routing.ts';
import type { Decision, PreparedTransaction } from './two-phase.ts';

export interface ConnectorServices {
  readonly clock: Clock;
  readonly random: Random;
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
  | {
      readonly kind: 'write';
      readonly groupEpoch: number;
      readonly global: boolean;
      /** Longest wait of a statement for a lock, where the engine's own bound is too long. */
      readonly lockTimeoutMs?: number;
    }
  | { readonly kind: 'strong-read'; readonly groupEpoch: number }
  | {
      readonly kind: 'replica-read';
      readonly groupEpoch: number;
      readonly maxStalenessMs: number | undefined;
      /** Wait until the node has replayed this, before the snapshot is taken. */
      readonly atLeast: Position | undefined;
      /** How long to wait for `atLeast`. */
      readonly waitMs: number;
      /**
       * How long to wait for the node's first answer. A silent one is ERR_ENGINE_UNAVAILABLE with
       * `details.silent`.
       */
      readonly patienceMs: number;
    };

export interface SessionTarget {
  readonly node: RoutedNode;
  readonly group: string;
  readonly access: Access;
  readonly scopes: readonly Scope[];
}

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Rows as arrays of values in the order of the fields, instead of objects by name. */
  readonly rowMode?: 'array' | undefined;
  /** How this statement's values are read from their text; default: the driver's own. */
  readonly types?: TypeParsers | undefined;
}

/** By the database's number of a type. Loose, so that drivers' own registries fit. */
export interface TypeParsers {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- overloaded in every driver
  getTypeParser(...args: any[]): (text: any) => any;
}

/** A column of an answer, as the database describes it. */
export interface Field {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeID: number;
  readonly dataTypeSize: number;
  readonly dataTypeModifier: number;
  readonly format: string;
}

export interface StatementResult {
  /** Objects, or arrays where the statement asked for them. */
  readonly rows: readonly unknown[];
  /** Rows returned or changed; null where the command counts none. */
  readonly rowCount: number | null;
  /** The command's tag: SELECT, INSERT, CREATE. */
  readonly command: string;
  readonly fields: readonly Field[];
  /** Of a text with several statements, each one's; the rest of this is the last one's. */
  readonly each?: readonly StatementResult[];
}

/**
 * One transaction on one connection. The opening batch travels with the first statement. Errors are
 * MeridianErrors; after one, only `rollback` is allowed, or `rollbackTo` a savepoint.
 */
export interface SessionTransaction {
  /** The database's first refusal, after which only `rollback` makes sense. */
  readonly failure: MeridianError | undefined;
  /** `scope` indexes SessionTarget.scopes: whose unqualified names the statement means. */
  query(scope: number, statement: Statement): Promise<StatementResult>;
  /** A mark to come back to; a name may be used again and then hides the older mark. */
  savepoint(name: string): Promise<void>;
  release(name: string): Promise<void>;
  /**
   * Undoes what came after the mark. A refused statement is forgiven by it and `failure` cleared; a
   * conflict, a stale route or a lost connection is not, since the whole has to run again: it is
   * thrown again.
   */
  rollbackTo(name: string): Promise<void>;
  /**
   * Resolves only when the commit is durable on a quorum. Throws ERR_ENGINE_COMMIT_UNKNOWN with
   * outcome 'unknown' when it may or may not have happened.
   */
  commit(): Promise<Position>;
  /** Always gives the connection back or destroys it; never throws. */
  rollback(): Promise<void>;
}

export interface TwoPhaseTransaction extends SessionTransaction {
  /** A statement was sent: there is something to commit. */
  readonly begun: boolean;
  /**
   * Resolves once the transaction is prepared on a quorum. When it rejects with
   * ERR_ENGINE_UNAVAILABLE or ERR_ABORTED it may be prepared all the same, and must be finished.
   */
  prepare(gid: string): Promise<PreparedSession>;
  /**
   * As `commit`, with the record that `gid` is committed in the same transaction. Throws
   * ERR_ENGINE_SERIALIZATION when recovery has decided to abort.
   */
  commitDeciding(gid: string): Promise<Position>;
}

/** The connection that prepared: its caller finishes it, or leaves it to recovery. */
export interface PreparedSession {
  /** Resolves when the outcome is durable on a quorum; repeating it is harmless. */
  finish(decision: Decision): Promise<Position>;
  /** Gives the connection back without an outcome. */
  leave(): void;
}

/** At the leader of a group. */
export interface TwoPhaseVerbs {
  begin(
    target: SessionTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<TwoPhaseTransaction>;
  /** All that are prepared there, other programs' too. */
  prepared(
    at: RoutedNode,
    options: { readonly signal: AbortSignal },
  ): Promise<PreparedTransaction[]>;
  /**
   * The decision about `gid`, which is "abort" from now on if there was none; durable on a quorum of
   * `group`, which must be the one that the gid names.
   */
  settle(
    at: RoutedNode,
    of: { readonly group: GroupName; readonly gid: string; readonly signal: AbortSignal },
  ): Promise<{ readonly decision: Decision; readonly position: Position }>;
  /** Finishes a prepared transaction; one that is finished already is fine. */
  finish(
    at: RoutedNode,
    of: {
      readonly group: GroupName;
      readonly gid: string;
      readonly decision: Decision;
      readonly signal: AbortSignal;
    },
  ): Promise<Position>;
}

/** Bounds on what the database does for the transaction; undefined: none of its own. */
export interface StatementLimits {
  /** ERR_STATEMENT_TIMEOUT when one statement takes longer. Not in force during the commit. */
  readonly statementTimeoutMs?: number | undefined;
  /** ERR_LOCK_TIMEOUT when a lock is not free within this. */
  readonly lockTimeoutMs?: number | undefined;
}

export interface BeginOptions extends StatementLimits {
  /** Gives up at any time; during the commit the outcome is unknown. */
  readonly signal: AbortSignal;
}

export interface Connector extends AsyncDisposable {
  /** Takes a connection; ERR_ENGINE_UNAVAILABLE or ERR_ENGINE_OVERLOADED when there is none in time. */
  begin(target: SessionTarget, options: BeginOptions): Promise<SessionTransaction>;
  /**
   * The node no longer leads, or has a new life: what is connected to it is given up, silent or not.
   * Who waits for a connection fails at once, what is in use after `graceMs`, in which an answer that
   * is on its way can arrive. Later calls connect anew. Outcomes are as with any lost connection.
   */
  forget(node: RoutedNode, graceMs: number): void;
  /**
   * A connection to each of these is made ready, if there are any to `former`: one of them may lead soon,
   * and is far. Returns at once; failures are left to whoever needs the connection.
   */
  warm(candidates: readonly RoutedNode[], former: RoutedNode): void;
  /** For transactions over several groups; undefined without that capability. */
  readonly twoPhase?: TwoPhaseVerbs | undefined;
}
