/** Bounded reads at the edge of their bound, and beyond it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SLACK_MS, staleness } from '../../src/verify/checkers/staleness.ts';
import type { Action, Verdict } from '../../src/verify/history.ts';
import { historyOf, op, read, swap, write, type Sketch } from '../support/histories.ts';

const bounded = (value: number | null, maxStalenessMs = 100): Action =>
  read(value, { kind: 'bounded', maxStalenessMs });
const check = (...sketches: Sketch[]): Verdict => staleness.check(historyOf(sketches));
const finds = (verdict: Verdict): (readonly number[])[] =>
  verdict.violations.map(({ operations }) => operations);
const writes = [op([0, 10], write(1)), op([20, 30], write(2))];

describe('bounded reads', () => {
  test('may be as old as they asked', () => {
    assert.deepEqual(finds(check(...writes, op([130 + SLACK_MS, 900], bounded(1)))), []);
    assert.deepEqual(check(...writes, op([900, 901], bounded(2))).covered, {
      reads: 1,
      compared: 1,
    });
    assert.deepEqual(check(...writes, op([40, 41], bounded(null))).covered, {
      reads: 1,
      compared: 0,
    });
  });

  test('are too old', () => {
    assert.deepEqual(finds(check(...writes, op([131 + SLACK_MS, 140], bounded(1)))), [[1, 2]]);
    assert.deepEqual(finds(check(...writes, op([500, 501], bounded(null)))), [[1, 2]]);
    assert.deepEqual(finds(check(...writes, op([500, 501], bounded(1, 600)))), []);
  });

  test('replaced by a swap, or by a write of unknown outcome that a strong read had shown', () => {
    const swapped = [op([0, 50], swap(null, 1, true)), op([0, 50], swap(1, 2, true))];
    assert.deepEqual(finds(check(...swapped, op([500, 501], bounded(1)))), [[1, 2]]);
    const untold = [writes[0], op([20, 30], write(2), { outcome: 'unknown' })].flatMap(
      (w) => w ?? [],
    );
    const late = op([500, 501], bounded(1));
    assert.deepEqual(finds(check(...untold, late)), []);
    assert.deepEqual(finds(check(...untold, op([40, 45], read(2)), late)), [[1, 3]]);
    assert.deepEqual(finds(check(...untold, op([40, 45], bounded(2)), late)), []);
  });

  test('nothing is claimed of writes that overlap', () => {
    const overlapping = [op([0, 25], write(1)), op([20, 30], write(2))];
    assert.deepEqual(finds(check(...overlapping, op([500, 501], bounded(1)))), []);
    assert.deepEqual(finds(check(...overlapping, op([500, 501], bounded(2)))), []);
  });

  test('of writes in turn: right exactly up to the bound', () => {
    const gap = fc.integer({ min: 2, max: 60 });
    const gaps = fc.array(gap, { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(gaps, fc.nat(), fc.nat(300), (list, pick, after) => {
        let now = 0;
        const ends = list.map((wait) => (now += wait));
        const sketches = ends.map((end, index) => op([end - 1, end], write(index + 1)));
        const start = now + after + 1;
        const value = pick % (list.length + 1);
        const replacedAt = ends[value] ?? Infinity;
        const verdict = check(...sketches, op([start, start + 1], bounded(value || null)));
        assert.equal(verdict.violations.length, start - replacedAt > 100 + SLACK_MS ? 1 : 0);
      }),
    );
  });
});
