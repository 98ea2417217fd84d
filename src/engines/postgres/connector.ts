/** Connections to nodes, by address, and transactions on them. See transaction.ts. */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import type { RoutedNode } from '../../topology/routing.ts';
import type { BeginOptions, Connector, ConnectorServices, SessionTarget } from '../connector.ts';
import { NodeConnections } from './node-connections.ts';
import { beginOnReplica } from './replica-session.ts';
import { PostgresTransaction } from './transaction.ts';
import { twoPhaseVerbs } from './two-phase-verbs.ts';

export function createConnector(services: ConnectorServices): Connector {
  const nodes = new Map<string, NodeConnections>();
  let closed: Promise<void> | undefined;

  const connectionsTo = (node: RoutedNode): NodeConnections => {
    if (closed !== undefined) throw new MeridianError('ERR_ENGINE_CLOSED', 'the client is closed');
    const key = keyOf(node);
    const known = nodes.get(key);
    if (known !== undefined) return known;
    const connections = new NodeConnections(services, node);
    nodes.set(key, connections);
    return connections;
  };
  const take = async (node: RoutedNode, signal: AbortSignal): Promise<pg.PoolClient> =>
    connectionsTo(node).acquire({ signal });
  const begin = async (
    target: SessionTarget,
    options: BeginOptions,
  ): Promise<PostgresTransaction> => {
    const { access, node } = target;
    if (access.kind === 'replica-read') {
      const of = { target, access, options };
      return beginOnReplica(connectionsTo(node), services.clock, of);
    }
    return new PostgresTransaction(await take(node, options.signal), target, options);
  };
  return {
    twoPhase: twoPhaseVerbs({
      begin: (target, signal) => begin(target, { signal }),
      take,
      dial: (node) => connectionsTo(node).dial(),
    }),
    begin,
    forget: (node, graceMs) => {
      const connections = nodes.get(keyOf(node));
      nodes.delete(keyOf(node));
      connections?.forget(graceMs);
    },
    warm: (candidates, former) => {
      if (closed !== undefined || nodes.get(keyOf(former))?.inTouch !== true) return;
      for (const node of candidates) connectionsTo(node).warm();
    },
    [Symbol.asyncDispose]: () => {
      closed ??= Promise.allSettled([...nodes.values()].map((one) => one.end())).then(() => {});
      return closed;
    },
  };
}

function keyOf({ address }: RoutedNode): string {
  return `${address.host}:${String(address.port)}`;
}
