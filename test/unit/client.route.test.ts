/** Which node is asked, from one routing view. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { groupOf, leaderOf, nearestOf } from '../../src/client/choose-node.ts';
import type { RoutedGroup, RoutedNode, RoutingView } from '../../src/topology/routing.ts';

const node = (name: string, roundTripMs: number): RoutedNode => ({
  ...{ name, kind: 'voter', roundTripMs, locality: { region: 'r', zone: name } },
  address: { host: '127.0.0.1', port: 1 },
});
const group = (leader: string | undefined, nodes: readonly RoutedNode[]): RoutedGroup => ({
  ...{ name: 'g', homeRegion: 'r', epoch: 1, leader, nodes },
});
const view = (groups: RoutingView['groups']): RoutingView => ({
  ...{ version: 1, primaryGroup: 'g', groups, ranges: {}, appServers: [] },
});

describe('choosing a node', () => {
  test('the leader is the one that the view names', () => {
    assert.equal(leaderOf(group('b', [node('a', 0), node('b', 9)])).name, 'b');
  });

  test('without a leader, a group or a node there is no route', () => {
    const none = { code: 'ERR_ENGINE_NO_NODE' };
    assert.throws(() => leaderOf(group(undefined, [node('a', 0)])), none);
    assert.throws(() => leaderOf(group('x', [node('a', 0)])), none);
    assert.throws(() => nearestOf(group('a', [])), none);
    assert.throws(() => groupOf(view({}), 'g'), none);
  });

  test('of equally near ones a follower goes before the leader', () => {
    assert.equal(nearestOf(group('a', [node('a', 1), node('b', 1)])).name, 'b');
    assert.equal(nearestOf(group('a', [node('a', 0), node('b', 1)])).name, 'a');
  });

  test('none is nearer than the nearest, and the order of the view does not matter', () => {
    const nodes = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.nat(50)), {
      minLength: 1,
      selector: ([, name]) => name,
    });
    fc.assert(
      fc.property(nodes, fc.infiniteStream(fc.nat()), (given, order) => {
        const all = given.map(([ms, name]) => node(`n${String(name)}`, ms));
        const found = nearestOf(group('n0', all));
        assert.equal(found.roundTripMs, Math.min(...all.map((one) => one.roundTripMs)));
        const shuffled = all
          .map((one) => ({ one, key: order.next().value }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one);
        assert.equal(nearestOf(group('n0', shuffled)).name, found.name);
      }),
    );
  });
});
