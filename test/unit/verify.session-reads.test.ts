/** Reads with a token: what the bearer had seen is seen, and nothing is claimed that is not certain. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatToken, type Token } from '../../src/topology/position.ts';
import { sessionReads } from '../../src/verify/checkers/session-reads.ts';
import type { Action, Operation, Verdict } from '../../src/verify/history.ts';
import { historyOf, op, read, swap, write, type Sketch } from '../support/histories.ts';

const at = (log: number, epoch = 1): Token =>
  formatToken([{ group: 'us', epoch, log: BigInt(log) }]);
/** By one client unless told otherwise. */
const by = (
  when: readonly [number, number],
  action: Action,
  more: Partial<Operation> = {},
): Sketch => op(when, action, { client: 'me', ...more });
const withToken = (value: number | null, log: number): Action =>
  read(value, { kind: 'token', token: at(log) });
const check = (...sketches: Sketch[]): Verdict => sessionReads.check(historyOf(sketches));
const finds = (verdict: Verdict): (readonly number[])[] =>
  verdict.violations.map(({ operations }) => operations);

const first = by([0, 1], write(1), { token: at(10) });
const second = by([2, 3], write(2), { token: at(20) });

describe('reads with a token', () => {
  test('see what their bearer wrote', () => {
    const verdict = check(first, second, by([4, 5], withToken(2, 20)));
    assert.deepEqual(verdict.violations, []);
    assert.deepEqual(verdict.covered, { reads: 1, compared: 2 });
  });

  test('do not see their own write', () => {
    assert.deepEqual(finds(check(first, second, by([4, 5], withToken(1, 20)))), [[1, 2]]);
    assert.deepEqual(finds(check(first, by([4, 5], withToken(null, 10)))), [[0, 1]]);
  });

  test('a later epoch includes the earlier', () => {
    const asked = read(1, { kind: 'token', token: at(1, 2) });
    assert.deepEqual(finds(check(first, second, by([4, 5], asked))), [[1, 2]]);
  });

  test('go back behind what their bearer had read', () => {
    const others = [op([0, 1], write(1)), op([2, 3], write(2))];
    const seen = by([4, 5], withToken(2, 0), { token: at(20) });
    assert.deepEqual(finds(check(...others, seen, by([6, 7], withToken(1, 20)))), [[2, 3]]);
    assert.deepEqual(finds(check(...others, seen, by([6, 7], withToken(2, 20)))), []);
  });

  test('go back along swaps that overlap: their order is certain all the same', () => {
    const swaps = [op([0, 50], swap(null, 1, true)), op([1, 50], swap(1, 2, true))];
    const seen = by([60, 61], withToken(2, 0), { token: at(20) });
    assert.deepEqual(finds(check(...swaps, seen, by([62, 63], withToken(1, 20)))), [[2, 3]]);
  });

  test('nothing is claimed of writes that overlap', () => {
    const others = [op([0, 50], write(1)), op([0, 50], write(2))];
    const seen = by([60, 61], withToken(2, 0), { token: at(20) });
    assert.deepEqual(finds(check(...others, seen, by([62, 63], withToken(1, 20)))), []);
  });

  test('nothing is claimed of a commit that a replica showed while its leader did not yet', () => {
    // 2 was shown by a replica, then a strong read still found 1: the order is 1, 2 after all.
    const sketches = [
      op([0, 90], write(1)),
      op([0, 90], write(2)),
      op([10, 11], read(2, { kind: 'bounded', maxStalenessMs: 1 })),
      op([20, 21], read(1)),
      by([30, 31], read(1), { token: at(10) }),
      by([92, 93], withToken(2, 10)),
    ];
    assert.deepEqual(finds(check(...sketches)), []);
  });

  test('without its token, or of another client, nothing is owed', () => {
    assert.deepEqual(finds(check(first, second, by([4, 5], withToken(1, 10)))), []);
    assert.deepEqual(
      finds(check(first, second, by([4, 5], withToken(1, 20), { client: 'b' }))),
      [],
    );
    const untold = by([2, 3], write(2), { token: at(20), outcome: 'unknown' });
    assert.deepEqual(finds(check(first, untold, by([4, 5], withToken(1, 20)))), []);
    const meanwhile = by([2, 9], write(2), { token: at(20) });
    assert.deepEqual(finds(check(first, meanwhile, by([4, 5], withToken(1, 20)))), []);
  });
});
