/** Copies that differ at the end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { copies } from '../../src/verify/checkers/copies.ts';
import type { Verdict } from '../../src/verify/history.ts';
import { historyOf, saidBy } from '../support/histories.ts';

const check = (...list: readonly [string, string, string][]): Verdict =>
  copies.check(
    historyOf([], { copies: list.map(([group, node, checksum]) => ({ group, node, checksum })) }),
  );

describe('copies', () => {
  test('that are equal, group by group', () => {
    const verdict = check(['g', 'a', '1'], ['g', 'b', '1'], ['h', 'c', '2'], ['h', 'd', '2']);
    assert.deepEqual(verdict.violations, []);
    assert.deepEqual(verdict.covered, { groups: 2, copies: 4 });
  });

  test('of which one differs', () => {
    const verdict = check(['g', 'a', '1'], ['g', 'b', '2'], ['g', 'c', '1']);
    assert.deepEqual(saidBy(verdict), ['copies of g differ: a, c | b']);
  });

  test('a range that arrived otherwise than it was', () => {
    const injected = { atMs: 0, healedAtMs: 1, what: 'move r1', kind: 'move', struck: [] };
    const verdict = copies.check(
      historyOf([], {}, { injected: [{ ...injected, code: 'ERR_RANGE_DIFFERS' }, injected] }),
    );
    assert.deepEqual(saidBy(verdict), ['move r1: it arrived with other rows than it had']);
  });

  test('a single one is no comparison', () => {
    assert.deepEqual(check(['g', 'a', '1']).covered, { groups: 0, copies: 0 });
  });
});
