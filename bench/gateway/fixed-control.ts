/** A routing view that does not change: what the supervisor would push, with one app server in it. */
import type { ControlSubscription } from '../../src/control/subscription.ts';
import type { Address, RoutingView } from '../../src/topology/routing.ts';

export const REGION = 'eu-west';

export function fixedControl(upstream: Address): ControlSubscription {
  const view: RoutingView = {
    version: 1,
    primaryGroup: `${REGION}-1`,
    groups: {},
    ranges: {},
    appServers: [
      {
        ...{ name: 'app-1', instance: 'app-1#1', locality: { region: REGION, zone: 'a' } },
        ...{ address: upstream, roundTripMs: 0, ready: true },
      },
    ],
  };
  return {
    hello: {
      kind: 'hello',
      installation: 'bench',
      supervisorStart: 1,
      engine: 'none',
      regions: [],
      primaryRegion: REGION,
      latency: { betweenRegionsMs: {}, betweenZonesMs: 0 },
      database: { database: '', user: '', password: '' },
    },
    view,
    onView: () => () => {},
    newerThan: () => Promise.reject(new Error('not asked for by gateways')),
    countBoundedRead: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
