/** Two servers that serve one range, and accounts that are not where they are said to be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ownership } from '../../src/verify/checkers/ownership.ts';
import type { AccountHomes, Tenure, Verdict } from '../../src/verify/history.ts';
import { historyOf, saidBy } from '../support/histories.ts';

type Moment = readonly [number, number];
const tenure = (
  node: string,
  [first, last]: readonly [Moment, Moment],
  more: Partial<Tenure> = {},
): Tenure => ({
  ...{ node, group: node.slice(0, 1), range: 'r1', groupEpoch: 1, rangeEpoch: 1 },
  first: { fromMs: first[0], untilMs: first[1] },
  last: { fromMs: last[0], untilMs: last[1] },
  ...more,
});
const check = (tenures: readonly Tenure[], homes: readonly AccountHomes[] = []): Verdict =>
  ownership.check(historyOf([], { homes }, { tenures }));

describe('ownership', () => {
  test('one after the other, and looks that overlap', () => {
    const before = tenure('a1', [
      [0, 1],
      [10, 12],
    ]);
    assert.deepEqual(
      check([
        before,
        tenure('b1', [
          [13, 14],
          [20, 21],
        ]),
      ]).violations,
      [],
    );
    // It may have been let in after the last look at the other had been answered.
    assert.deepEqual(
      check([
        before,
        tenure('b1', [
          [9, 12],
          [20, 21],
        ]),
      ]).violations,
      [],
    );
    assert.deepEqual(
      check([
        before,
        tenure('b1', [
          [13, 14],
          [20, 21],
        ]),
      ]).covered,
      {
        tenures: 2,
        accounts: 0,
      },
    );
  });

  test('a look between two of another server at the same epochs', () => {
    const before = tenure('a1', [
      [0, 1],
      [10, 12],
    ]);
    assert.deepEqual(
      saidBy(
        check([
          before,
          tenure('b1', [
            [5, 6],
            [20, 21],
          ]),
        ]),
      ),
      [
        'r1 was served by two servers at once: a1 of a at epochs 1 and 1 from 1 to 10 ms, and b1 of b at epochs 1 and 1 from 6 to 20 ms',
      ],
    );
    assert.equal(
      check([
        tenure('b1', [
          [3, 4],
          [3, 4],
        ]),
        before,
      ]).violations.length,
      1,
    );
    // Other epochs are another tenure: there and back.
    const back = tenure(
      'a1',
      [
        [18, 19],
        [30, 31],
      ],
      { rangeEpoch: 3 },
    );
    assert.deepEqual(
      check([
        before,
        tenure('b1', [
          [13, 14],
          [16, 17],
        ]),
        back,
      ]).violations,
      [],
    );
    // Other ranges are no rivals.
    assert.deepEqual(
      check([
        before,
        tenure(
          'b1',
          [
            [5, 6],
            [7, 8],
          ],
          { range: 'r2' },
        ),
      ]).violations,
      [],
    );
  });

  test('whatever is looked at when: one server at a time is never told as two', () => {
    const owners = fc.array(
      fc.tuple(fc.constantFrom('a1', 'b1', 'c1'), fc.integer({ min: 1, max: 9 })),
    );
    const looks = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 5 })), { maxLength: 60 });
    fc.assert(
      fc.property(owners, looks, (served, seen) => {
        // By moment: who serves, at an epoch that rises with each change.
        const at = served.flatMap(([node, ms], epoch) =>
          Array.from({ length: ms }, () => ({ node, epoch })),
        );
        const tenures = new Map<string, Tenure>();
        for (const [fromMs, took] of seen.toSorted((x, y) => x[0] - y[0])) {
          const found = at[fromMs + Math.floor(took / 2)];
          if (found === undefined) continue;
          const key = `${found.node} ${String(found.epoch)}`;
          const look = [fromMs, fromMs + took] as const;
          const first = tenures.get(key)?.first;
          tenures.set(
            key,
            tenure(found.node, [first === undefined ? look : [first.fromMs, first.untilMs], look], {
              rangeEpoch: found.epoch,
            }),
          );
        }
        assert.deepEqual(check([...tenures.values()]).violations, []);
      }),
    );
  });

  test('accounts in two ranges, or in another one than is told', () => {
    const home = (found: readonly string[]): AccountHomes => ({
      account: 'x',
      found,
      told: 'r1 in a',
    });
    assert.deepEqual(check([], [home(['r1 in a']), home([])]).violations, []);
    assert.deepEqual(saidBy(check([], [home(['r1 in a', 's1 in a'])])), [
      'x is said to be in r1 in a, and its rows are in r1 in a and s1 in a',
    ]);
    assert.equal(check([], [home(['r1 in b'])]).violations.length, 1);
  });
});
