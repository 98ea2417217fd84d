/** Signals made of others: who aborts first is followed, and nothing is left on the ones that live on. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { systemClock } from '../../src/kernel/clock.ts';
import { firstOf } from '../../src/kernel/signal.ts';
import { Wakeup } from '../../src/kernel/wakeup.ts';

describe('the first of several signals', () => {
  test('is followed with its reason; later ones change nothing', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    using either = firstOf(a.signal, undefined, b.signal);
    assert.equal(either.signal.aborted, false);
    b.abort('b');
    a.abort('a');
    assert.equal(either.signal.reason, 'b');
    using already = firstOf(new AbortController().signal, a.signal);
    assert.equal(already.signal.reason, 'a');
  });

  test('may be made by as many as there is work under way, without a warning', async () => {
    const warnings: string[] = [];
    const warned = (warning: Error): number => warnings.push(warning.name);
    process.on('warning', warned);
    const life = new AbortController();
    const many = Array.from({ length: 50 }, () => firstOf(life.signal));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', warned);
    assert.deepEqual(warnings, []);
    for (const one of many) one[Symbol.dispose]();
  });

  test('leaves nothing behind on those that live on, whoever waited and however it ended', async () => {
    const life = new AbortController();
    const listeners = (): number => getEventListeners(life.signal, 'abort').length;
    const bell = new Wakeup();
    for (let turn = 0; turn < 20; turn += 1) {
      using either = firstOf(life.signal, AbortSignal.abort());
      assert.ok(either.signal.aborted);
      const waiting = bell.wait(systemClock, turn % 2 === 0 ? 1 : 10_000, life.signal);
      if (turn % 2 === 1) bell.ring();
      await waiting;
    }
    assert.equal(listeners(), 0);
    const last = bell.wait(systemClock, 10_000, life.signal);
    life.abort();
    await last;
    assert.equal(listeners(), 0);
  });
});
