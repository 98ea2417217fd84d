/** Which groups have too much to do, and what relieves them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HOT_GROUP_DEFAULTS } from '../../src/placement/hot-group-policy.ts';
import {
  relieveHotGroups,
  type AccountLoad,
  type GroupRanges,
  type Relief,
} from '../../src/placement/hot-groups.ts';

const group = (name: string, ranges: readonly string[], homeRegion = 'us'): GroupRanges => ({
  ...{ group: name, homeRegion },
  ranges: ranges.map((range) => ({ range, made: range.startsWith('s') })),
});
const load = (account: string, range: string, ...loads: readonly number[]): AccountLoad => ({
  ...{ account, range, loads },
});
const relief = (
  groups: readonly GroupRanges[],
  accounts: readonly AccountLoad[],
): readonly Relief[] => relieveHotGroups(groups, accounts, HOT_GROUP_DEFAULTS);
const TWO = [group('us-1', ['r1', 'r3']), group('us-2', ['r2'])];

describe('hot groups', () => {
  test('there are none where the load is even, little, or has nowhere to go', () => {
    const even = [load('a', 'r1', 5_000, 5_000), load('b', 'r2', 4_000, 4_000)];
    assert.deepEqual(relief(TWO, even), []);
    assert.deepEqual(relief(TWO, [load('a', 'r1', 900, 900)]), []);
    assert.deepEqual(relief([group('us-1', ['r1'])], [load('a', 'r1', 9_000)]), []);
    assert.deepEqual(relief(TWO, []), []);
  });

  test('nor after one busy interval', () => {
    assert.deepEqual(relief(TWO, [load('a', 'r1', 9_000, 0, 0), load('b', 'r2', 10, 10, 10)]), []);
  });

  test('a range goes that has about half of the difference', () => {
    const accounts = [load('a', 'r1', 4_000), load('b', 'r3', 3_000), load('c', 'r2', 500)];
    assert.deepEqual(relief(TWO, accounts), [
      { kind: 'move', from: 'us-1', to: 'us-2', range: 'r3', share: 3 / 7 },
    ]);
  });

  test('accounts are split off where every range has more, or is the last', () => {
    const three = [load('a', 'r1', 3_000), load('b', 'r1', 2_000), load('c', 'r1', 2_900)];
    const [found] = relief([group('us-1', ['r1']), group('us-2', ['r2'])], three);
    assert.deepEqual(found, {
      ...{ kind: 'split', from: 'us-1', to: 'us-2', range: 'r1', accounts: ['a'] },
      share: 3_000 / 7_900,
    });
  });

  test('an account that is hot by itself is told, and stays', () => {
    const accounts = [load('a', 'r1', 9_000), load('b', 'r1', 10)];
    assert.deepEqual(relief([group('us-1', ['r1']), group('us-2', ['r2'])], accounts), [
      { kind: 'indivisible', from: 'us-1', range: 'r1', account: 'a', share: 9_000 / 9_010 },
    ]);
  });

  test('whatever the loads: what goes makes the difference smaller, and each region has one relief', () => {
    const loads = fc.array(
      fc.tuple(fc.constantFrom('r1', 'r2', 'r3', 'r4', 's1'), fc.integer({ min: 0, max: 9_000 })),
      { maxLength: 40 },
    );
    const groups = [
      ...[group('us-1', ['r1', 'r3', 's1']), group('us-2', ['r2'])],
      ...[group('eu-1', ['r4'], 'eu'), group('eu-2', ['r5'], 'eu')],
    ];
    fc.assert(
      fc.property(loads, (list) => {
        const accounts = list.map(([range, count], n) => load(`a${String(n)}`, range, count));
        const totalOf = (ranges: readonly string[]): number =>
          accounts
            .filter(({ range }) => ranges.includes(range))
            .reduce((all, one) => all + (one.loads[0] ?? 0), 0);
        const found = relief(groups, accounts);
        assert.ok(found.length <= 2);
        for (const one of found) {
          if (one.kind === 'indivisible') continue;
          const named = (name: string): readonly string[] =>
            groups.find((item) => item.group === name)?.ranges.map(({ range }) => range) ?? [];
          const [from, to] = [totalOf(named(one.from)), totalOf(named(one.to))];
          const moved = one.share * from;
          assert.ok(Math.abs(from - moved - (to + moved)) < from - to);
        }
      }),
    );
  });
});
