/** Shrinking keeps what shows the violation, is bounded; the table of what is left. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Operation } from '../../src/verify/history.ts';
import { formatHistory, operationsAt, shrink } from '../../src/verify/minimal.ts';
import { historyOf, op, read, swap, write } from '../support/histories.ts';
import { append, list, see } from '../support/list-histories.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describe('shrink', () => {
  test('finds the few that matter, whichever they are', () => {
    const some = fc.uniqueArray(fc.nat(499), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(some, (needed) => {
        const shows = (part: readonly number[]): boolean => needed.every((n) => part.includes(n));
        assert.deepEqual(
          shrink(upTo(500), shows),
          needed.toSorted((a, b) => a - b),
        );
      }),
    );
  });

  test('returns something that shows it, however odd the question', () => {
    const odd = fc.func<[readonly number[]], boolean>(fc.boolean());
    fc.assert(
      fc.property(odd, (answer) => {
        const whole = upTo(12);
        const shows = (part: readonly number[]): boolean => part.length === 12 || answer(part);
        assert.ok(shows(shrink(whole, shows)));
      }),
    );
  });

  test('asks a bounded number of times', () => {
    let asked = 0;
    const part = shrink(
      upTo(5_000),
      (some) => {
        asked += 1;
        return some.length % 2 === 0;
      },
      50,
    );
    assert.ok(asked <= 50 && part.length % 2 === 0, `${asked} ${part.length}`);
  });
});

describe('formatHistory', () => {
  const history = historyOf([
    op([1000, 1001.25], write(1), { client: 'a', node: 'us-east-1.a' }),
    op([1002, 1003], read(null), { client: 'long-name' }),
    op([1004, 1005], swap(1, 2, false)),
    op([1006, 1090], write(3), { outcome: 'unknown', code: 'ERR_COMMIT_UNKNOWN' }),
    op([1007, 1008], list(append('k', 4), see('k', 1, 2, 3, 4, 5, 6, 7, 8, 9))),
  ]);

  test('one line an operation, times from the first of them', () => {
    assert.deepEqual(formatHistory(history, [0, 1, 3]).split('\n'), [
      '#  ms         client     action              outcome                     node',
      '0  0.0 – 1.3  a          x := 1              ok                          us-east-1.a',
      '1  2.0 – 3.0  long-name  x -> null (strong)  ok',
      '3  6.0 – ?    c3         x := 3              unknown ERR_COMMIT_UNKNOWN',
    ]);
  });

  test('every kind of action has words', () => {
    const actions: Operation['action'][] = [
      { kind: 'transfer', id: 't1', from: 'a', to: 'b', amount: 5, key: 'k1' },
      { kind: 'balances', group: 'g', balances: { a: 1, b: 2 } },
      { kind: 'insert', account: 'a', id: 'row1' },
      read(1, { kind: 'bounded', maxStalenessMs: 50 }),
    ];
    const text = formatHistory(
      historyOf(actions.map((action, at) => op([at, at + 1], action))),
      upTo(4),
    );
    for (const words of [
      't1: 5 from a to b key k1',
      'g -> total 3',
      'row row1 for a',
      'bounded 50 ms',
    ]) {
      assert.ok(text.includes(words), text);
    }
    assert.match(formatHistory(history, [2]), /x: 1 => 2 refused/);
    assert.match(formatHistory(history, [4]), /k \+= 4, k -> \[… 2 3 4 5 6 7 8 9\]/);
  });

  test('operationsAt keeps the order of the history', () => {
    const indexes = operationsAt(history.operations, [3, 0]).map(({ index }) => index);
    assert.deepEqual(indexes, [0, 3]);
  });
});
