/**
 * A client whose way to chosen nodes leads through this process, and can be stalled as a cut cable
 * stalls it: connections stand, new ones are accepted, and nothing arrives. The views are the
 * platform's own, with other addresses.
 */
import { randomUUID } from 'node:crypto';
import { connect as dial, createServer, type AddressInfo, type Socket } from 'node:net';
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
import type { Address, RoutedGroup, RoutingView } from '../../src/topology/routing.ts';
import type { TestClient } from './cluster.ts';

export interface Relay extends AsyncDisposable {
  readonly address: Address;
  /** From now on nothing passes; what is sent is lost. Seen by the callback: what clients send. */
  stall(onSent?: (chunk: Buffer) => void): void;
  /** Connections accepted since the stall. */
  readonly dialled: number;
}

export async function startRelay(target: Address): Promise<Relay> {
  const sockets = new Set<Socket>();
  let stalled = false;
  let dialled = 0;
  let seen: (chunk: Buffer) => void = () => {};
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {});
    if (stalled) {
      dialled += 1;
      client.resume();
      return;
    }
    const upstream = dial(target.port, target.host);
    sockets.add(upstream);
    upstream.on('error', () => {});
    client.on('data', (chunk: Buffer) => {
      if (stalled) seen(chunk);
      else upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (!stalled) client.write(chunk);
    });
    upstream.on('close', () => {
      if (!stalled) client.destroy();
    });
    client.on('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    get dialled() {
      return dialled;
    },
    stall: (onSent = () => {}) => {
      seen = onSent;
      stalled = true;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A client that reaches nodes where `detour` says. */
export function clientBy(
  beside: TestClient,
  detour: (group: RoutedGroup, node: string) => Address | undefined,
): TestClient {
  const through = (view: RoutingView): RoutingView => ({
    ...view,
    groups: Object.fromEntries(
      Object.entries(view.groups).map(([name, group]) => [
        name,
        {
          ...group,
          nodes: group.nodes.map((node) => ({
            ...node,
            address: detour(group, node.name) ?? node.address,
          })),
        },
      ]),
    ),
  });
  const { control: real } = beside;
  const control: ControlSubscription = {
    hello: real.hello,
    get view() {
      return through(real.view);
    },
    onView: (listener) =>
      real.onView((view) => {
        listener(through(view));
      }),
    newerThan: async (version, signal) => through(await real.newerThan(version, signal)),
    countBoundedRead: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const connector = createConnector({
    ...{ clock: systemClock, random: systemRandom, log: silentLog },
    credentials: real.hello.database,
    ...{ applicationName: 'relay-test', connectionsMax: 4, connectTimeoutMs: 60_000 },
  });
  return createClient({
    services: {
      ...{ clock: systemClock, random: systemRandom, connector, control, limits: CLIENT_LIMITS },
      ...{ counters: new Counters(), keysInFlight: new KeysInFlight() },
      avoided: new Avoided(systemClock),
    },
    region: 'us-east',
    newId: randomUUID,
  });
}
