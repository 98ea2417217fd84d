/**
 * The connector's verbs for transactions over several groups. Looking takes a pooled connection, since
 * it is done again and again. Deciding and finishing are rare, and must not wait for a pool whose
 * connections all wait for the rows that they would free: they dial.
 */
import type pg from 'pg';
import { isMeridianError, MeridianError } from '../../kernel/errors.ts';
import type { RoutedNode } from '../../topology/routing.ts';
import type { SessionTarget, TwoPhaseVerbs } from '../connector.ts';
import { socketOf } from './closing.ts';
import { fromDriver } from './sqlstate.ts';
import type { PostgresTransaction } from './transaction.ts';
import { finishOn, preparedOn, settleOn } from './two-phase.ts';

export interface TwoPhaseParts {
  readonly begin: (target: SessionTarget, signal: AbortSignal) => Promise<PostgresTransaction>;
  readonly take: (node: RoutedNode, signal: AbortSignal) => Promise<pg.PoolClient>;
  /** Not yet connected. */
  readonly dial: (node: RoutedNode) => pg.Client;
}

export function twoPhaseVerbs(parts: TwoPhaseParts): TwoPhaseVerbs {
  const { begin, take, dial } = parts;
  return {
    begin: (target, { signal }) => begin(target, signal),
    prepared: async (node, { signal }) => {
      const client = await take(node, signal);
      const release = (error?: Error): void => {
        client.release(error);
      };
      return use(client, { node, signal, release }, preparedOn);
    },
    settle: async (node, { group, gid, signal }) => {
      const { decision, reached } = await dialled(dial(node), node, {
        signal,
        run: (client) => settleOn(client, group, gid),
      });
      return { decision, position: { group, ...reached } };
    },
    finish: async (node, { group, gid, decision, signal }) => {
      const reached = await dialled(dial(node), node, {
        signal,
        run: (client) => finishOn(client, gid, decision),
      });
      return { group, ...reached };
    },
  };
}

async function dialled<T>(
  client: pg.Client,
  node: RoutedNode,
  of: { readonly signal: AbortSignal; readonly run: (client: pg.Client) => Promise<T> },
): Promise<T> {
  const release = (): void => {
    void client.end().catch(() => {});
  };
  return use(client, { node, signal: of.signal, release }, async () => {
    await client.connect();
    return of.run(client);
  });
}

/** Runs on a connection that is destroyed when the signal aborts; errors become ours. */
async function use<C extends pg.ClientBase, T>(
  client: C,
  of: {
    readonly node: RoutedNode;
    readonly signal: AbortSignal;
    readonly release: (error?: Error) => void;
  },
  run: (client: C) => Promise<T>,
): Promise<T> {
  const { node, signal, release } = of;
  if (signal.aborted) {
    release();
    throw new MeridianError('ERR_ABORTED', 'aborted', { cause: signal.reason });
  }
  const onAbort = (): void => {
    socketOf(client).destroy(new Error('aborted'));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const done = await run(client);
    release();
    return done;
  } catch (error) {
    release(error as Error);
    if (signal.aborted) {
      throw new MeridianError('ERR_ABORTED', 'aborted', { cause: signal.reason });
    }
    throw isMeridianError(error) ? error : fromDriver(error, `on ${node.name}`);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
