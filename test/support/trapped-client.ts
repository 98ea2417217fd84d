/**
 * A client of its own whose way to a leader leads through a proxy in the test's process: the trap sees
 * what the client sends, and may hold it back or cut the connection.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  connect as dial,
  createServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { Avoided } from '../../src/client/avoided.ts';
import { createClient } from '../../src/client/client.ts';
import { Counters } from '../../src/client/counters.ts';
import { KeysInFlight } from '../../src/client/keys-in-flight.ts';
import { CLIENT_LIMITS } from '../../src/client/options.ts';
import type { ControlSubscription } from '../../src/control/subscription.ts';
import { createConnector } from '../../src/engines/postgres/connector.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import type { RoutingView } from '../../src/topology/routing.ts';
import type { TestClient } from './cluster.ts';

export type Trap = (
  chunk: Buffer,
  pair: { client: Socket; server: Socket },
) => 'forward' | 'swallow';
export const FORWARD: Trap = () => 'forward';

/** Its way to the leader of one group leads through the trap. */
export interface Trapped extends AsyncDisposable {
  readonly client: ReturnType<typeof createClient>;
  setTrap(trap: Trap): void;
}

export async function trappedClient(beside: TestClient, name = 'us-east-1'): Promise<Trapped> {
  let trap = FORWARD;
  const { groups } = beside.control.view;
  const group = groups[name];
  const leader = group?.nodes.find((node) => node.name === group.leader);
  assert.ok(group && leader);
  const server: Server = createServer((client) => {
    const upstream = dial(leader.address.port, '127.0.0.1');
    client.on('data', (chunk: Buffer) => {
      if (trap(chunk, { client, server: upstream }) === 'forward') upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const nodes = group.nodes.map((node) => (node === leader ? { ...node, address } : node));
  const view: RoutingView = {
    ...beside.control.view,
    groups: { ...groups, [group.name]: { ...group, nodes } },
  };
  const control: ControlSubscription = {
    hello: beside.control.hello,
    view,
    onView: () => () => {},
    newerThan: (_version, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('no news')));
      }),
    countBoundedRead: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const connector = createConnector({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    credentials: beside.control.hello.database,
    applicationName: 'idempotency-test',
    connectionsMax: 8,
    connectTimeoutMs: 2_000,
  });
  const client = createClient({
    services: {
      ...{ clock: systemClock, random: systemRandom, connector, control, limits: CLIENT_LIMITS },
      ...{ counters: new Counters(), keysInFlight: new KeysInFlight() },
      avoided: new Avoided(systemClock),
    },
    region: 'us-east',
    newId: randomUUID,
  });
  return {
    client,
    setTrap: (next) => {
      trap = next;
    },
    [Symbol.asyncDispose]: async () => {
      await client.close();
      server.close();
    },
  };
}
