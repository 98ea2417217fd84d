/** One signal per call: which of its two causes struck, and nothing left behind. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { startDeadline } from '../../src/client/deadline.ts';
import { countingClock, manualClock } from '../support/clocks.ts';

describe('a deadline', () => {
  test('aborts when its time is up, and says so', () => {
    const clock = manualClock();
    const deadline = startDeadline(clock, { timeoutMs: 5_000 });
    clock.advance(4_999);
    assert.equal(deadline.signal.aborted, false);
    assert.equal(deadline.remainingMs(), 1);
    clock.advance(1);
    assert.equal(deadline.signal.aborted, true);
    assert.equal(deadline.error().code, 'ERR_DEADLINE_EXCEEDED');
    assert.equal(deadline.remainingMs(), 0);
    deadline.end();
  });

  test("aborts with the caller's signal, whose reason is the cause", () => {
    const caller = new AbortController();
    const deadline = startDeadline(countingClock(), { timeoutMs: 60_000, signal: caller.signal });
    const reason = new Error('changed my mind');
    caller.abort(reason);
    assert.equal(deadline.signal.aborted, true);
    assert.equal(deadline.error().code, 'ERR_ABORTED');
    assert.equal(deadline.error().cause, reason);
    deadline.end();
  });

  test('is over at once for a caller that has given up already', () => {
    const signal = AbortSignal.abort();
    const deadline = startDeadline(countingClock(), { timeoutMs: 60_000, signal });
    assert.equal(deadline.error().code, 'ERR_ABORTED');
    deadline.end();
  });

  test('keeps the first cause', () => {
    const caller = new AbortController();
    const clock = manualClock();
    const deadline = startDeadline(clock, { timeoutMs: 1_000, signal: caller.signal });
    clock.advance(1_000);
    caller.abort();
    assert.equal(deadline.error().code, 'ERR_DEADLINE_EXCEEDED');
    deadline.end();
  });

  test('leaves no timer and no listener once it has ended, however often', () => {
    const clock = countingClock();
    const caller = new AbortController();
    const deadline = startDeadline(clock, { timeoutMs: 60_000, signal: caller.signal });
    assert.equal(clock.armed, 1);
    deadline.end();
    deadline.end();
    assert.equal(clock.armed, 0);
    assert.equal(getEventListeners(caller.signal, 'abort').length, 0);
    caller.abort();
    assert.equal(deadline.signal.aborted, false);
  });
});
