/** Values that nobody may read, at any freshness. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dirtyReads } from '../../src/verify/checkers/dirty-reads.ts';
import { historyOf, op, read, saidBy, swap, write, type Sketch } from '../support/histories.ts';

const said = (...sketches: Sketch[]): string[] => saidBy(dirtyReads.check(historyOf(sketches)));
const weak = { kind: 'bounded', maxStalenessMs: 1000 } as const;

describe('dirty reads', () => {
  test('an old value, and one of an unknown write, are clean', () => {
    const writes = [op([0, 1], write(1)), op([2, 3], write(2), { outcome: 'unknown' })];
    assert.deepEqual(said(...writes, op([4, 5], read(1, weak)), op([4, 5], read(2, weak))), []);
    assert.deepEqual(said(op([0, 9], write(1)), op([1, 2], read(1)), op([3, 4], read(null))), []);
  });

  test('of a write that failed, at every freshness', () => {
    const failed = op([0, 1], write(1), { outcome: 'failed' });
    for (const asked of [{ kind: 'strong' }, weak, { kind: 'token', token: '' }] as const) {
      assert.deepEqual(said(failed, op([2, 3], read(1, asked))), [
        `a ${asked.kind} read of x returned 1, whose write failed`,
      ]);
    }
  });

  test('of a swap that was refused, of nobody, of the future', () => {
    assert.equal(said(op([0, 1], swap(3, 1, false)), op([2, 3], read(1, weak))).length, 1);
    assert.deepEqual(said(op([2, 3], read(7, weak))), [
      'a bounded read of x returned 7, which nobody wrote',
    ]);
    assert.deepEqual(said(op([0, 1], read(1, weak)), op([2, 3], write(1))), [
      'a bounded read of x returned 1 before it was written',
    ]);
  });

  test('the last read, after the load, is not one of them', () => {
    const history = historyOf([op([0, 1], write(1))], { registers: { x: 1 } });
    assert.deepEqual(dirtyReads.check(history).covered, { reads: 0 });
  });
});
