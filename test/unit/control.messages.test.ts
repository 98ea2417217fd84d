/** The pure parts of the feed: lines, shapes, and which view is newer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseFeedMessage } from '../../src/control/feed-message.ts';
import { LineReader } from '../../src/control/line-reader.ts';
import type { FeedHello } from '../../src/control/protocol.ts';
import { checkSuccessor, newerView, type ShownView } from '../../src/control/view-order.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import type { RoutingView } from '../../src/topology/routing.ts';

const hello: FeedHello = {
  kind: 'hello',
  installation: 'i',
  supervisorStart: 1,
  engine: 'postgres',
  regions: [{ name: 'us', zones: ['a', 'b'] }],
  primaryRegion: 'us',
  latency: { betweenRegionsMs: { 'eu|us': 80 }, betweenZonesMs: 1 },
  database: { database: 'd', user: 'u', password: 'p' },
};
const locality = { region: 'us', zone: 'a' };
const address = { host: '127.0.0.1', port: 5432 };
const view: RoutingView = {
  version: 3,
  primaryGroup: 'us-1',
  groups: {
    'us-1': {
      name: 'us-1',
      homeRegion: 'us',
      epoch: 2,
      leader: undefined,
      nodes: [{ name: 'us-1.a', kind: 'voter', locality, address, roundTripMs: 0.5 }],
    },
  },
  ranges: { r0001: { name: 'r0001', group: 'us-1', epoch: 1 } },
  appServers: [
    { name: 'us.0', instance: 'us.0#1', locality, address, roundTripMs: 0.5, ready: true },
  ],
};
const unusable = (error: unknown): boolean => isMeridianError(error, 'ERR_CONTROL_UNAVAILABLE');

describe('lines', () => {
  test('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\n', ''))),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map((line) => line + '\n').join(''));
          const reader = new LineReader(1_000);
          const read: string[] = [];
          for (let at = 0, i = 0; at < bytes.length; i += 1) {
            const next = at + (cuts[i % cuts.length] as number);
            read.push(...reader.push(bytes.subarray(at, next)));
            at = next;
          }
          assert.deepEqual(read, lines);
        },
      ),
    );
  });

  test('are bounded, finished or not', () => {
    assert.deepEqual(new LineReader(4).push(Buffer.from('1234\n5678')), ['1234']);
    assert.throws(() => new LineReader(4).push(Buffer.from('12345\n')), unusable);
    const reader = new LineReader(4);
    reader.push(Buffer.from('123'));
    assert.throws(() => reader.push(Buffer.from('45')), unusable);
  });
});

describe('messages', () => {
  test('of the right shape pass as they are, with keys of the future', () => {
    for (const message of [hello, { kind: 'view', view }, { kind: 'ping' }]) {
      const sent = JSON.parse(JSON.stringify({ ...message, later: 1 })) as unknown;
      assert.deepEqual(parseFeedMessage(JSON.stringify(sent)), sent);
    }
    assert.equal(parseFeedMessage('{"kind":"of the future"}'), undefined);
  });

  test('that are not messages are refused', () => {
    for (const line of ['', 'x', 'null', '1', '[]', '{}', '{"kind":1}', '{"kind":"view"}']) {
      assert.throws(() => parseFeedMessage(line), unusable, line);
    }
  });

  test('are refused for any single value of the wrong type, by its path', () => {
    let broken = 0;
    const spoil = (root: object, node: object): void => {
      for (const [key, value] of Object.entries(node) as [string, unknown][]) {
        const parent = node as Record<string, unknown>;
        // A spoilt kind is another kind, or none.
        if (key !== 'kind' || node !== root) {
          parent[key] = Symbol.iterator in Object(value) ? 1 : [];
          assert.throws(() => parseFeedMessage(JSON.stringify(root)), unusable, key);
          parent[key] = value;
          broken += 1;
        }
        if (typeof value === 'object' && value !== null) spoil(root, value);
      }
    };
    const copy = structuredClone(hello);
    spoil(copy, copy);
    const whole = structuredClone({ kind: 'view', view });
    spoil(whole, whole);
    assert.ok(broken > 40, String(broken));
  });

  test('with an impossible port or kind are refused', () => {
    const [node] = view.groups['us-1']?.nodes ?? [];
    for (const change of [{ address: { host: 'h', port: 0 } }, { kind: 'witness' }]) {
      const spoilt = {
        ...view,
        groups: { g: { ...view.groups['us-1'], nodes: [{ ...node, ...change }] } },
      };
      const line = JSON.stringify({ kind: 'view', view: spoilt });
      assert.throws(() => parseFeedMessage(line), unusable);
    }
  });
});

describe('the order of views', () => {
  test("shows only rising versions, and always the last start's newest view", () => {
    const step = fc.record({ restart: fc.boolean(), version: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let shown: ShownView | undefined;
        let start = 1;
        let highest = -1;
        for (const { restart, version } of steps) {
          if (restart) {
            start += 1;
            highest = -1;
          }
          const received = {
            ...view,
            version,
            primaryGroup: `${String(start)}:${String(version)}`,
          };
          const next = newerView(shown, { ...hello, supervisorStart: start }, received);
          assert.equal(next !== undefined, version > highest);
          if (next === undefined) continue;
          if (shown !== undefined) assert.ok(next.view.version > shown.view.version);
          assert.equal(next.view.primaryGroup, received.primaryGroup);
          highest = version;
          shown = next;
        }
      }),
    );
  });

  test('never shows a past supervisor', () => {
    const shown = newerView(undefined, { ...hello, supervisorStart: 2 }, view);
    assert.equal(newerView(shown, hello, { ...view, version: 99 }), undefined);
    assert.throws(() => {
      checkSuccessor({ ...hello, supervisorStart: 2 }, hello);
    }, unusable);
    assert.throws(() => {
      checkSuccessor(hello, { ...hello, installation: 'another' });
    }, unusable);
  });
});
