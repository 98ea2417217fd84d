/** The order in which steps run, and what a failure stops. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { Engine, EngineStep } from '../../src/engines/engine.ts';
import type { ClusterSnapshot } from '../../src/engines/snapshot.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { checkOrder, reconcile } from '../../src/orchestrate/reconcile.ts';
import { DESIRED, FRESH } from './engine.fixtures.ts';

type Plan = Readonly<Record<string, readonly string[]>>;

const stepsOf = (plan: Plan): EngineStep[] =>
  Object.entries(plan).map(([id, after]) => ({
    ...{ id, after, summary: id, effect: 'metadata', action: {} },
  }));

/** An engine whose cluster is the set of steps that were done. */
function engineOf(
  plan: Plan,
  perform: (id: string) => Promise<void> | void = () => {},
  sticky = false,
): { engine: Engine; done: string[] } {
  const done: string[] = [];
  const engine = {
    adopt: () => {},
    observe: (): Promise<ClusterSnapshot> => Promise.resolve(FRESH),
    plan: () => stepsOf(plan).filter((step) => sticky || !done.includes(step.id)),
    perform: async (step: EngineStep) => {
      await perform(step.id);
      done.push(step.id);
      return { kind: 'done' };
    },
  };
  return { engine: engine as unknown as Engine, done };
}

const run = (engine: Engine, signal = new AbortController().signal): Promise<void> =>
  reconcile(engine, DESIRED, { clock: systemClock, log: silentLog, signal });

describe('reconciling', () => {
  test('does every step once, behind all that it names, in whatever order they are listed', async () => {
    const { engine, done } = engineOf({ d: ['b', 'c'], b: ['a'], c: ['a'], a: [] });
    await run(engine);
    assert.equal(done.length, 4);
    assert.equal(done[0], 'a');
    assert.equal(done[3], 'd');
  });

  test('does steps that do not wait for each other at the same time', async () => {
    let under = 0;
    let most = 0;
    const { engine } = engineOf({ a: [], b: [], c: ['a', 'b'] }, async () => {
      under += 1;
      most = Math.max(most, under);
      await new Promise((resolve) => setImmediate(resolve));
      under -= 1;
    });
    await run(engine);
    assert.equal(most, 2);
  });

  test('a failure stops what waits for it and all that was not begun, and is what is told', async () => {
    const boom = new Error('boom');
    const { engine, done } = engineOf(
      { a: [], b: ['a'], c: ['b'], x: [], y: ['x'] },
      async (id) => {
        if (id === 'a') throw boom;
        // Still under way when the other fails.
        await new Promise((resolve) => setImmediate(resolve));
      },
    );
    await assert.rejects(run(engine), boom);
    assert.deepEqual(done, ['x'], 'what was under way was finished, y not begun');
  });

  test('a leader that changes meanwhile is looked at again, a bounded number of times', async () => {
    let failures = 2;
    const away = new MeridianError('ERR_ENGINE_UNAVAILABLE', 'a leader changed');
    const flaky = engineOf({ a: [], b: ['a'] }, (id) => {
      if (id === 'b' && failures-- > 0) throw away;
    });
    await run(flaky.engine);
    assert.deepEqual(flaky.done, ['a', 'b']);
    const lost = engineOf({ a: [] }, () => {
      throw away;
    });
    await assert.rejects(run(lost.engine), away);
  });

  test('an abort begins nothing further', async () => {
    const abort = new AbortController();
    const { engine, done } = engineOf({ a: [], b: ['a'] }, () => {
      abort.abort();
    });
    await assert.rejects(run(engine, abort.signal), { code: 'ERR_ABORTED' });
    assert.deepEqual(done, ['a']);
  });

  test('goes on where an earlier run stopped', async () => {
    let broken = true;
    const { engine, done } = engineOf({ a: [], b: ['a'] }, (id) => {
      if (id === 'b' && broken) throw new Error('not yet');
    });
    await assert.rejects(run(engine), /not yet/);
    broken = false;
    await run(engine);
    assert.deepEqual(done, ['a', 'b']);
  });

  test('steps that remain after being performed are a bug that is named, not a loop', async () => {
    const { engine } = engineOf({ a: [] }, () => {}, true);
    await assert.rejects(run(engine), { code: 'ERR_INTERNAL', message: /remain.*: a$/ });
  });

  test('steps that wait for each other are refused before any is begun', async () => {
    const { engine, done } = engineOf({ a: [], b: ['c'], c: ['b'] });
    await assert.rejects(run(engine), { code: 'ERR_INTERNAL', message: /b, c/ });
    assert.deepEqual(done, []);
    assert.throws(() => checkOrder(stepsOf({ a: ['a'] })), { code: 'ERR_INTERNAL' });
  });
});
