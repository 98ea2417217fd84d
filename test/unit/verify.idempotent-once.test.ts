/** Keys that were applied once, twice, or not at all, and answered in one way or two. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { idempotentOnce } from '../../src/verify/checkers/idempotent-once.ts';
import type { Operation, Verdict } from '../../src/verify/history.ts';
import { historyOf, op, saidBy, type Sketch } from '../support/histories.ts';

const sent = (outcome: Operation['outcome'], ...answers: string[]): Sketch =>
  op(
    [0, 1],
    { kind: 'transfer', id: 't1', from: 'a', to: 'b', amount: 1, key: 'k1', answers },
    { outcome },
  );
const check = (sketches: readonly Sketch[], times: number): Verdict =>
  idempotentOnce.check(historyOf(sketches, { transfers: times === 0 ? {} : { t1: times } }));

describe('idempotent requests', () => {
  test('applied once, with one answer however often it was given', () => {
    const verdict = check([sent('ok', 'done', 'done')], 1);
    assert.deepEqual(verdict.violations, []);
    assert.deepEqual(verdict.covered, { keys: 1, answers: 2, repeated: 1 });
    assert.deepEqual(saidBy(check([sent('unknown')], 0)), []);
    assert.deepEqual(saidBy(check([sent('unknown')], 1)), []);
    assert.deepEqual(saidBy(check([sent('failed')], 0)), []);
  });

  test('applied twice', () => {
    assert.deepEqual(saidBy(check([sent('ok', 'done')], 2)), ['key k1 (ok) was applied 2 times']);
    assert.equal(check([sent('unknown')], 2).violations.length, 1);
  });

  test('applied twice under two ids of one key', () => {
    const again = sent('ok');
    const other: Sketch = {
      ...again,
      action: { kind: 'transfer', id: 't2', from: 'a', to: 'b', amount: 1, key: 'k1' },
    };
    const history = historyOf([again, other], { transfers: { t1: 1, t2: 1 } });
    assert.deepEqual(saidBy(idempotentOnce.check(history)), [
      'key k1 (ok, ok) was applied 2 times',
    ]);
  });

  test('acknowledged and not applied, refused and applied', () => {
    assert.deepEqual(saidBy(check([sent('ok')], 0)), ['key k1 (ok) was applied 0 times']);
    assert.deepEqual(saidBy(check([sent('failed')], 1)), ['key k1 (failed) was applied 1 times']);
    assert.deepEqual(saidBy(check([sent('unknown'), sent('ok')], 1)), []);
    assert.equal(check([sent('unknown'), sent('ok')], 0).violations.length, 1);
  });

  test('answered in two ways', () => {
    const said = 'key k1 was answered in 2 different ways';
    assert.deepEqual(saidBy(check([sent('ok', 'done', 'again')], 1)), [said]);
    assert.deepEqual(saidBy(check([sent('ok', 'done'), sent('ok', 'again')], 1)), [said]);
  });
});
