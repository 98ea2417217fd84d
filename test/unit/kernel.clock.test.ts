/** The system clock: waits end in time or when aborted, and leave no listener or timer behind. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { systemClock, waitUntil, type Clock } from '../../src/kernel/clock.ts';

/** Time passes only while somebody sleeps. */
function steppingClock(): Clock & { readonly slept: number[] } {
  let time = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => time,
    monotonicMs: () => time,
    sleep: async (ms) => {
      slept.push(ms);
      time += ms;
    },
    schedule: () => () => {},
  };
}

describe('system clock', () => {
  test('sleeps at least as long as asked', async () => {
    const before = systemClock.monotonicMs();
    await systemClock.sleep(20);
    assert.ok(systemClock.monotonicMs() - before >= 19);
  });

  test('an abort ends a sleep at once, with the reason as cause', async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort(new Error('enough'));
    await assert.rejects(sleeping, { code: 'ERR_ABORTED', cause: new Error('enough') });
    await assert.rejects(systemClock.sleep(60_000, controller.signal), { code: 'ERR_ABORTED' });
  });

  test('a finished sleep leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    await systemClock.sleep(1, signal);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  test('schedule calls once, unless cancelled', async () => {
    const calls: string[] = [];
    const cancel = systemClock.schedule(1, () => calls.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      const holdOpen = setTimeout(() => {}, 10_000);
      systemClock.schedule(5, () => {
        calls.push('called');
        clearTimeout(holdOpen);
        resolve();
      });
    });
    assert.deepEqual(calls, ['called']);
  });
});

describe('waitUntil', () => {
  test('gives the first value, asking at the interval', async () => {
    const clock = steppingClock();
    let asked = 0;
    const value = await waitUntil(clock, { what: 'three', timeoutMs: 1_000, intervalMs: 5 }, () =>
      ++asked === 3 ? 'ready' : undefined,
    );
    assert.equal(value, 'ready');
    assert.deepEqual(clock.slept, [5, 5]);
  });

  test('names what it waited for when time is over', async () => {
    await assert.rejects(
      waitUntil(steppingClock(), { what: 'a leader', timeoutMs: 100 }, () => undefined),
      { code: 'ERR_START_TIMEOUT', message: 'waited 100 ms for a leader' },
    );
  });

  test('false and 0 are values, and a failing check fails the wait', async () => {
    const options = { what: 'it', timeoutMs: 100 };
    assert.equal(await waitUntil(steppingClock(), options, () => false), false);
    assert.equal(await waitUntil(steppingClock(), options, async () => 0), 0);
    await assert.rejects(
      waitUntil(steppingClock(), options, () => Promise.reject(new Error('broken'))),
      /broken/,
    );
  });
});
