/** Rows that were acknowledged, refused, or nobody knows. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { acknowledgedWrites } from '../../src/verify/checkers/acknowledged-writes.ts';
import type { FinalState, Verdict } from '../../src/verify/history.ts';
import { historyOf, op, saidBy, type Sketch } from '../support/histories.ts';

type Outcome = 'ok' | 'failed' | 'unknown';

const insert = (id: string, outcome: Outcome, account = 'a'): Sketch =>
  op([0, 1], { kind: 'insert', account, id }, { outcome });
const check = (sketches: readonly Sketch[], rows: FinalState['rows']): Verdict =>
  acknowledgedWrites.check(historyOf(sketches, { rows }));
const all = [insert('1', 'ok'), insert('2', 'failed'), insert('3', 'unknown')];

describe('acknowledged rows', () => {
  test('an unknown one may be there or not', () => {
    assert.deepEqual(saidBy(check(all, { a: ['1'] })), []);
    assert.deepEqual(saidBy(check(all, { a: ['3', '1'] })), []);
    assert.deepEqual(check(all, { a: ['3', '1'] }).covered, { acknowledged: 1, rows: 2 });
  });

  test('a lost one, with all of its account or alone', () => {
    assert.deepEqual(saidBy(check(all, { a: [] })), ["lost: a's acknowledged row 1 is gone"]);
    assert.deepEqual(check(all, {}).violations[0]?.operations, [0]);
  });

  test('one that failed and is there, one that is there twice, one of nobody, one elsewhere', () => {
    assert.deepEqual(saidBy(check(all, { a: ['1', '2'] })), ["a's row 2 is there, but it failed"]);
    assert.deepEqual(saidBy(check(all, { a: ['1', '1'] })), ["a's row 1 is there 2 times"]);
    assert.deepEqual(saidBy(check(all, { a: ['1', '3', '3'] })), ["a's row 3 is there 2 times"]);
    assert.deepEqual(saidBy(check(all, { a: ['1', '9'] })), ['a has a row 9 that nobody inserted']);
    assert.equal(check(all, { b: ['1'] }).violations.length, 2);
  });

  test('any right set of rows is accepted, and refused without any acknowledged one', () => {
    const outcomes = fc.array(fc.constantFrom<Outcome>('ok', 'failed', 'unknown'), {
      minLength: 1,
    });
    fc.assert(
      fc.property(outcomes, fc.nat(), (list, pick) => {
        const sketches = list.map((outcome, at) => insert(String(at), outcome));
        const there = list.flatMap((outcome, at) =>
          outcome === 'ok' || (outcome === 'unknown' && (pick + at) % 2 === 0) ? [String(at)] : [],
        );
        assert.deepEqual(saidBy(check(sketches, { a: there })), []);
        const acknowledged = there.filter((id) => list[Number(id)] === 'ok');
        const gone = acknowledged[pick % acknowledged.length];
        if (gone === undefined) return;
        const without = check(sketches, { a: there.filter((id) => id !== gone) });
        assert.deepEqual(saidBy(without), [`lost: a's acknowledged row ${gone} is gone`]);
      }),
    );
  });
});
