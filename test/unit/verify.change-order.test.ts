/** Numbers of an account's rows follow the order in which they were acknowledged. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { changeOrder } from '../../src/verify/checkers/change-order.ts';
import type { Verdict } from '../../src/verify/history.ts';
import { historyOf, op, saidBy, type Sketch } from '../support/histories.ts';

const insert = (id: string, at: readonly [number, number], account = 'a'): Sketch =>
  op(at, { kind: 'insert', account, id });
const check = (sketches: readonly Sketch[], a: readonly string[]): Verdict =>
  changeOrder.check(historyOf(sketches, { rows: { a } }));

describe('the order of changes', () => {
  test('one after the other', () => {
    const rows = [insert('1', [0, 1]), insert('2', [2, 3])];
    assert.deepEqual(check(rows, ['1', '2']).violations, []);
    assert.deepEqual(check(rows, ['1', '2']).covered, { accounts: 1, rows: 2 });
    const verdict = check(rows, ['2', '1']);
    assert.deepEqual(saidBy(verdict), [
      "a's row 2 has a number before that of 1, which was acknowledged before it was begun",
    ]);
    assert.deepEqual(verdict.violations[0]?.operations, [0, 1]);
  });

  test('at the same time, either way; and of different accounts', () => {
    const rows = [insert('1', [0, 5]), insert('2', [2, 3])];
    assert.deepEqual(check(rows, ['2', '1']).violations, []);
    const apart = [insert('1', [0, 1], 'b'), insert('2', [2, 3])];
    assert.deepEqual(check(apart, ['2', '1']).violations, []);
  });

  test('rows that are gone, or were not acknowledged, say nothing', () => {
    const unknown = op([0, 1], { kind: 'insert', account: 'a', id: '1' }, { outcome: 'unknown' });
    assert.deepEqual(check([unknown, insert('2', [2, 3])], ['2', '1']).violations, []);
    assert.deepEqual(check([insert('1', [0, 1]), insert('2', [2, 3])], ['2']).violations, []);
  });

  test('any order that real time allows is accepted; of two swapped neighbours one is told', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(lengths, (takes) => {
        // Each takes effect in the middle: so that is the order of the numbers.
        const rows = takes.map((take, n) => insert(String(n), [n * 10, n * 10 + take]));
        const byMiddle = takes
          .map((take, n) => ({ id: String(n), middle: n * 10 + take / 2 }))
          .toSorted((a, b) => a.middle - b.middle)
          .map(({ id }) => id);
        assert.deepEqual(check(rows, byMiddle).violations, []);
        const apart = takes.map((_, n) => insert(String(n), [n * 10, n * 10 + 1]));
        const ids = takes.map((_, n) => String(n));
        const swapped = [ids[1] ?? '', ids[0] ?? '', ...ids.slice(2)];
        assert.equal(check(apart, swapped).violations.length, 1);
      }),
    );
  });
});
