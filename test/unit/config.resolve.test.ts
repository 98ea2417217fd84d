/** Defaults, ports, paths and round trips: what the platform is built from. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DEFAULTS } from '../../src/config/defaults.ts';
import type { MeridianConfig } from '../../src/config/define.ts';
import { estimateRoundTripMs, greatCircleKm } from '../../src/config/latency.ts';
import { accountFromHeader, accountFromPath, postgres } from '../../src/config/parts.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { regional } from '../../src/topology/locality.ts';
import { roundTripMs } from '../../src/topology/region.ts';

const minimal: MeridianConfig = {
  regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
  primaryRegion: 'us-east',
  tables: { orders: regional({ by: 'account_id' }) },
};
const resolve = (changes: Partial<MeridianConfig> = {}): ReturnType<typeof resolveConfig> =>
  resolveConfig({ ...minimal, ...changes }, '/app/meridian.config.ts');

describe('the resolved configuration', () => {
  test('of the least declaration has every default', () => {
    const config = resolve();
    assert.deepEqual(
      config.regions.map(({ name, zones }) => [name, ...zones]),
      [
        ['us-east', 'a', 'b', 'c'],
        ['eu-west', 'a', 'b', 'c'],
        ['ap-south', 'a', 'b', 'c'],
      ],
    );
    assert.deepEqual(config.gateway, {
      account: [{ kind: 'path', pattern: '/accounts/:account' }],
      trustedProxies: [],
      forwardedHeader: 'x-forwarded-for',
      listenAddress: '127.0.0.1',
      ports: { 'us-east': 8081, 'eu-west': 8082, 'ap-south': 8083 },
      bodyLimitBytes: 1_048_576,
      requestTimeoutMs: 15_000,
      drainTimeoutMs: 2_000,
      concurrencyMax: 2_048,
      idempotencyKeys: false,
      connectionsMax: 8_192,
      connectionsPerClientMax: 1_024,
      requestsPerConnectionMax: 10_000,
      headerBytesMax: 16_384,
      headersMax: 100,
      urlBytesMax: 8_192,
      headersTimeoutMs: 10_000,
      stallTimeoutMs: 10_000,
      websocketsMax: 1_024,
      websocketIdleTimeoutMs: 300_000,
    });
    assert.deepEqual(config.engine.options, {
      ...DEFAULTS.engine.options,
      startTimeoutMs: 60_000,
      heartbeat: { activeMs: 100, idleMs: 1_000 },
    });
    assert.equal(config.survive, 'zone');
    assert.equal('app' in config, false);
    assert.equal('traffic' in config, false);
  });

  test('starts relative paths at the file, and keeps absolute ones', () => {
    const config = resolve({
      app: { command: ['node', 'x.js'], directory: 'server' },
      traffic: { command: ['node', 'drive.js'] },
      dataDirectory: '/var/lib/meridian',
    });
    assert.equal(config.app?.directory, '/app/server');
    assert.equal(config.traffic?.directory, '/app');
    assert.equal(config.migrationsDirectory, '/app/migrations');
    assert.equal(config.dataDirectory, '/var/lib/meridian');
  });

  test('counts gateway ports up in the order of regions, besides those declared', () => {
    const ports = { 'eu-west': 9_000 };
    const expected = { 'us-east': 7_001, 'eu-west': 9_000, 'ap-south': 7_003 };
    assert.deepEqual(resolve({ gateway: { ports, basePort: 7_000 } }).gateway.ports, expected);
    const free = resolve({ gateway: { basePort: 0 } }).gateway.ports;
    assert.deepEqual(Object.values(free), [0, 0, 0]);
  });

  test('takes what the makers give', () => {
    const account = [accountFromHeader('X-Account'), accountFromPath('/t/:account')];
    const config = resolve({ engine: postgres({ fsync: false }), gateway: { account } });
    assert.equal(config.engine.options.fsync, false);
    assert.equal(config.engine.options.sharedBuffersMb, DEFAULTS.engine.options.sharedBuffersMb);
    assert.deepEqual(config.gateway.account, [
      { kind: 'header', name: 'x-account' },
      { kind: 'path', pattern: '/t/:account' },
    ]);
  });
});

describe('round trips', () => {
  const between = (config: ReturnType<typeof resolve>, a: string, b: string): number =>
    roundTripMs(config.latency.matrix, { region: a, zone: 'a' }, { region: b, zone: 'a' });

  test('of the usual regions are the published ones, in both directions', () => {
    const config = resolve();
    assert.equal(between(config, 'us-east', 'eu-west'), 80);
    assert.equal(between(config, 'ap-south', 'us-east'), 200);
    assert.equal(between(config, 'eu-west', 'ap-south'), 140);
    assert.deepEqual(config.latency.emulated, true);
  });

  test('declared win, in whatever order the pair is written', () => {
    const pairs = { 'eu-west|us-east': 33, 'ap-south|us-east': 44 };
    const config = resolve({ latency: { betweenRegionsMs: pairs, betweenZonesMs: 2, scale: 0.5 } });
    assert.equal(between(config, 'us-east', 'eu-west'), 33);
    assert.equal(between(config, 'us-east', 'ap-south'), 44);
    assert.equal(between(config, 'eu-west', 'ap-south'), 140);
    assert.equal(config.latency.matrix.betweenZonesMs, 2);
    assert.equal(config.latency.scale, 0.5);
  });

  test('of other regions come from coordinates, or are 100', () => {
    const regions = {
      virginia: { coordinates: { latitude: 38.9, longitude: -77.4 } },
      ireland: { coordinates: { latitude: 53.3, longitude: -6.3 } },
      nowhere: {},
    };
    const config = resolve({ regions, primaryRegion: 'virginia' });
    assert.equal(between(config, 'virginia', 'ireland'), 82);
    assert.equal(between(config, 'virginia', 'nowhere'), 100);
  });

  test('switched off keep their order, so that "nearest" means the same', () => {
    const { latency } = resolve({ latency: 'off' });
    assert.deepEqual([latency.scale, latency.emulated], [0, false]);
    assert.equal(latency.matrix.betweenRegionsMs['eu-west|us-east'], 80);
    assert.equal(resolve({ latency: { scale: 0 } }).latency.emulated, false);
  });

  test('computed are symmetric and no more than half the earth away', () => {
    const place = fc.record({
      latitude: fc.double({ min: -90, max: 90, noNaN: true }),
      longitude: fc.double({ min: -180, max: 180, noNaN: true }),
    });
    fc.assert(
      fc.property(place, place, (a, b) => {
        const km = greatCircleKm(a, b);
        assert.ok(km >= 0 && km <= 20_016);
        assert.equal(estimateRoundTripMs(a, b), estimateRoundTripMs(b, a));
        assert.ok(estimateRoundTripMs(a, b) >= 1);
      }),
    );
  });
});
