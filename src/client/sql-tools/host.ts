/**
 * What a pool needs from the library, whoever stands behind it: an account with transactions of its
 * own (own-host.ts), or one transaction that is running already (bound-host.ts).
 */
import type { Statement, StatementResult } from '../../engines/connector.ts';
import type { MeridianError } from '../../kernel/errors.ts';
import type { Token } from '../../topology/position.ts';

/** A session seen through one scope. Savepoints are the whole session's. */
export interface HandleSession {
  readonly failure: MeridianError | undefined;
  query(statement: Statement): Promise<StatementResult>;
  savepoint(name: string): Promise<void>;
  release(name: string): Promise<void>;
  rollbackTo(name: string): Promise<void>;
}

/** A transaction block, from BEGIN to its end. */
export interface Block {
  /** Why nothing but the block's end, or a rollback to a savepoint, makes sense. */
  readonly failure: MeridianError | undefined;
  /** Of a block that holds a connection: settles when it has ended, at its deadline at the latest. */
  readonly running: Promise<unknown> | undefined;
  query(statement: Statement): Promise<StatementResult>;
  savepoint(name: string): Promise<void>;
  release(name: string): Promise<void>;
  rollbackTo(name: string): Promise<void>;
  commit(): Promise<void>;
  /** Never throws. */
  rollback(): Promise<void>;
}

export interface Host {
  /** Writes are refused. */
  readonly readOnly: boolean;
  /** A statement outside a block. */
  alone(statement: Statement, signal: AbortSignal): Promise<StatementResult>;
  begin(options: { readonly readOnly: boolean; readonly signal: AbortSignal }): Promise<Block>;
  /** Positions of everything that was committed or read through the host. */
  token(): Token;
}
