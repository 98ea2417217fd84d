/**
 * One transaction on one connection.
 *
 * Opening: BEGIN, the route check and the scope travel with the first statement, in one flight; if the
 * check fails the transaction is aborted by then, so the statement behind it has done nothing.
 *
 * Closing (closing.ts): a commit whose wait for the quorum was cancelled is on one disk alone, which is
 * an unknown outcome, never success. A connection lost after COMMIT was sent is unknown too, so a
 * limit on statements ends before COMMIT.
 *
 * A replica read has nothing to commit and cannot conflict: its position came with the opening, so its
 * end is sent and not waited for.
 *
 * A caller that gives up destroys the connection rather than cancelling the statement: a cancel that
 * strikes during COMMIT would be answered as success. Who leaves a slow replica for another one does not
 * (`abandon`): there is nothing to undo, and a new connection would cost the slow one more than its answer.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import type { Position } from '../../topology/position.ts';
import type {
  BeginOptions,
  PreparedSession,
  SessionTarget,
  Statement,
  StatementResult,
  TwoPhaseTransaction,
} from '../connector.ts';
import { CLOSING, sendClosing, socketOf } from './closing.ts';
import { driverStatement, statementResult } from './driver-statement.ts';
import { beginText, enterOf, refusedBegin, refusedEnter } from './framing.ts';
import { inspect } from './inspection.ts';
import { parseReached, type ReachedRow } from './position-wait.ts';
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';
import { forgivable, savepointText, type SavepointCommand } from './savepoints.ts';
import { fromDriver, SQLSTATE_SOILED, sqlStateOf } from './sqlstate.ts';
import { preparedSession } from './two-phase.ts';

/** "cached plan must not change result type": feature_not_supported, of all codes. */
const PLAN_OVERTAKEN = '0A000';

export interface OpenOptions extends BeginOptions {
  /** Told when a replica read is opened, of its first answer. */
  readonly onOpening?: (entered: Promise<unknown>) => void;
  /** Told when its end is sent, which nobody waits for. */
  readonly onEnding?: (over: Promise<void>) => void;
}

type State = 'new' | 'open' | 'failed' | 'committing' | 'prepared' | 'ending' | 'closed';

export class PostgresTransaction implements TwoPhaseTransaction {
  readonly #client: pg.PoolClient;
  readonly #target: SessionTarget;
  readonly #options: OpenOptions;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  /** The connection ended under us; what is sent afterwards never leaves this process. */
  readonly #onLost: (error: Error) => void;
  #state: State = 'new';
  #scope = -1;
  /** Of a replica read: what its snapshot does not go beyond. */
  #seen: { readonly epoch: number; readonly log: bigint } | undefined;
  #failure: MeridianError | undefined;
  /** The first refusal in the order of sending: the others follow from it. */
  #refusal: unknown;
  /** Why the connection may not go back to the pool. */
  #broken: Error | undefined;
  /** A statement left something behind on it; a new one is certain, whatever it was. */
  #soiled = false;
  /** A limit on statements is in force, which must not strike the commit. */
  #limited: boolean;
  /** Of a replica read: rejects when it is abandoned. */
  readonly #abandoned: Promise<never> | undefined;
  #leave: (reason: MeridianError) => void = () => {};

