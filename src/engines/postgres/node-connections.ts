/**
 * The connections of this process to one node: a pool, and those dialled for one purpose. They are
 * given up together when the node's life as a leader is over (`forget`): a partitioned server closes
 * nothing, so nothing else would ever end them.
 *
 * Invariant: whoever waits for a connection waits for no longer than its signal, its patience and the
 * life of this object allow; and a connection that is closed in an orderly way is cut when the other
 * side does not answer even that.
 */
import pg from 'pg';
import { isMeridianError, MeridianError } from '../../kernel/errors.ts';
import type { RoutedNode } from '../../topology/routing.ts';
import type { ConnectorServices } from '../connector.ts';
import { socketOf } from './closing.ts';
import { DialTurns, TurnTimeout } from './dial-turns.ts';
import { fromDriver } from './sqlstate.ts';

const IDLE_TIMEOUT_MS = 30_000;
/** Callers waiting for a connection of one node; more are refused at once. */
const WAITING_MAX = 1_000;
/** The orderly end of a connection takes a round trip; then it is cut. */
const END_TIMEOUT_MS = 1_000;
const OVERTAKEN = 'its group has another leader or another epoch by now';

export interface AcquireOptions {
  readonly signal: AbortSignal;
  /** Gives up on a node that says nothing to anybody for this long; undefined: the pool's limit. */
  readonly patienceMs?: number | undefined;
}

export class NodeConnections {
  readonly #services: ConnectorServices;
  readonly #node: RoutedNode;
  readonly #pool: pg.Pool;
  readonly #turns: DialTurns<pg.PoolClient>;
  /** Every one whose socket is not closed: also those that are being made, or ended. */
  readonly #open = new Set<pg.Client>();
  /** Of the pool: made, and not ended. */
  readonly #established = new Set<pg.PoolClient>();
  readonly #inUse = new Set<pg.PoolClient>();
  readonly #waiting = new Set<(reason: MeridianError) => void>();
  /** In use by nobody, and not free: their answers are waited for. */
  readonly #lingering = new Set<pg.PoolClient>();
  #heardAtMs = -Infinity;
  #ended: Promise<void> | undefined;

