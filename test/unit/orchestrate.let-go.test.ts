/** When an app server that has left the view may be ended, by what gateways say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLog } from '../../src/kernel/log.ts';
import { lettingGo, type LetGoAnswer } from '../../src/orchestrate/let-go.ts';
import type { Clock } from '../../src/kernel/clock.ts';

const IN_FLIGHT_MS = 15_000;

/** Time passes when it is slept away. */
function sleptClock(): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
    schedule: () => () => {},
  };
}

/** What a gateway says at a time; resolves with when the server may be ended, and when it was late. */
async function wait(
  says: (nowMs: number) => LetGoAnswer,
  stopsMs = Infinity,
): Promise<{ readonly endedMs: number; readonly lateMs: readonly number[] }> {
  const clock = sleptClock();
  const lateMs: number[] = [];
  const letGoOf = lettingGo({
    ...{ clock, log: silentLog, inFlightMs: IN_FLIGHT_MS, version: () => 7 },
    uses: (instance, version) => {
      assert.deepEqual([instance, version], ['eu.0#1', 7]);
      return new Map([
        ['gateway.us', 'free'],
        ['gateway.eu', says(clock.monotonicMs())],
      ]);
    },
    stopping: () => clock.monotonicMs() >= stopsMs,
  });
  await letGoOf('eu.0#1', (why) => {
    assert.match(why, /gateway\.eu/);
    assert.doesNotMatch(why, /gateway\.us/);
    lateMs.push(clock.monotonicMs());
  });
  return { endedMs: clock.monotonicMs(), lateMs };
}

describe('letting go of an app server', () => {
  test('at once when every gateway is done with it', async () => {
    assert.deepEqual(await wait(() => 'free'), { endedMs: 0, lateMs: [] });
  });

  test('a gateway that has not seen the view is waited for, however long, and told of once', async () => {
    const says = (nowMs: number): LetGoAnswer => (nowMs < 3_600_000 ? 'unseen' : 'free');
    assert.deepEqual(await wait(says), { endedMs: 3_600_000, lateMs: [10_000] });
  });

  test('what is in flight has the time of a request, from when the view was seen', async () => {
    const says = (nowMs: number): LetGoAnswer => (nowMs < 9_000 ? 'unseen' : 'busy');
    assert.deepEqual(await wait(says), { endedMs: 9_000 + IN_FLIGHT_MS, lateMs: [] });
  });

  test('a platform that stops waits shortly, also when it was waiting already', async () => {
    assert.deepEqual(await wait(() => 'unseen', 20_000), { endedMs: 20_150, lateMs: [10_000] });
    assert.deepEqual(await wait(() => 'busy', 2_000), { endedMs: 3_500, lateMs: [] });
  });
});
