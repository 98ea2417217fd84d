/** Who dials when: few at a time, one at first and after a failure, then after a pause. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  DIALS_MAX,
  DialTurns,
  TurnTimeout,
  turnOf,
  type TurnFacts,
} from '../../src/engines/postgres/dial-turns.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { manualClock } from '../support/clocks.ts';

const FACTS: TurnFacts = {
  ...{ idleCount: 0, totalCount: 0, max: 8, taking: 0 },
  ...{ dialling: 0, failures: 0, pausedForMs: 0 },
};

describe('a turn', () => {
  const kind = (facts: Partial<TurnFacts>): string => turnOf({ ...FACTS, ...facts }).kind;

  test('a free connection is taken, unless it is promised', () => {
    assert.equal(kind({ idleCount: 1, totalCount: 8 }), 'take');
    assert.equal(kind({ idleCount: 1, totalCount: 8, taking: 1 }), 'wait');
  });

  test('the first dial is alone; then a few at a time, up to the pool’s size', () => {
    assert.equal(kind({}), 'dial');
    assert.equal(kind({ totalCount: 1, dialling: 1 }), 'wait');
    assert.equal(kind({ totalCount: 2, dialling: 1 }), 'dial');
    assert.equal(kind({ totalCount: 1 + DIALS_MAX, dialling: DIALS_MAX }), 'wait');
    assert.equal(kind({ totalCount: 8 }), 'wait');
  });

  test('after a failure one at a time, and not before the pause is over', () => {
    assert.equal(kind({ totalCount: 3, failures: 1, dialling: 1 }), 'wait');
    assert.deepEqual(turnOf({ ...FACTS, failures: 1, pausedForMs: 7 }), { kind: 'pause', ms: 7 });
    assert.equal(kind({ failures: 1 }), 'dial');
  });
});

/** A pool whose dials end when the test says so. */
function pool(max = 8) {
  const clock = manualClock();
  const size = { idleCount: 0, totalCount: 0 };
  const dials: { succeed: () => void; fail: () => void }[] = [];
  const turns = new DialTurns<string>({
    ...{ clock, random: seededRandom(1), pool: size, max, waitMs: 3_000 },
    connect: () => {
      if (size.idleCount > 0) {
        size.idleCount -= 1;
        return Promise.resolve('kept');
      }
      size.totalCount += 1;
      return new Promise((resolve, reject) => {
        dials.push({
          succeed: () => {
            resolve('new');
          },
          fail: () => {
            size.totalCount -= 1;
            reject(new Error('refused'));
          },
        });
      });
    },
  });
  const release = (): void => {
    size.idleCount += 1;
    turns.next();
  };
  return { clock, dials, turns, release };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('dialling', () => {
  test('everybody waits for the first; then few dial at a time, and what comes free is taken', async () => {
    const { dials, turns, release } = pool();
    const served = Array.from({ length: 20 }, () => turns.ask().connecting);
    assert.equal(dials.length, 1);
    dials[0]?.succeed();
    assert.equal(await served[0], 'new');
    await settled();
    assert.equal(dials.length, 1 + DIALS_MAX);
    release();
    assert.equal(await served[1 + DIALS_MAX], 'kept');
    turns.end();
    const rest = await Promise.allSettled(served.slice(2 + DIALS_MAX));
    assert.ok(rest.every(({ status }) => status === 'rejected'));
  });

  test('a failure is told to all who wait; the next dial comes after a pause, which grows', async () => {
    const { clock, dials, turns } = pool();
    for (let round = 1; round <= 8; round += 1) {
      const asked = Array.from({ length: 5 }, () => turns.ask().connecting);
      // The pause of the round before.
      clock.advance(2_000);
      assert.equal(dials.length, round, `round ${String(round)}`);
      dials.at(-1)?.fail();
      const results = await Promise.allSettled(asked);
      assert.ok(results.every(({ status }) => status === 'rejected'));
    }
    const last = turns.ask();
    clock.advance(2_000);
    dials.at(-1)?.succeed();
    assert.equal(await last.connecting, 'new');
    turns.end();
  });

  test('nobody waits longer than the limit, and who leaves has no place in the queue', async () => {
    const { clock, dials, turns } = pool(1);
    const first = turns.ask();
    const [late, left] = [turns.ask(), turns.ask()];
    assert.equal(turns.waitingCount, 2);
    left.leave();
    await assert.rejects(left.connecting, TurnTimeout);
    assert.equal(turns.waitingCount, 1);
    const refused = assert.rejects(late.connecting, TurnTimeout);
    clock.advance(3_000);
    await refused;
    dials[0]?.succeed();
    assert.equal(await first.connecting, 'new');
    turns.end();
  });
});
