/** Every wrong declaration is refused with its key, what was expected and what was found. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { configProblems, validateConfig } from '../../src/config/validate.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { nearestName } from '../../src/kernel/problem.ts';

const good = {
  regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
  primaryRegion: 'us-east',
  tables: { orders: { kind: 'regional', by: 'account_id' }, currencies: { kind: 'global' } },
  app: { command: ['node', 'server.js'] },
};
const change = (changes: Record<string, unknown>): unknown => ({ ...good, ...changes });
const gateway = (options: Record<string, unknown>): unknown => change({ gateway: options });
const app = (options: Record<string, unknown>): unknown =>
  change({ app: { ...good.app, ...options } });
const regions = (options: Record<string, unknown>): unknown =>
  change({ regions: { ...good.regions, ...options } });

/** What is wrong; the key it is told at; a part of what was expected or found. */
const refused: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['nothing at all', undefined, '(the whole)', /defineConfig.*found nothing/],
  ['a text', 'x', '(the whole)', /configuration object/],
  ['an unknown key', change({ primaryRegoin: 1 }), 'primaryRegoin', /Did you mean 'primaryRegion'/],
  ['an unknown key deep down', app({ comand: [] }), 'app.comand', /Did you mean 'command'/],
  ['an unknown key like nothing', change({ zebra: 1 }), 'zebra', /Remove it/],
  ['no regions', change({ regions: {} }), 'regions', /at least one region/],
  ['regions as an array', change({ regions: ['a'] }), 'regions', /by name.*array of 1/],
  ['a region as text', regions({ x: 'y' }), 'regions.x', /an object/],
  ['a region in capitals', regions({ US: {} }), 'regions["US"]', /lower-case/],
  ['a region too long', regions({ ['r'.repeat(32)]: {} }), `regions["${'r'.repeat(32)}"]`, /31/],
  ['a missing primary', change({ primaryRegion: undefined }), 'primaryRegion', /found nothing/],
  ['an unknown primary', change({ primaryRegion: 'us-eest' }), 'primaryRegion', /'us-east'/],
  ['two zones', regions({ x: { zones: ['a', 'b'] } }), 'regions.x.zones', /at least 3.*found 2/],
  ['no zones', regions({ x: { zones: [] } }), 'regions.x.zones', /at least one zone/],
  ['a zone twice', regions({ x: { zones: ['a', 'b', 'a'] } }), 'regions.x.zones[2]', /once/],
  ['a zone misnamed', regions({ x: { zones: ['a', 'b', 'C'] } }), 'regions.x.zones[2]', /"C"/],
  [
    'a place beyond the pole',
    regions({ x: { coordinates: { latitude: 91, longitude: 0 } } }),
    'regions.x.coordinates.latitude',
    /-90 to 90, found 91/,
  ],
  ['an unknown goal', change({ survive: 'planet' }), 'survive', /'zone', 'region'.*"planet"/],
  [
    'region survival in two regions',
    change({ regions: { a: {}, b: {} }, primaryRegion: 'a', survive: 'region' }),
    'survive',
    /at least 3 regions/,
  ],
  [
    'more groups than ranges',
    change({ groupsPerRegion: 3, rangesPerRegion: 2 }),
    'rangesPerRegion',
    /at least groupsPerRegion, which is 3, found 2.*rangesPerRegion: 3/,
  ],
  ['a residency as text', change({ residency: 'eu' }), 'residency', /by the residency's name/],
  ['a residency of no region', change({ residency: { eu: [] } }), 'residency.eu', /at least one/],
  [
    'a residency in a region that is not there',
    change({ residency: { eu: ['eu-wst'] } }),
    'residency["eu"][0]',
    /Did you mean 'eu-west'/,
  ],
  [
    'a region twice in a residency',
    change({ residency: { eu: ['eu-west', 'eu-west'] } }),
    'residency["eu"][1]',
    /each region once/,
  ],
  [
    'a residency misnamed',
    change({ residency: { EU: ['eu-west'] } }),
    'residency["EU"]',
    /lower-case/,
  ],
  [
    'a residency whose groups would be called like those of a region',
    change({ regions: { ...good.regions, 'eu-west-eu': {} }, residency: { eu: ['eu-west'] } }),
    'residency["eu"][0]',
    /that no region or other residency has joined, found "eu-west-eu"/,
  ],
  [
    'residencies whose groups would be called alike',
    change({
      regions: { ...good.regions, eu: {} },
      residency: { 'west-a': ['eu'], a: ['eu-west'] },
    }),
    'residency["a"][0]',
    /that no region or other residency has joined, found "eu-west-a"/,
  ],
  [
    'a residency that is called like none',
    change({ residency: { none: ['eu-west'] } }),
    'residency["none"]',
    /it means to be pinned to nothing/,
  ],
  [
    'a residency that its survival goal does not fit into',
    change({ survive: 'region', residency: { eu: ['eu-west', 'us-east'] } }),
    'residency["eu"]',
    /at least 3 regions.*found 2/,
  ],
  ['no groups', change({ groupsPerRegion: 0 }), 'groupsPerRegion', /1 to 16, found 0/],
  ['no number of groups', change({ groupsPerRegion: Number.NaN }), 'groupsPerRegion', /NaN/],
  ['a big integer', change({ groupsPerRegion: 1n }), 'groupsPerRegion', /found 1n/],
  ['half a range', change({ rangesPerRegion: 1.5 }), 'rangesPerRegion', /whole.*found 1.5/],
  ['latency as text', change({ latency: 'on' }), 'latency', /'off', or an object.*"on"/],
  [
    'a negative latency',
    change({ latency: { betweenRegionsMs: { 'us-east|eu-west': -1 } } }),
    'latency.betweenRegionsMs["us-east|eu-west"]',
    /from 0.*found -1/,
  ],
  ['a negative scale', change({ latency: { scale: -1 } }), 'latency.scale', /found -1/],
  ['an unknown latency key', change({ latency: { scal: 1 } }), 'latency.scal', /mean 'scale'/],
  [
    'a pair of one',
    change({ latency: { betweenRegionsMs: { 'us-east': 1 } } }),
    'latency.betweenRegionsMs["us-east"]',
    /two different regions/,
  ],
  [
    'a pair with an unknown region',
    change({ latency: { betweenRegionsMs: { 'us-east|eu-wst': 1 } } }),
    'latency.betweenRegionsMs["us-east|eu-wst"]',
    /Did you mean 'eu-west'/,
  ],
  [
    'a pair in both orders',
    change({ latency: { betweenRegionsMs: { 'us-east|eu-west': 1, 'eu-west|us-east': 2 } } }),
    'latency.betweenRegionsMs["eu-west|us-east"]',
    /each pair once/,
  ],
  ['an unknown engine', change({ engine: { adapter: 'x', options: {} } }), 'engine.adapter', /"x"/],
  [
    'too few connections',
    change({ engine: { adapter: 'postgres', options: { connectionsMax: 1 } } }),
    'engine.options.connectionsMax',
    /20 to/,
  ],
  ['no tables', change({ tables: undefined }), 'tables', /by name/],
  ['a table as text', change({ tables: { x: 'regional' } }), 'tables.x', /regional\({ by/],
  [
    'a table without its column',
    change({ tables: { x: { kind: 'regional' } } }),
    'tables.x.by',
    /account column/,
  ],
  [
    'a table misnamed',
    change({ tables: { 'a-b': { kind: 'global' } } }),
    'tables["a-b"]',
    /lower-case/,
  ],
  [
    'a column misnamed',
    change({ tables: { x: { kind: 'regional', by: 'Account ID' } } }),
    'tables.x.by',
    /"Account ID"/,
  ],
  ['an empty command', app({ command: [] }), 'app.command', /program and its arguments/],
  ['a command as text', app({ command: 'node x' }), 'app.command', /\['node', 'server.js'\]/],
  ['an empty program', app({ command: [''] }), 'app.command[0]', /program or argument/],
  ['an app without one', change({ app: {} }), 'app.command', /found nothing/],
  ['no copies', app({ instancesPerRegion: 0 }), 'app.instancesPerRegion', /1 to 64/],
  ['a health path', app({ healthPath: 'healthz' }), 'app.healthPath', /begins with \//],
  ['a timeout of nothing', app({ drainTimeoutMs: 0 }), 'app.drainTimeoutMs', /found 0/],
  ['traffic without a program', change({ traffic: { command: [] } }), 'traffic.command', /empty/],
  ['an unknown port region', gateway({ ports: { x: 1 } }), 'gateway.ports.x', /one of the regions/],
  ['a port too high', gateway({ ports: { 'us-east': 65_536 } }), 'gateway.ports.us-east', /65535/],
  [
    'a port twice',
    gateway({ ports: { 'us-east': 9_000, 'eu-west': 9_000 } }),
    'gateway.ports.eu-west',
    /9000, which gateway.ports.us-east has too/,
  ],
  [
    'a port that another counts up to',
    gateway({ ports: { 'us-east': 8_082 } }),
    'gateway.ports.eu-west',
    /8082/,
  ],
  ['the control port', change({ controlPort: 8_081 }), 'gateway.ports.us-east', /controlPort/],
  [
    'an account source as text',
    gateway({ account: ['/x'] }),
    'gateway.account[0]',
    /accountFromPath/,
  ],
  ...['/accounts', '/:account/:account', 'accounts/:account', '/:account/:id', '/a/:account/'].map(
    (pattern) =>
      [
        `the pattern ${pattern}`,
        gateway({ account: [{ kind: 'path', pattern }] }),
        'gateway.account[0].pattern',
        /exactly one :account/,
      ] as const,
  ),
  [
    'a header with a space',
    gateway({ account: [{ kind: 'header', name: 'x account' }] }),
    'gateway.account[0].name',
    /header/,
  ],
  ['an empty folder', change({ dataDirectory: '' }), 'dataDirectory', /a path/],
  ['a level', change({ log: { level: 'loud' } }), 'log.level', /'debug'/],
  [
    'idle more often than active',
    change({ heartbeat: { activeMs: 500, idleMs: 100 } }),
    'heartbeat.idleMs',
    /at least heartbeat.activeMs/,
  ],
];

describe('a declaration', () => {
  test('that is good has no problems', () => {
    assert.deepEqual(configProblems(good), []);
  });

  for (const [what, input, path, says] of refused) {
    test(`with ${what} is refused at ${path}`, () => {
      const problems = configProblems(input);
      assert.deepEqual(
        problems.map((problem) => problem.path),
        [path],
      );
      assert.throws(
        () => validateConfig(input, 'meridian.config.ts'),
        (error: unknown) => {
          assert.ok(error instanceof MeridianError);
          assert.equal(error.code, 'ERR_CONFIG_INVALID');
          assert.match(error.message, /^meridian\.config\.ts: /);
          assert.match(error.message, says);
          assert.doesNotMatch(error.message, /\n/);
          assert.notEqual(error.remedy, '');
          return true;
        },
      );
    });
  }

  test('with many problems is told all of them, a line each', () => {
    const bad = { ...good, primaryRegion: 'x', heartbeat: { activeMs: 500, idleMs: 100 } };
    assert.throws(
      () => validateConfig({ ...bad, tables: { 'A B': { kind: 'global' } } }, 'c.ts'),
      (error: unknown) => {
        assert.ok(error instanceof MeridianError);
        const lines = error.message.split('\n');
        assert.equal(lines[0], 'c.ts has 3 problems:');
        assert.deepEqual(
          lines.slice(1).map((line) => line.split(':')[0]),
          ['  - primaryRegion', '  - tables["A B"]', '  - heartbeat.idleMs'],
        );
        return true;
      },
    );
  });

  test('never has its secrets repeated', () => {
    const problems = configProblems(app({ env: { API: 12_345 }, password: 'hunter2' }));
    assert.equal(problems.length, 2);
    assert.doesNotMatch(JSON.stringify(problems), /12345|hunter2/);
  });

  test('may leave anything optional undefined, and use names that objects have by nature', () => {
    assert.deepEqual(configProblems(change({ app: undefined, latency: undefined })), []);
    const odd = { regions: { constructor: {}, valueof: {} }, primaryRegion: 'constructor' };
    assert.deepEqual(configProblems({ ...odd, tables: { constructor: { kind: 'global' } } }), []);
    assert.notDeepEqual(configProblems(change({ toString: 1 })), []);
  });
});

test('the nearest name is near, or there is none', () => {
  assert.equal(nearestName('regoin', ['region', 'zone']), 'region');
  assert.equal(nearestName('GATEWAY', ['gateway']), 'gateway');
  assert.equal(nearestName('xyz', ['region', 'zone']), undefined);
  assert.equal(nearestName('a'.repeat(1_000), ['a']), undefined);
});
