/**
 * A pool of its own: a statement alone is a transaction, run again as a whole when it conflicts; a
 * block is one transaction between BEGIN and its end.
 *
 * A block's first statement may be run again too (a stale route is found out by it), for nothing has
 * been told to the caller by then. From its answer on nothing is repeated: the caller has seen what the
 * snapshot held, and only it can begin anew.
 */
import type { Statement, StatementResult } from '../../engines/connector.ts';
import { isMeridianError, MeridianError } from '../../kernel/errors.ts';
import { mergeTokens, type Token } from '../../topology/position.ts';
import type { Committed } from '../api.ts';
import type { Work } from '../work.ts';
import type { Handle } from '../handle.ts';
import type { Block, HandleSession, Host } from './host.ts';

/** One transaction, or one read. */
export interface Piece<T> extends Pick<Work<T>, 'run' | 'mayRunAgain'> {
  readonly readOnly: boolean;
  readonly signal: AbortSignal;
}

/** `seen`: what earlier pieces have written or read. */
export type Perform = <T>(piece: Piece<T> & { readonly seen: Token }) => Promise<Committed<T>>;
type Remembering = <T>(piece: Piece<T>) => Promise<Committed<T>>;

export function ownHost(onlyReads: boolean, perform: Perform): Host {
  let token: Token = '';
  const remembering: Remembering = async (piece) => {
    const done = await perform({ ...piece, seen: token });
    token = mergeTokens(token, done.token);
    return done;
  };
  return {
    readOnly: onlyReads,
    token: () => token,
    alone: async (statement, signal) => {
      const { value } = await remembering({
        readOnly: onlyReads,
        signal,
        run: ([handle]) => sessionOf(handle).query(statement),
      });
      return value;
    },
    begin: async ({ readOnly, signal }) => new OwnBlock(remembering, { readOnly, signal }),
  };
}

interface Command {
  /** Undefined: the end. */
  readonly perform: ((handle: Handle) => Promise<StatementResult | undefined>) | undefined;
  readonly resolve: (result: StatementResult | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Neither the database's nor the library's, so that nothing judges it. */
const ROLLED_BACK = new Error('rolled back');

class OwnBlock implements Block {
  readonly #perform: Remembering;
  readonly #options: { readonly readOnly: boolean; readonly signal: AbortSignal };
  /** Undefined before the first statement, so that an empty block costs nothing. */
  #running: Promise<unknown> | undefined;
  #waiting: Command | undefined;
  #wake = (): void => {};
  /** A statement has been answered. */
  #answered = false;
  #ended: MeridianError | undefined;
  #session: HandleSession | undefined;

  constructor(
    perform: Remembering,
    options: { readonly readOnly: boolean; readonly signal: AbortSignal },
  ) {
    this.#perform = perform;
    this.#options = options;
  }

  get failure(): MeridianError | undefined {
    return this.#ended ?? this.#session?.failure;
  }

  get running(): Promise<unknown> | undefined {
    return this.#running;
  }

  async query(statement: Statement): Promise<StatementResult> {
    const result = await this.#ask((handle) => sessionOf(handle).query(statement));
    if (result === undefined) throw new MeridianError('ERR_INTERNAL', 'a statement has no result');
    return result;
  }

  async savepoint(name: string): Promise<void> {
    await this.#ask(async (handle) => void (await handle.session.savepoint(name)));
  }

  async release(name: string): Promise<void> {
    await this.#ask(async (handle) => void (await handle.session.release(name)));
  }

  async rollbackTo(name: string): Promise<void> {
    await this.#ask(async (handle) => void (await handle.session.rollbackTo(name)));
  }

  async commit(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#running === undefined) return;
    this.#put({ perform: undefined, resolve: () => {}, reject: () => {} });
    await this.#running;
  }

  async rollback(): Promise<void> {
    if (this.#running === undefined || this.#ended !== undefined) return;
    const give = async (): Promise<never> => {
      throw ROLLED_BACK;
    };
    this.#put({ perform: give, resolve: () => {}, reject: () => {} });
    await this.#running.catch(() => {});
  }

  #ask(perform: NonNullable<Command['perform']>): Promise<StatementResult | undefined> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#put({ perform, resolve, reject });
    });
  }

  /** The connection sends one command after another: there is never a second one waiting. */
  #put(command: Command): void {
    this.#waiting = command;
    this.#wake();
    if (this.#running !== undefined) return;
    this.#running = this.#perform({
      ...this.#options,
      mayRunAgain: () => !this.#answered,
      run: ([handle]) => this.#serve(handle),
    });
    this.#running.catch((error: unknown) => {
      const failure = isMeridianError(error)
        ? error
        : new MeridianError('ERR_TRANSACTION_CLOSED', 'the transaction has ended', {
            cause: error === ROLLED_BACK ? undefined : error,
          });
      this.#ended = failure;
      this.#waiting?.reject(failure);
    });
  }

  /** One attempt: answers commands until the end is asked for. */
  async #serve(handle: Handle | undefined): Promise<void> {
    this.#session = sessionOf(handle);
    for (;;) {
      const command = this.#waiting ?? (await this.#next(handle));
      if (command.perform === undefined) return;
      try {
        const result = await command.perform(handle as Handle);
        this.#answered = true;
        this.#waiting = undefined;
        command.resolve(result);
      } catch (error) {
        // Judged by the attempts: it is run again, or rejects the command that still waits.
        if (!this.#answered || error === ROLLED_BACK) throw error;
        this.#waiting = undefined;
        command.reject(error);
      }
    }
  }

  /** Ends with the deadline, so that a caller that went away holds nothing. */
  #next(handle: Handle | undefined): Promise<Command> {
    return new Promise((resolve, reject) => {
      const signal = handle?.signal;
      const onAbort = (): void => {
        reject(
          new MeridianError('ERR_ABORTED', 'the transaction was given up between two statements', {
            cause: signal?.reason,
          }),
        );
      };
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
      this.#wake = () => {
        signal?.removeEventListener('abort', onAbort);
        if (this.#waiting !== undefined) resolve(this.#waiting);
      };
    });
  }
}

function sessionOf(handle: Handle | undefined): HandleSession {
  if (handle === undefined) throw new MeridianError('ERR_INTERNAL', 'a transaction has no handle');
  return handle.session;
}
