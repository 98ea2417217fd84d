/**
 * A pool that SQL tools take for one of `pg`'s: Kysely's PostgresDialect and drizzle-orm/node-postgres
 * work on it unchanged. Behind it are the library's own connections, routes, retries and limits; a
 * pool is a small object, made per request if need be.
 *
 * Its name holds the word Pool: Drizzle looks for it to know that it has to connect for a transaction.
 */
import { EventEmitter } from 'node:events';
import type pg from 'pg';
import type { Statement } from '../../engines/connector.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type { Token } from '../../topology/position.ts';
import { answer, askedOf, type PgResult } from './asked.ts';
import { PoolConnection } from './connection.ts';
import { controlOf } from './control-statement.ts';
import { databaseError } from './database-error.ts';
import type { Host } from './host.ts';

/** What tools see: `pg`'s pool, and the token for later reads. */
export type SqlPool = pg.Pool & {
  /**
   * The positions of everything committed or read through this pool so far: give it to reads that
   * must see it. Of a pool inside a transaction it is '', for the transaction's own end tells it.
   */
  token(): Token;
};

type Done = (release?: unknown) => void;
type OnConnect = (error: Error | undefined, client: PoolConnection | undefined, done: Done) => void;

class AccountPool extends EventEmitter {
  readonly options = {
    max: Number.MAX_SAFE_INTEGER,
    maxUses: Number.POSITIVE_INFINITY,
    allowExitOnIdle: false,
    maxLifetimeSeconds: 0,
    idleTimeoutMillis: null,
  };
  readonly idleCount = 0;
  readonly waitingCount = 0;
  readonly expiredCount = 0;
  readonly #host: Host;
  readonly #connections = new Map<number, PoolConnection>();
  readonly #finishing = new Set<Promise<unknown>>();
  #connected = 0;
  #ended: Promise<void> | undefined;

  constructor(host: Host) {
    super();
    this.#host = host;
  }

  get totalCount(): number {
    return this.#connections.size;
  }

  get ending(): boolean {
    return this.#ended !== undefined;
  }

  get ended(): boolean {
    return this.ending && this.#connections.size === 0;
  }

  token(): Token {
    return this.#host.token();
  }

  connect(callback?: OnConnect): Promise<PoolConnection> | undefined {
    if (callback === undefined) return this.#take();
    this.#take().then(
      (client) => {
        callback(undefined, client, (error) => {
          client.release(error as Error | undefined);
        });
      },
      (error: unknown) => {
        callback(error as Error, undefined, () => {});
      },
    );
    return undefined;
  }

  query(...args: readonly unknown[]): Promise<PgResult> | undefined {
    const { statement, callback } = askedOf(args);
    return answer(this.#once(statement), callback);
  }

  /**
   * Resolves when what runs has ended, transactions at their time limit at the latest. Connections that
   * are held and idle hold nothing, and are not waited for.
   */
  end(callback?: () => void): Promise<void> {
    this.#ended ??= (async () => {
      const held = [...this.#connections.values()].map((connection) => connection.finished());
      await Promise.allSettled([...held, ...this.#finishing]);
    })();
    if (callback !== undefined) void this.#ended.then(callback);
    return this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  async #take(): Promise<PoolConnection> {
    if (this.ending) {
      throw new MeridianError('ERR_ENGINE_CLOSED', 'the pool was ended');
    }
    this.#connected += 1;
    const connection = new PoolConnection({
      host: this.#host,
      processID: this.#connected,
      onRelease: (released, idle) => {
        this.#connections.delete(released.processID);
        const finished = idle.finally(() => this.#finishing.delete(finished));
        this.#finishing.add(finished);
        this.emit('release', undefined, released);
        this.emit('remove', released);
      },
      cancel: (processID) => {
        const found = this.#connections.get(processID);
        found?.cancel();
        return found !== undefined;
      },
    });
    this.#connections.set(connection.processID, connection);
    this.emit('connect', connection);
    this.emit('acquire', connection);
    return connection;
  }

  async #once(statement: Statement): Promise<PgResult> {
    if (controlOf(statement.text) !== undefined) {
      throw databaseError('0A000', 'a transaction needs a connection: connect() first');
    }
    const connection = await this.#take();
    try {
      return (await connection.query(statement)) as PgResult;
    } finally {
      connection.release();
    }
  }
}

/** The cast is the only one: the class has what tools use of `pg`'s, and refuses what it cannot do. */
export function poolOn(host: Host): SqlPool {
  return new AccountPool(host) as unknown as SqlPool;
}
