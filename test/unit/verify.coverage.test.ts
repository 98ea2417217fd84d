/** Runs that prove nothing, each for its reason. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHECKERS } from '../../src/verify/checkers/all.ts';
import { coverageFaults } from '../../src/verify/checkers/coverage.ts';
import type { Injected, Verdict } from '../../src/verify/history.ts';
import { historyOf, op, read, write, type Sketch } from '../support/histories.ts';

const kill: Injected = {
  ...{ atMs: 100, healedAtMs: 200, what: 'kill node us.a', kind: 'kill', struck: ['us'] },
};
const calm = [0, 10, 20, 30].map((at) => op([at, at + 2], write(at)));
const seen: Verdict = { checker: 'one', violations: [], covered: { things: 3, undecided: 0 } };
const faults = (
  sketches: readonly Sketch[],
  injected: readonly Injected[] = [kill],
  verdicts: readonly Verdict[] = [seen],
): string[] => coverageFaults(historyOf(sketches, {}, { injected }), verdicts);
const unfelt = [
  'no fault struck a group while an operation was in flight: nothing failed or slowed down',
];

describe('coverage', () => {
  test('a fault that an operation felt, by failing, not knowing, or waiting', () => {
    for (const outcome of ['failed', 'unknown'] as const) {
      assert.deepEqual(faults([...calm, op([150, 152], write(9), { outcome })]), []);
    }
    assert.deepEqual(faults([...calm, op([90, 110], write(9))]), []);
    const endless = { ...kill, healedAtMs: undefined };
    assert.deepEqual(faults([...calm, op([900, 990], write(9))], [endless]), []);
  });

  test('a fault that nobody felt, or that struck no group', () => {
    assert.deepEqual(faults([...calm, op([150, 152], write(9))]), unfelt);
    assert.deepEqual(faults([...calm, op([300, 390], write(9))]), unfelt);
    const suffered = [...calm, op([150, 152], write(9), { outcome: 'failed' })];
    assert.deepEqual(faults(suffered, [{ ...kill, struck: [] }]), unfelt);
    assert.deepEqual(faults(suffered, []), ['no fault was injected']);
  });

  test('operations of a kind of which none was acknowledged', () => {
    const suffered = op([150, 152], read(1), { outcome: 'failed' });
    assert.deepEqual(faults([...calm, suffered]), [
      'no operation of kind register-read strong was acknowledged',
    ]);
    assert.deepEqual(faults([])[0], 'no operation was run');
  });

  test('a checker that looked at nothing, or could not decide', () => {
    const felt = [...calm, op([90, 110], write(9))];
    const verdict = (covered: Verdict['covered']): Verdict => ({ ...seen, covered });
    assert.deepEqual(faults(felt, [kill], [verdict({ things: 0, skipped: 0 })]), [
      'one covered no things',
    ]);
    assert.deepEqual(faults(felt, [kill], [verdict({ things: 1, undecided: 2 })]), [
      'one left 2 undecided',
    ]);
    assert.deepEqual(faults(felt, [kill], [verdict({})]), ['one covered nothing']);
  });

  test('on an empty history every checker has covered nothing, and names are unique', () => {
    const history = historyOf([]);
    const reasons = coverageFaults(
      history,
      CHECKERS.map((checker) => checker.check(history)),
    );
    for (const { name, claims } of CHECKERS) {
      assert.ok(
        reasons.some((reason) => reason.startsWith(`${name} covered no`)),
        name,
      );
      assert.ok(claims.length > 20);
    }
    assert.equal(new Set(CHECKERS.map(({ name }) => name)).size, CHECKERS.length);
  });
});
