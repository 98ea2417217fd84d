/** Connections to nodes, pooled per address, and transactions on them. See transaction.ts. */
import pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import type { RoutedNode } from '../../topology/routing.ts';
import type { BeginOptions, Connector, ConnectorServices, SessionTarget } from '../connector.ts';
import { awaitPosition } from './position-wait.ts';
import { fromDriver } from './sqlstate.ts';
import { PostgresTransaction } from './transaction.ts';
import { twoPhaseVerbs } from './two-phase-verbs.ts';

const IDLE_TIMEOUT_MS = 30_000;
/** Callers waiting for a connection of one node; more are refused at once. */
const WAITING_MAX = 1_000;

/** Connections of each pool that were made and not ended. */
const established = new WeakMap<pg.Pool, Set<pg.PoolClient>>();

export function createConnector(services: ConnectorServices): Connector {
  const pools = new Map<string, pg.Pool>();
  let closed: Promise<void> | undefined;

  const poolFor = (node: RoutedNode): pg.Pool => {
    const { host, port } = node.address;
    const key = `${host}:${String(port)}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    const pool = createPool(services, node);
    pools.set(key, pool);
    return pool;
  };

  const take = async (node: RoutedNode, signal: AbortSignal): Promise<pg.PoolClient> => {
    if (closed !== undefined) throw new MeridianError('ERR_ENGINE_CLOSED', 'the client is closed');
    const client = await acquire(poolFor(node), node, signal);
    if (signal.aborted) {
      client.release();
      throw aborted(signal);
    }
    return client;
  };
  const beginAt = async (
    target: SessionTarget,
    options: BeginOptions,
  ): Promise<PostgresTransaction> =>
    new PostgresTransaction(await take(target.node, options.signal), target, options);

  return {
    twoPhase: twoPhaseVerbs({
      services,
      begin: (target, signal) => beginAt(target, { signal }),
      take,
    }),
    begin: async (target, options) => {
      const { signal } = options;
      const client = await take(target.node, signal);
      const transaction = new PostgresTransaction(client, target, options);
      const { access } = target;
      if (access.kind === 'replica-read' && access.atLeast !== undefined) {
        try {
          await awaitPosition(client, services.clock, {
            wanted: access.atLeast,
            waitMs: access.waitMs,
            signal,
          });
        } catch (error) {
          await transaction.rollback();
          throw error;
        }
      }
      return transaction;
    },
    [Symbol.asyncDispose]: () => {
      closed ??= Promise.allSettled([...pools.values()].map((pool) => pool.end())).then(() => {});
      return closed;
    },
  };
}

function createPool(services: ConnectorServices, node: RoutedNode): pg.Pool {
  const { host, port } = node.address;
  const pool = new pg.Pool({
    host,
    port,
    ...services.credentials,
    application_name: services.applicationName,
    max: services.connectionsMax,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    connectionTimeoutMillis: services.connectTimeoutMs,
    // The opening batch and the first statement travel together.
    pipeline: true,
    keepAlive: true,
  });
  // Between transactions and while one is being given up nobody else listens.
  const made = new Set<pg.PoolClient>();
  established.set(pool, made);
  pool.on('connect', (client) => {
    made.add(client);
    client.on('error', () => {});
  });
  // Told more than once of a connection that broke while it was used.
  pool.on('remove', (client) => {
    made.delete(client);
  });
  pool.on('error', (error) => {
    // An idle connection ended (a node restarted): the pool has dropped it already.
    services.log.debug('an idle connection ended', {
      node: node.name,
      error: error.message,
    });
  });
  return pool;
}

async function acquire(
  pool: pg.Pool,
  node: RoutedNode,
  signal: AbortSignal,
): Promise<pg.PoolClient> {
  if (pool.waitingCount >= WAITING_MAX) {
    throw new MeridianError(
      'ERR_ENGINE_OVERLOADED',
      `${String(WAITING_MAX)} callers wait for a connection to ${node.name}`,
    );
  }
  if (signal.aborted) throw aborted(signal);
  const connecting = pool.connect();
  let giveUp: (() => void) | undefined;
  const gaveUp = new Promise<never>((_, reject) => {
    giveUp = () => {
      reject(aborted(signal));
    };
    signal.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([connecting, gaveUp]);
  } catch (error) {
    // A connection that comes too late goes straight back.
    connecting.then(
      (client) => {
        client.release();
      },
      () => {},
    );
    if (signal.aborted) throw aborted(signal);
    if (isQueueTimeout(error) && inUse(pool)) {
      throw new MeridianError(
        'ERR_ENGINE_OVERLOADED',
        `no connection to ${node.name} became free in time`,
        { cause: error },
      );
    }
    throw fromDriver(error, `connecting to ${node.name}`);
  } finally {
    if (giveUp !== undefined) signal.removeEventListener('abort', giveUp);
  }
}

/** The pool's own words for a caller that waited for another one's connection. */
function isQueueTimeout(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('timeout exceeded');
}

/** Connections there are: they are busy. When none was made, the node is what is missing. */
function inUse(pool: pg.Pool): boolean {
  return (established.get(pool)?.size ?? 0) > 0;
}

function aborted(signal: AbortSignal): MeridianError {
  return new MeridianError('ERR_ABORTED', 'aborted before a connection was there', {
    cause: signal.reason,
  });
}
