/** Where a request goes, and what happens after a failure: the rules, one by one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { healthAnswer, readiness } from '../../src/gateway/readiness.ts';
import { afterFailure, ATTEMPTS_MAX } from '../../src/gateway/retry.ts';
import {
  chooseRoute,
  isIdempotent,
  isRead,
  type Load,
  type RouteFacts,
} from '../../src/gateway/route.ts';
import type { RoutedAppServer, RoutingView } from '../../src/topology/routing.ts';

const server = (name: string, ready = true): RoutedAppServer => ({
  name,
  instance: `${name}#1`,
  ready,
  roundTripMs: { eu: 0, us: 80, ap: 140 }[name.split('.')[0] ?? ''] ?? 200,
  locality: { region: name.split('.')[0] ?? '', zone: 'a' },
  address: { host: '127.0.0.1', port: 1 },
});

const view = (...appServers: RoutedAppServer[]): RoutingView => ({
  version: 1,
  primaryGroup: 'us-1',
  groups: {},
  ranges: {},
  appServers,
});

const home = (homeRegion: string) => ({
  ...{ account: 'alice', range: 'r0001', group: `${homeRegion}-1` },
  homeRegion,
});

const facts = (over: Partial<RouteFacts>): RouteFacts => ({
  method: 'GET',
  region: 'eu',
  account: 'alice',
  home: undefined,
  hopped: false,
  tried: new Set(),
  ...over,
});

const idle: Load = { inFlight: () => 0, avoided: () => false, turn: 0 };

function told(over: Partial<RouteFacts>, picture: RoutingView, load = idle): string {
  const route = chooseRoute(facts(over), picture, load);
  if (route.kind === 'forward') return `${route.why} ${route.server.name}`;
  return route.kind === 'refuse' ? route.code : route.kind;
}

describe('chooseRoute', () => {
  const all = view(server('us.0'), server('us.1'), server('eu.0'), server('eu.1'));

  test('a read stays in the region, and needs no look-up', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      assert.equal(told({ method }, all), 'local-read eu.0');
    }
  });

  test('a region without a ready server: its requests go to the nearest that has one', () => {
    const far = view(server('ap.0'), server('us.0'), server('eu.0', false));
    assert.equal(told({}, far), 'failover-read us.0');
    assert.equal(told({ account: undefined }, far), 'failover-read us.0');
    assert.equal(told({ method: 'POST', account: undefined }, far), 'failover-write us.0');
    assert.equal(told({ method: 'POST', home: home('eu') }, far), 'failover-write us.0');
    assert.equal(told({ method: 'POST', home: home('ap') }, far), 'home-write ap.0');
    const none = view(server('us.0', false), server('eu.0', false));
    for (const method of ['GET', 'POST']) {
      assert.equal(told({ method, home: home('eu') }, none), 'ERR_GATEWAY_NO_APP_SERVER');
    }
  });

  test('a home without a ready server: its writes go to the nearest that has one', () => {
    const noHome = view(server('us.0', false), server('ap.0'), server('eu.0'));
    assert.equal(told({ method: 'POST', home: home('us') }, noHome), 'failover-write eu.0');
    const neither = view(server('us.0', false), server('ap.0'), server('eu.0', false));
    assert.equal(told({ method: 'POST', home: home('us') }, neither), 'failover-write ap.0');
    // Back as soon as one is ready again.
    assert.equal(told({ method: 'POST', home: home('us') }, all), 'home-write us.0');
  });

  test('writes go where their group is led now, and home while nobody leads it', () => {
    const led = (leader: string | undefined): RoutingView => {
      const nodes = ['us', 'ap'].map((region) => ({
        ...{ name: `us-1.${region}`, kind: 'voter' as const, roundTripMs: 0 },
        locality: { region, zone: 'a' },
        address: { host: '127.0.0.1', port: 1 },
      }));
      const group = { name: 'us-1', homeRegion: 'us', epoch: 1, leader, nodes };
      return { ...view(...all.appServers, server('ap.0')), groups: { 'us-1': group } };
    };
    const post = { method: 'POST', home: home('us') };
    assert.equal(told(post, led('us-1.us')), 'home-write us.0');
    assert.equal(told(post, led('us-1.ap')), 'failover-write ap.0');
    assert.equal(told(post, led(undefined)), 'home-write us.0');
    assert.equal(told({ ...post, region: 'ap' }, led('us-1.ap')), 'local-write ap.0');
    assert.equal(told({ ...post, region: 'us' }, led('us-1.ap')), 'failover-write ap.0');
    // The leader's region has no server: the nearest to this gateway, whichever that is.
    const bare = led('us-1.ap');
    const without = { ...bare, appServers: bare.appServers.filter((one) => one.name !== 'ap.0') };
    assert.equal(told(post, without), 'failover-write eu.0');
    // Reads need no leader.
    assert.equal(told({}, led('us-1.ap')), 'local-read eu.0');
  });

  test('a server that failed a moment ago is passed over, within its region', () => {
    const load: Load = { ...idle, avoided: (one) => one.name === 'eu.0' };
    for (const turn of [0, 1, 2, 3]) {
      assert.equal(told({}, all, { ...load, turn }), 'local-read eu.1');
    }
    assert.equal(told({}, view(server('us.0'), server('eu.0')), load), 'local-read eu.0');
  });

  test('a write goes to the home region, one without an account to this one', () => {
    assert.equal(told({ method: 'POST' }, all), 'locate');
    assert.equal(told({ method: 'POST', home: home('us') }, all), 'home-write us.0');
    assert.equal(told({ method: 'POST', home: home('eu') }, all), 'local-write eu.0');
    assert.equal(told({ method: 'POST', account: undefined }, all), 'local-write eu.0');
  });

  test('a request that came through a gateway is refused, whatever else it is', () => {
    assert.equal(told({ hopped: true }, all), 'ERR_GATEWAY_MISDIRECTED');
    const write = told({ hopped: true, method: 'POST', account: undefined }, all);
    assert.equal(write, 'ERR_GATEWAY_MISDIRECTED');
  });

  test('the server with the fewest requests in flight is taken; ties go round', () => {
    const busy = { ...idle, inFlight: (one: RoutedAppServer) => (one.name === 'eu.0' ? 2 : 1) };
    assert.equal(told({}, all, busy), 'local-read eu.1');
    const turns = [0, 1, 2, 3].map((turn) => told({}, all, { ...idle, turn }));
    assert.deepEqual(new Set(turns), new Set(['local-read eu.0', 'local-read eu.1']));
  });

  test('a server that failed is the last resort', () => {
    const tried = new Set(['eu.0']);
    assert.equal(told({ tried }, all), 'local-read eu.1');
    const both = new Set(['eu.0', 'eu.1']);
    assert.equal(told({ tried: both }, all), 'failover-read us.0');
    const write = { method: 'POST', home: home('eu') };
    assert.equal(told({ ...write, tried: both }, all), 'failover-write us.0');
    const three = new Set(['eu.0', 'eu.1', 'us.0', 'us.1']);
    assert.equal(told({ tried: three, home: home('us') }, all), 'local-read eu.0');
    const only = view(server('eu.0'));
    assert.equal(told({ method: 'POST', home: home('eu'), tried }, only), 'local-write eu.0');
  });

  test('whatever the picture: ready servers only, and of another region only without one here', () => {
    const names = ['eu.0', 'eu.1', 'us.0', 'us.1', 'ap.0'];
    const servers = fc
      .uniqueArray(fc.constantFrom(...names))
      .chain((chosen) =>
        fc.tuple(...chosen.map((name) => fc.boolean().map((ready) => server(name, ready)))),
      );
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD');
    const tried = fc.uniqueArray(fc.constantFrom(...names)).map((list) => new Set(list));
    const turn = fc.nat(9);
    fc.assert(
      fc.property(fc.record({ servers, method, tried, turn }), (one) => {
        const asked = facts({ method: one.method, tried: one.tried, home: home('us') });
        const route = chooseRoute(asked, view(...one.servers), { ...idle, turn: one.turn });
        assert.notEqual(route.kind, 'locate');
        if (route.kind !== 'forward') return;
        assert.ok(route.server.ready);
        const { region } = route.server.locality;
        const wanted = isRead(one.method) ? 'eu' : 'us';
        const untried = one.servers.filter((each) => each.ready && !one.tried.has(each.name));
        const elsewhere = untried.every((each) => each.locality.region !== wanted);
        assert.ok(region === wanted || elsewhere);
      }),
    );
  });
});

describe('afterFailure', () => {
  const failure = { method: 'POST', sent: true, keyed: false, replayable: true, attempts: 1 };

  test('nothing was sent: any method tries again', () => {
    for (const method of ['GET', 'POST', 'PATCH', 'PUT']) {
      assert.equal(afterFailure({ ...failure, method, sent: false }).kind, 'retry');
    }
  });

  test('something was sent: only idempotent methods, and only whole', () => {
    assert.deepEqual(afterFailure(failure), { kind: 'refuse', outcome: 'unknown' });
    assert.equal(afterFailure({ ...failure, method: 'PATCH' }).kind, 'refuse');
    assert.equal(afterFailure({ ...failure, method: 'PUT' }).kind, 'retry');
    const half = afterFailure({ ...failure, method: 'PUT', replayable: false });
    assert.deepEqual(half, { kind: 'refuse', outcome: 'unknown' });
  });

  test('a key that the application honours makes any method one to repeat, still only whole', () => {
    const withKey = { ...failure, keyed: true };
    assert.equal(afterFailure(withKey).kind, 'retry');
    const unknown = { kind: 'refuse', outcome: 'unknown' };
    assert.deepEqual(afterFailure({ ...withKey, replayable: false }), unknown);
    assert.deepEqual(afterFailure({ ...withKey, attempts: ATTEMPTS_MAX }), unknown);
  });

  test('attempts are bounded; a read that failed has done nothing', () => {
    const last = afterFailure({ ...failure, method: 'GET', attempts: ATTEMPTS_MAX });
    assert.deepEqual(last, { kind: 'refuse', outcome: 'none' });
  });

  test('never: repeat what was sent, is not idempotent and has no key', () => {
    const any = fc.record({
      method: fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH', 'QUERY'),
      ...{ sent: fc.boolean(), keyed: fc.boolean(), replayable: fc.boolean() },
      ...{ attempts: fc.integer({ min: 1, max: 9 }) },
    });
    fc.assert(
      fc.property(any, (one) => {
        const verdict = afterFailure(one);
        if (verdict.kind === 'refuse') return;
        assert.ok(one.replayable && one.attempts < ATTEMPTS_MAX);
        assert.ok(!one.sent || one.keyed || isIdempotent(one.method));
      }),
    );
  });
});

test('readiness names what is missing', () => {
  const some = view(server('us.0'), server('eu.0', false));
  assert.equal(readiness('us', some, false).ready, true);
  const degraded = readiness('eu', some, false);
  assert.deepEqual([degraded.ready, degraded.degraded, degraded.appServers], [true, true, 0]);
  assert.match(degraded.reason, /no app server of eu/);
  assert.equal(readiness('eu', view(server('eu.0', false)), false).ready, false);
  const asked = ['/healthz', '/readyz', '/readyz/local'].map(
    (path) => healthAnswer(path, () => degraded)?.status,
  );
  assert.deepEqual(asked, [200, 200, 503]);
  assert.equal(
    healthAnswer('/readyz/other', () => degraded),
    undefined,
  );
  assert.match(readiness('us', some, true).reason, /stopping/);
  assert.equal(readiness('us', undefined, false).ready, false);
});