  constructor(client: pg.PoolClient, target: SessionTarget, options: OpenOptions) {
    const { signal } = options;
    this.#client = client;
    this.#target = target;
    this.#options = options;
    this.#limited = options.statementTimeoutMs !== undefined;
    this.#signal = signal;
    this.#onAbort = () => {
      this.#broken = new Error('aborted by the caller');
      socketOf(client).destroy(this.#broken);
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#onLost = (error) => {
      this.#broken ??= error;
    };
    client.on('error', this.#onLost);
    if (target.access.kind === 'replica-read') {
      this.#abandoned = new Promise((_, reject) => {
        this.#leave = reject;
      });
      this.#abandoned.catch(() => {});
    }
  }

  get failure(): MeridianError | undefined {
    return this.#failure;
  }

  get begun(): boolean {
    return this.#state !== 'new';
  }

  async query(scope: number, statement: Statement): Promise<StatementResult> {
    const { refusal, soils, unsettles, limits } = inspect(statement.text);
    if (refusal !== undefined) {
      const { what, remedy } = refusal;
      throw new MeridianError('ERR_STATEMENT_REFUSED', `not sent: ${what}`, { remedy });
    }
    const range = this.#target.scopes[scope]?.range?.name ?? '';
    const result = this.#query(scope, driverStatement(this.#client, range, statement));
    // It is on its way by now: what is sent behind it meets what it leaves.
    if (soils) this.#soiled = true;
    if (limits) this.#limited = true;
    if (unsettles) this.#scope = -1;
    return result;
  }

  savepoint(name: string): Promise<void> {
    return this.#mark('savepoint', name);
  }

  release(name: string): Promise<void> {
    return this.#mark('release', name);
  }

  async rollbackTo(name: string): Promise<void> {
    const failure = this.#failure;
    if (failure === undefined) {
      await this.#mark('rollback to', name);
    } else {
      const forgiven = this.#state === 'failed' && this.#broken === undefined;
      if (!forgiven || this.#signal.aborted || !forgivable(failure)) throw failure;
      try {
        await this.#client.query(savepointText('rollback to', name));
      } catch (error) {
        throw this.#fail(error, 'rollback to a savepoint');
      }
      this.#failure = undefined;
      this.#refusal = undefined;
      this.#state = 'open';
    }
    // Settings made since the mark are undone too, the scope among them.
    this.#scope = -1;
  }

  async #mark(command: SavepointCommand, name: string): Promise<void> {
    await this.#query(Math.max(this.#scope, 0), { text: savepointText(command, name) });
  }

  async #query(scope: number, statement: pg.QueryConfig): Promise<StatementResult> {
    if (this.#failure !== undefined && this.#state !== 'closed') throw this.#failure;
    // Also while it commits: the statement would arrive behind COMMIT and be a transaction of its own.
    if (this.#state !== 'new' && this.#state !== 'open') {
      throw new MeridianError('ERR_TRANSACTION_CLOSED', 'the transaction has ended already');
    }
    const socket = socketOf(this.#client);
    socket.cork();
    const before = [...this.#opening(), ...this.#switchTo(scope)];
    const result = this.#send(statement);
    process.nextTick(() => {
      socket.uncork();
    });
    const settled = await this.unlessAbandoned(Promise.allSettled([...before, result]));
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw this.#fail(this.#refusal ?? failed.reason, 'query');
    return statementResult((settled.at(-1) as PromiseFulfilledResult<pg.QueryResult>).value);
  }

  commit(): Promise<Position> {
    return this.#commit(CLOSING.commit);
  }

  commitDeciding(gid: string): Promise<Position> {
    return this.#commit(CLOSING.decide(gid));
  }

  /** A time limit that struck in the wait for the quorum would leave the outcome unknown. */
  #last(closing: string): string {
    return this.#limited ? `SET LOCAL statement_timeout = 0; ${closing}` : closing;
  }

  async #commit(closing: string): Promise<Position> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state === 'new') await this.query(0, { text: 'SELECT 1', values: [] });
    // Known to be lost before COMMIT was sent: then it was not committed.
    if (this.#broken !== undefined) throw this.#fail(this.#broken, 'commit');
    const { access, group } = this.#target;
    if (access.kind === 'replica-read' && this.#seen !== undefined) {
      const seen = this.#seen;
      const over = this.#end('COMMIT');
      this.#options.onEnding?.(over);
      return { group, ...seen };
    }
    this.#state = 'committing';
    try {
      const { answer, tag, reached, waitCancelled } = await sendClosing(
        this.#client,
        this.#last(closing),
      );
      if (waitCancelled) throw this.#unknown('its wait for the quorum was cancelled');
      if (answer.status === 'rejected') throw answer.reason as Error;
      if (tag !== 'COMMIT') throw hadFailed();
      // Committed by now: whatever fails from here on must not look like a transaction to run again.
      if (reached.status === 'rejected') {
        if (access.kind !== 'write') throw reached.reason as Error;
        throw this.#unknown('its position could not be read', reached.reason);
      }
      this.#release();
      return { group, ...parseReached(reached.value.rows[0]) };
    } catch (error) {
      throw this.#commitFailed(error);
    }
  }

  async prepare(gid: string): Promise<PreparedSession> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#broken !== undefined) throw this.#fail(this.#broken, 'prepare');
    this.#state = 'committing';
    const { answer, tag, waitCancelled } = await sendClosing(
      this.#client,
      this.#last(CLOSING.prepare(gid)),
    );
    if (answer.status === 'rejected') throw this.#fail(answer.reason, 'prepare');
    if (tag !== 'PREPARE') throw this.#commitFailed(hadFailed());
    // Prepared on one disk alone: without a SQLSTATE, so that its caller has it rolled back.
    if (waitCancelled) throw this.#fail(new Error('the quorum did not confirm it'), 'prepare');
    this.#state = 'prepared';
    return preparedSession({
      client: this.#client,
      group: this.#target.group,
      gid,
      release: (broken) => {
        this.#broken ??= broken as Error | undefined;
        this.#release();
      },
      refused: (error) => fromDriver(error, `finishing on ${this.#target.node.name}`),
    });
  }

  async rollback(): Promise<void> {
    // Prepared: its session has the connection.
    if (this.#state === 'closed' || this.#state === 'prepared') return;
    if (this.#state === 'new' || this.#broken !== undefined) this.#release();
    else await this.#end('ROLLBACK');
  }

  /** Rejects as soon as the transaction is abandoned. */
  unlessAbandoned<T>(answer: Promise<T>): Promise<T> {
    return this.#abandoned === undefined ? answer : Promise.race([answer, this.#abandoned]);
  }

  /**
   * Of a replica read whose server says nothing: its statements fail with `reason` at once. The connection is
   * given back when what was asked of it, `asked` too, has been answered; resolves then, and never rejects.
   */
  async abandon(reason: MeridianError, asked: Promise<unknown>): Promise<void> {
    if (this.#state === 'closed' || this.#state === 'ending') return;
    const begun = this.#state !== 'new';
    this.#failure ??= reason;
    this.#state = 'ending';
    // The caller's deadline is no reason to cut it any more.
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#leave(reason);
    try {
      if (begun) await this.#client.query('ROLLBACK');
      else await asked;
    } catch (error) {
      this.#broken ??= error as Error;
    }
    this.#release();
  }

  /** Ends the transaction on the server, then gives the connection back; never throws. */
  async #end(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (this.#state === 'ending') return;
    this.#state = 'ending';
    try {
      await this.#client.query(how);
    } catch (error) {
      this.#broken ??= error as Error;
    }
    this.#release();
  }

  /** Handlers run in the order of the answers, which is that of sending; waiting for several blurs it. */
  #send<R extends pg.QueryResultRow>(
    query: pg.QueryConfig,
    refused: (error: unknown) => unknown = (error) => error,
  ): Promise<pg.QueryResult<R>> {
    const sent = this.#client.query<R>(query);
    sent.catch((error: unknown) => {
      this.#refusal ??= refused(error);
    });
    return sent;
  }

  /** BEGIN and the checks, on the first call alone. */
  #opening(): Promise<unknown>[] {
    if (this.#state !== 'new') return [];
    this.#state = 'open';
    const { access, scopes } = this.#target;
    const sent: Promise<unknown>[] = [
      this.#send({ text: beginText(access, this.#options) }, refusedBegin),
    ];
    for (const scope of scopes) {
      const entered = this.#send<ReachedRow>(enterOf(this.#target, scope), refusedEnter(scope));
      sent.push(entered);
      if (access.kind === 'replica-read') {
        this.#options.onOpening?.(entered);
        void entered.then(
          ({ rows }) => (this.#seen = parseReached(rows[0])),
          () => {},
        );
      }
    }
    this.#scope = scopes.length - 1;
    if (access.kind === 'write' && access.global) {
      sent.push(this.#send({ text: `SET LOCAL ROLE ${quoteIdentifier(ROLE.globalWriter)}` }));
    }
    return sent;
  }

  #switchTo(index: number): Promise<unknown>[] {
    if (index === this.#scope) return [];
    this.#scope = index;
    const scope = this.#target.scopes[index];
    return [
      this.#send({
        name: 'meridian_use_scope',
        text: 'SELECT meridian.use_scope($1, $2)',
        values: [scope?.range?.name ?? null, scope?.account ?? null],
      }),
    ];
  }

  #fail(error: unknown, doing: string): MeridianError {
    // A statement may fail after the end was sent; that one gives the connection back.
    if (this.#state !== 'ending' && this.#state !== 'closed') this.#state = 'failed';
    const failure = this.#signal.aborted
      ? new MeridianError('ERR_ABORTED', 'aborted during a statement', {
          cause: this.#signal.reason,
        })
      : fromDriver(error, `${doing} on ${this.#target.node.name}`, {
          lockTimeout: this.#options.lockTimeoutMs !== undefined,
        });
    // A connection that failed, that was left changed, or whose prepared statements a migration has
    // overtaken, is not kept.
    const state = sqlStateOf(error);
    const unfit = state === undefined || state === PLAN_OVERTAKEN || state === SQLSTATE_SOILED;
    if (unfit) this.#broken = error as Error;
    // Of statements sent together the first refusal is the reason; the rest fail because of it.
    this.#failure ??= failure;
    return this.#failure;
  }

  /** Only an ERROR that names its state proves that the server has rolled back. */
  #commitFailed(error: unknown): MeridianError {
    if (error instanceof MeridianError) {
      this.#broken ??= error;
      this.#failure = error;
      return error;
    }
    const state = sqlStateOf(error);
    const severity = (error as { severity?: unknown }).severity;
    const readOnly = this.#target.access.kind !== 'write';
    const definite = severity === 'ERROR' && state !== '57014' && state !== '40003';
    if (definite || readOnly) return this.#fail(error, 'commit');
    const failure = this.#unknown('the connection was lost while it committed', error);
    this.#failure = failure;
    return failure;
  }

  #unknown(why: string, cause?: unknown): MeridianError {
    this.#broken = new Error(why);
    return new MeridianError(
      'ERR_ENGINE_COMMIT_UNKNOWN',
      `it is not known whether the transaction was committed: ${why}`,
      { outcome: 'unknown', cause },
    );
  }

  #release(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#client.off('error', this.#onLost);
    this.#client.release(this.#broken ?? this.#soiled);
  }
}

function hadFailed(): MeridianError {
  return new MeridianError('ERR_ENGINE_STATEMENT', 'the transaction had failed before its end');
}
