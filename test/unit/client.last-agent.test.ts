/** Who decides a transaction over several groups, and how long its parts may take. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { commitTakesMs, lastAgent, lockWaitMs } from '../../src/client/last-agent.ts';

const near = { group: 'us-east-1', roundTripMs: 1 };
const far = { group: 'ap-south-1', roundTripMs: 200 };
const middle = { group: 'eu-west-1', roundTripMs: 80 };

describe('the last agent', () => {
  test('of two it is the farther one; of equally far ones the first', () => {
    assert.equal(lastAgent([near, far, middle]), 1);
    assert.equal(lastAgent([near, far]), 1);
    assert.equal(lastAgent([far, near]), 0);
    assert.equal(lastAgent([near, { ...near, group: 'other' }]), 0);
  });

  test('of several it may be a near one, when there are two far ones anyway', () => {
    assert.equal(lastAgent([far, near, { ...far, roundTripMs: 190 }]), 1);
  });

  test('no other choice would make the commit shorter', () => {
    const one = fc.record({ group: fc.string(), roundTripMs: fc.nat(500) });
    fc.assert(
      fc.property(fc.array(one, { minLength: 2, maxLength: 6 }), (all) => {
        const takes = (last: number): number =>
          2 * Math.max(...all.filter((_, i) => i !== last).map((p) => p.roundTripMs)) +
          (all[last]?.roundTripMs ?? 0);
        const best = Math.min(...all.map((_, index) => takes(index)));
        assert.equal(takes(lastAgent(all)), best);
        assert.ok(commitTakesMs(all) >= best);
      }),
    );
  });

  test('a wait for a row is longer than a commit, and differs between two that wait', () => {
    const all = [near, far];
    assert.ok(lockWaitMs(all, 0) > commitTakesMs(all));
    assert.ok(lockWaitMs(all, 0.9) > lockWaitMs(all, 0.1));
    assert.ok(lockWaitMs(all, 0.999) < 3_000);
  });
});
