/**
 * A connection of a pool, as SQL tools know it. It holds nothing of the database's until a transaction
 * begins: the real connection is taken by the library, at the node that the routing view names then.
 *
 * Statements run one after another, in the order in which they were asked. Inside a block that failed,
 * everything is refused with 25P02 until the block ends. COMMIT of a failed block is an error here,
 * where PostgreSQL answers "ROLLBACK" with success: what was not committed is never acknowledged.
 */
import { EventEmitter } from 'node:events';
import pg from 'pg';
import type { Statement } from '../../engines/connector.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { answer, askedOf, pgResult, tagged, unsupported, type PgResult } from './asked.ts';
import { controlOf, type Control } from './control-statement.ts';
import { asDatabaseError, databaseError, transactionAborted } from './database-error.ts';
import type { Block, Host } from './host.ts';

/** Statements that wait for the one before them; more are refused. */
const WAITING_MAX = 10_000;
const CANCEL = /^\s*select\s+pg_(?:cancel|terminate)_backend\((\d+)\)\s*;?\s*$/i;

export interface ConnectionParts {
  readonly host: Host;
  /** Known to the pool alone; tools cancel by it. */
  readonly processID: number;
  readonly onRelease: (connection: PoolConnection, idle: Promise<unknown>) => void;
  /** Aborts what another connection of the pool does. */
  readonly cancel: (processID: number) => boolean;
}

export class PoolConnection extends EventEmitter {
  readonly processID: number;
  readonly host = '';
  readonly port = 0;
  readonly ssl = false;
  readonly pipeline = false;
  readonly escapeIdentifier = pg.escapeIdentifier;
  readonly escapeLiteral = pg.escapeLiteral;
  readonly #parts: ConnectionParts;
  #block: Block | undefined;
  /** The caller has been given the block's failure. */
  #told = false;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #released = false;
  #abort = new AbortController();
  #types: pg.TypeOverrides | undefined;

  constructor(parts: ConnectionParts) {
    super();
    this.#parts = parts;
    this.processID = parts.processID;
  }

