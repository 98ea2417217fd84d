/** The table of an app server's states: total, and safe in the ways that matter. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeHealth,
  MISSES_HUNG,
  MISSES_UNHEALTHY,
  nextState,
  TRANSITIONS,
  type AppEvent,
  type AppState,
} from '../../src/app/lifecycle.ts';

const STATES = Object.keys(TRANSITIONS) as AppState[];
const EVENTS: readonly AppEvent[] = ['spawned', 'passed', 'failing', 'exited', 'drain'];

function after(start: AppState, ...events: AppEvent[]): AppState {
  return events.reduce(nextState, start);
}

describe('transitions', () => {
  test('every state answers every event with a known state', () => {
    assert.equal(STATES.length, 6);
    for (const state of STATES) {
      assert.deepEqual(Object.keys(TRANSITIONS[state]).toSorted(), EVENTS.toSorted());
      for (const event of EVENTS) assert.ok(STATES.includes(nextState(state, event)));
    }
  });

  test('the usual lives', () => {
    assert.equal(after('starting', 'spawned', 'passed'), 'ready');
    assert.equal(after('ready', 'failing'), 'unhealthy');
    assert.equal(after('unhealthy', 'passed'), 'ready');
    assert.equal(after('ready', 'exited'), 'backing-off');
    assert.equal(after('backing-off', 'spawned'), 'starting');
    assert.equal(after('ready', 'drain', 'exited'), 'stopped');
    assert.equal(after('stopped', 'spawned'), 'starting');
    assert.equal(after('backing-off', 'drain'), 'stopped');
  });

  test('only a passed check makes ready, and never while draining', () => {
    for (const state of STATES) {
      for (const event of EVENTS) {
        if (state !== 'ready' && nextState(state, event) === 'ready') assert.equal(event, 'passed');
      }
    }
    const events = fc.array(fc.constantFrom(...EVENTS.filter((event) => event !== 'exited')));
    fc.assert(
      fc.property(events, (list) => {
        assert.equal(after('draining', ...list), 'draining');
      }),
    );
  });

  test('after an end, nothing but a new process and a passed check makes ready', () => {
    const quiet = fc.array(fc.constantFrom(...EVENTS.filter((event) => event !== 'spawned')));
    fc.assert(
      fc.property(fc.constantFrom(...STATES), quiet, (state, list) => {
        assert.notEqual(after(nextState(state, 'exited'), ...list), 'ready');
      }),
    );
  });
});

test('misses are counted in a row: unhealthy at two, hung at fifteen, forgotten by one success', () => {
  const verdicts: string[] = [];
  let misses = 0;
  for (let i = 0; i < MISSES_HUNG; i += 1) {
    const health = judgeHealth(misses, false);
    misses = health.misses;
    verdicts.push(health.verdict);
  }
  assert.deepEqual(verdicts, ['missed', ...Array.from({ length: 13 }, () => 'failing'), 'hung']);
  assert.equal(MISSES_UNHEALTHY, 2);
  assert.deepEqual(judgeHealth(4, true), { misses: 0, verdict: 'passed' });
});