  constructor(services: ConnectorServices, node: RoutedNode) {
    this.#services = services;
    this.#node = node;
    const pool = this.#createPool();
    this.#pool = pool;
    this.#turns = new DialTurns({
      ...{ clock: services.clock, random: services.random, pool },
      ...{ max: services.connectionsMax, waitMs: services.connectTimeoutMs },
      connect: () => pool.connect(),
    });
  }

  /** The node has answered somebody. */
  heard(): void {
    this.#heardAtMs = this.#services.clock.monotonicMs();
  }

  /** There is a connection, or was: of a node that ends they are gone before anybody hears of it. */
  get inTouch(): boolean {
    return this.#heardAtMs > -Infinity;
  }

  /** Makes the first connection, without anybody who waits for it. */
  warm(): void {
    if (this.#established.size > 0 || this.#ended !== undefined) return;
    this.acquire({ signal: AbortSignal.timeout(this.#services.connectTimeoutMs) }).then(
      (client) => {
        client.release();
      },
      () => {},
    );
  }

  /** Kept until `over`, which gives it back, for so long at most, and not beyond the end of all of them. */
  linger(client: pg.PoolClient, over: Promise<unknown>, atMostMs: number): void {
    this.#lingering.add(client);
    const cancel = this.#services.clock.schedule(atMostMs, () => {
      cut([client]);
    });
    void over.finally(() => {
      cancel();
      this.#lingering.delete(client);
    });
    if (this.#ended !== undefined) cut([client]);
  }

  async acquire({ signal, patienceMs }: AcquireOptions): Promise<pg.PoolClient> {
    if (this.#ended !== undefined) throw this.#overtaken();
    if (this.#turns.waitingCount >= WAITING_MAX) {
      throw new MeridianError(
        'ERR_ENGINE_OVERLOADED',
        `${String(WAITING_MAX)} callers wait for a connection to ${this.#node.name}`,
      );
    }
    if (signal.aborted) throw aborted(signal);
    const { connecting, leave } = this.#turns.ask();
    let giveUp: (reason: MeridianError) => void = () => {};
    const gaveUp = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    const onAbort = (): void => {
      giveUp(aborted(signal));
    };
    this.#waiting.add(giveUp);
    signal.addEventListener('abort', onAbort, { once: true });
    const stop = patienceMs === undefined ? undefined : this.#impatient(patienceMs, giveUp);
    try {
      const client = await Promise.race([connecting, gaveUp]);
      if (signal.aborted) throw aborted(signal);
      return client;
    } catch (error) {
      leave();
      // A connection that comes too late goes straight back.
      connecting.then(
        (client) => {
          client.release();
        },
        () => {},
      );
      throw this.#refused(error, signal);
    } finally {
      stop?.();
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(giveUp);
    }
  }

  /** A connection past the pool; its caller ends it. */
  dial(): pg.Client {
    const { credentials, applicationName, connectTimeoutMs } = this.#services;
    const client = new pg.Client({
      ...this.#node.address,
      ...credentials,
      application_name: applicationName,
      connectionTimeoutMillis: connectTimeoutMs,
      pipeline: true,
    });
    client.on('error', () => {});
    this.#track(client);
    return client;
  }

  /**
   * Who waits for a connection fails now, and what is idle ends. What is in use is cut after `graceMs`:
   * the answer to a commit may be on its way.
   */
  forget(graceMs: number): void {
    void this.#end(graceMs);
    for (const giveUp of [...this.#waiting]) giveUp(this.#overtaken());
  }

  /** Waits for those in use. */
  end(): Promise<void> {
    return this.#end(undefined);
  }

  #end(graceMs: number | undefined): Promise<void> {
    if (this.#ended !== undefined) return this.#ended;
    const { clock } = this.#services;
    const idle = [...this.#established].filter((client) => !this.#inUse.has(client));
    this.#cutSoon(idle);
    if (graceMs !== undefined) {
      clock.schedule(graceMs, () => {
        cut([...this.#open]);
      });
    }
    this.#turns.end();
    cut(this.#lingering);
    this.#ended = this.#pool.end();
    return this.#ended;
  }

  /** The orderly end is given its time first. */
  #cutSoon(clients: readonly pg.PoolClient[]): void {
    this.#services.clock.schedule(END_TIMEOUT_MS, () => {
      cut(clients);
    });
  }

  /** Rejects the caller's wait, unless others are being answered: then the pool is what it waits for. */
  #impatient(patienceMs: number, giveUp: (reason: MeridianError) => void): () => void {
    const { clock } = this.#services;
    let cancel = (): void => {};
    const wait = (ms: number): void => {
      cancel = clock.schedule(ms, () => {
        const silentMs = clock.monotonicMs() - this.#heardAtMs;
        if (silentMs < patienceMs) wait(patienceMs - silentMs);
        else giveUp(silence(this.#node, patienceMs));
      });
    };
    wait(patienceMs);
    return () => {
      cancel();
    };
  }

  #refused(error: unknown, signal: AbortSignal): MeridianError {
    if (signal.aborted) return aborted(signal);
    if (isMeridianError(error)) return error;
    if (error instanceof TurnTimeout && this.#established.size > 0) {
      return new MeridianError(
        'ERR_ENGINE_OVERLOADED',
        `no connection to ${this.#node.name} became free in time`,
        { cause: error },
      );
    }
    return fromDriver(error, `connecting to ${this.#node.name}`);
  }

  #overtaken(): MeridianError {
    return new MeridianError('ERR_ENGINE_UNAVAILABLE', `${this.#node.name}: ${OVERTAKEN}`);
  }

  #createPool(): pg.Pool {
    const { host, port } = this.#node.address;
    const track = (client: pg.Client): void => {
      this.#track(client);
    };
    const pool = new pg.Pool({
      host,
      port,
      ...this.#services.credentials,
      application_name: this.#services.applicationName,
      max: this.#services.connectionsMax,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      connectionTimeoutMillis: this.#services.connectTimeoutMs,
      // The opening batch and the first statement travel together.
      pipeline: true,
      keepAlive: true,
      Client: class extends pg.Client {
        constructor(config?: pg.ClientConfig) {
          super(config);
          track(this);
        }
      },
    });
    pool.on('connect', (client) => {
      this.heard();
      this.#established.add(client);
      // Between transactions and while one is being given up nobody else listens.
      client.on('error', () => {});
    });
    pool.on('acquire', (client) => {
      this.#inUse.add(client);
    });
    // Told before the connection is among the free ones, or among none any more.
    const afterwards = (): void => {
      process.nextTick(() => {
        this.#turns.next();
      });
    };
    pool.on('release', (_, client) => {
      this.#inUse.delete(client);
      afterwards();
      // The pool says goodbye to it now, and would wait for the answer.
      if (this.#ended !== undefined) this.#cutSoon([client]);
    });
    // Told more than once of a connection that broke while it was used.
    pool.on('remove', (client) => {
      this.#established.delete(client);
      afterwards();
    });
    pool.on('error', (error) => {
      // An idle connection ended (a node restarted): the pool has dropped it already.
      this.#services.log.debug('an idle connection ended', {
        node: this.#node.name,
        error: error.message,
      });
    });
    return pool;
  }

  #track(client: pg.Client): void {
    this.#open.add(client);
    client.once('end', () => {
      this.#open.delete(client);
    });
  }
}

/** No SQLSTATE: nothing came from the server. A plain error, since it says nothing of an outcome. */
function cut(clients: Iterable<pg.ClientBase>): void {
  for (const client of clients) socketOf(client).destroy(new Error(OVERTAKEN));
}

/** A node that does not answer; marked, so that it can be counted and avoided. */
export function silence(node: RoutedNode, ms: number): MeridianError {
  return new MeridianError(
    'ERR_ENGINE_UNAVAILABLE',
    `${node.name} gave no answer within ${String(Math.round(ms))} ms`,
    { details: { silent: true } },
  );
}

function aborted(signal: AbortSignal): MeridianError {
  return new MeridianError('ERR_ABORTED', 'aborted before a connection was there', {
    cause: signal.reason,
  });
}