  query(...args: readonly unknown[]): Promise<PgResult> | undefined {
    const { statement, callback } = askedOf(args);
    return answer(this.#enqueue(statement), callback);
  }

  /** Gives the connection back; an open transaction is rolled back. The argument changes nothing. */
  release(_destroy?: Error | boolean): void {
    if (this.#released) {
      throw new Error('Release called on client which has already been released to the pool.');
    }
    this.#released = true;
    const idle = this.#last.then(async () => {
      await this.#block?.rollback();
      this.#block = undefined;
    });
    this.#parts.onRelease(this, idle);
  }

  /** Ends what runs at the moment; never answered as success when it struck during a commit. */
  cancel(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  getTransactionStatus(): 'I' | 'T' | 'E' {
    if (this.#block === undefined) return 'I';
    return this.#block.failure === undefined ? 'T' : 'E';
  }

  readonly setTypeParser = (...args: Parameters<pg.TypeOverrides['setTypeParser']>): void => {
    this.#types ??= new pg.TypeOverrides();
    this.#types.setTypeParser(...args);
  };

  readonly getTypeParser = (...args: Parameters<pg.TypeOverrides['getTypeParser']>): unknown =>
    (this.#types ?? pg.types).getTypeParser(...args);

  connect(): Promise<this> {
    return Promise.resolve(this);
  }

  end(): Promise<void> {
    if (!this.#released) this.release();
    return this.finished();
  }

  /** Resolves when nothing of it runs any more, a block included. */
  async finished(): Promise<void> {
    await this.#last;
    await this.#block?.running?.catch(() => {});
  }

  copyFrom(): never {
    throw unsupported('COPY', 'Use INSERT … SELECT FROM unnest($1::…[]).');
  }

  copyTo(): never {
    throw unsupported('COPY', 'Read in pages: WHERE id > $1 ORDER BY id LIMIT n.');
  }

  pauseDrain(): void {}

  resumeDrain(): void {}

  ref(): void {}

  unref(): void {}

  #enqueue(statement: Statement): Promise<PgResult> {
    if (this.#released) {
      return Promise.reject(
        new MeridianError('ERR_TRANSACTION_CLOSED', 'the connection was given back already'),
      );
    }
    if (this.#waiting >= WAITING_MAX) {
      return Promise.reject(
        new MeridianError(
          'ERR_ENGINE_OVERLOADED',
          `${String(WAITING_MAX)} statements wait on one connection`,
        ),
      );
    }
    this.#waiting += 1;
    const result = this.#last.then(async () => {
      this.#waiting -= 1;
      try {
        return await this.#run(statement);
      } catch (error) {
        if (this.#block !== undefined) this.#told = true;
        throw asDatabaseError(error);
      }
    });
    this.#last = result.catch(() => {});
    return result;
  }

  async #run(asked: Statement): Promise<PgResult> {
    const cancel = CANCEL.exec(asked.text);
    if (cancel !== null) return this.#cancelOther(Number(cancel[1]));
    const control = controlOf(asked.text);
    if (control !== undefined) return this.#control(control);
    const statement = { ...asked, types: asked.types ?? this.#types };
    const block = this.#block;
    if (block === undefined) {
      return pgResult(await this.#parts.host.alone(statement, this.#abort.signal));
    }
    this.#refuseAfterFailure(block);
    return pgResult(await block.query(statement));
  }

  #refuseAfterFailure({ failure }: Block): void {
    if (failure !== undefined && this.#told) throw transactionAborted(failure);
  }

  async #control(control: Control): Promise<PgResult> {
    const block = this.#block;
    switch (control.kind) {
      case 'refused':
        throw databaseError(control.sqlState, control.why);
      case 'begin':
        if (block === undefined) await this.#begin(control.readOnly);
        else this.#refuseAfterFailure(block);
        return tagged(control.tag);
      case 'commit':
        if (block !== undefined) await this.#commit(block);
        return tagged('COMMIT');
      case 'rollback':
        this.#block = undefined;
        await block?.rollback();
        return tagged('ROLLBACK');
      case 'set-transaction':
        if (block !== undefined) {
          this.#refuseAfterFailure(block);
          if (control.readOnly === true) {
            await block.query({ text: 'SET TRANSACTION READ ONLY', values: [] });
          }
        }
        return tagged('SET');
      case 'savepoint':
      case 'release':
      case 'rollback to':
        return this.#mark(control.kind, control.name);
    }
  }

  async #begin(readOnly: boolean | undefined): Promise<void> {
    const { host } = this.#parts;
    if (host.readOnly && readOnly === false) {
      throw databaseError('25006', 'cannot begin a read-write transaction on a pool for reads');
    }
    this.#told = false;
    this.#block = await host.begin({
      readOnly: host.readOnly || readOnly === true,
      signal: this.#abort.signal,
    });
  }

  async #commit(block: Block): Promise<void> {
    this.#block = undefined;
    const { failure } = block;
    if (failure === undefined) {
      await block.commit();
      return;
    }
    await block.rollback();
    if (!this.#told) throw failure;
    throw databaseError(
      '25P02',
      'the transaction had failed before its end: it was rolled back, not committed',
      failure,
    );
  }

  async #mark(kind: 'savepoint' | 'release' | 'rollback to', name: string): Promise<PgResult> {
    const block = this.#block;
    const verb = { savepoint: 'SAVEPOINT', release: 'RELEASE', 'rollback to': 'ROLLBACK' }[kind];
    if (block === undefined) {
      throw databaseError('25P01', `${verb} can only be used in transaction blocks`);
    }
    if (kind === 'rollback to') {
      await block.rollbackTo(name);
      this.#told = false;
      return tagged(verb);
    }
    this.#refuseAfterFailure(block);
    await (kind === 'savepoint' ? block.savepoint(name) : block.release(name));
    return tagged(verb);
  }

  #cancelOther(processID: number): PgResult {
    const done = this.#parts.cancel(processID);
    return pgResult({
      command: 'SELECT',
      rowCount: 1,
      rows: [{ pg_cancel_backend: done }],
      fields: [],
    });
  }
}
