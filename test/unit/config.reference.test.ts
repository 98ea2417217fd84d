/** docs/reference/config.md says what the schema accepts and what the defaults are, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DEFAULTS } from '../../src/config/defaults.ts';
import { configKeys } from '../../src/config/schema-keys.ts';
import { configProblems } from '../../src/config/validate.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/reference/config.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => /^\| `/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, key = '', type = '', given = '', meaning = '']) => ({
    key: key.replaceAll('`', ''),
    type,
    given: given.replaceAll('`', ''),
    meaning,
  }));

const isBranch = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Dotted path and JSON of every leaf. */
function leaves(value: unknown, path = ''): (readonly [string, string])[] {
  if (!isBranch(value)) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, item]) =>
    leaves(item, path === '' ? key : `${path}.${key}`),
  );
}

/** A declaration that has every key, so that each can be taken away. */
const whole = {
  regions: { here: { zones: ['a', 'b', 'c'], coordinates: { latitude: 0, longitude: 0 } } },
  primaryRegion: 'here',
  latency: { betweenRegionsMs: {}, ...DEFAULTS.latency },
  engine: DEFAULTS.engine,
  tables: {},
  app: { command: ['x'], env: {}, ...DEFAULTS.app },
  gateway: {
    ports: {},
    ...DEFAULTS.gateway,
    authentication: {
      ...DEFAULTS.gateway.authentication,
      issuers: { here: { issuer: 'x', audience: 'x', jwksUrl: 'https://x.example/keys' } },
    },
    rateLimits: {
      ...DEFAULTS.gateway.rateLimits,
      perAccount: { ratePerSecond: 1 },
      perClient: { ratePerSecond: 1 },
    },
  },
  traffic: { command: ['x'], ...DEFAULTS.traffic },
};

function without(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined || !isBranch(value)) return value;
  const { [key]: removed, ...others } = value;
  return rest.length === 0 ? others : { ...others, [key]: without(removed, rest) };
}

describe('the configuration reference', () => {
  test('has one row for each key that is accepted, in the same order', () => {
    assert.deepEqual(
      rows.map((row) => row.key),
      configKeys(),
    );
    for (const row of rows) assert.ok(row.type !== '' && row.meaning !== '', row.key);
  });

  test('states every default, and no other', () => {
    const documented = rows
      .filter(({ given }) => !['{}', '_required_', '_none_'].includes(given))
      .map(({ key, given }) => [key, given] as const);
    const sort = (pairs: readonly (readonly [string, string])[]): string[] =>
      pairs.map((pair) => pair.join(' = ')).toSorted();
    assert.deepEqual(sort(documented), sort(leaves(DEFAULTS)));
  });

  test('calls required what is missed when it is not there', () => {
    assert.deepEqual(configProblems(whole), []);
    for (const { key: documented, given } of rows) {
      const key = documented.replace(/<region>|<issuer>/, 'here');
      const problems = configProblems(without(whole, key.split('.')));
      const missed = problems.some(
        (problem) => problem.path === key && problem.found === 'nothing',
      );
      // What postgres() always gives is not for a person to leave out.
      if (key === 'engine.adapter' || key === 'engine.options') continue;
      assert.equal(missed, given === '_required_', key);
    }
  });
});
