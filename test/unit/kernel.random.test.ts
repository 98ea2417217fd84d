/** Seeded randomness replays; back-off stays within its bounds and spreads over them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom, systemRandom } from '../../src/kernel/random.ts';
import { backoffMs } from '../../src/kernel/retry.ts';

const draw = (seed: number, count: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

describe('random', () => {
  test('a seed replays its sequence, and another seed gives another', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        assert.deepEqual(draw(seed, 20), draw(seed, 20));
        assert.notDeepEqual(draw(seed, 20), draw(seed + 1, 20));
      }),
    );
  });

  test('numbers are in [0, 1) and spread evenly', () => {
    const numbers = draw(7, 20_000);
    assert.ok(numbers.every((value) => value >= 0 && value < 1));
    const buckets = Array.from({ length: 10 }, () => 0);
    for (const value of numbers) {
      const bucket = Math.floor(value * 10);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    assert.ok(
      buckets.every((count) => count > 1_850 && count < 2_150),
      buckets.join(' '),
    );
  });

  test('below gives integers under its bound', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 1_000_000 }), (seed, bound) => {
        for (const random of [seededRandom(seed), systemRandom]) {
          const value = random.below(bound);
          assert.ok(Number.isInteger(value) && value >= 0 && value < bound);
        }
      }),
    );
  });
});

describe('back-off', () => {
  test('never exceeds the doubled base nor the maximum, however late the attempt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 60_000 }),
        (attempt, baseMs, maxMs) => {
          const wait = backoffMs(attempt, seededRandom(attempt), { baseMs, maxMs });
          assert.ok(wait >= 0 && wait <= maxMs && wait <= baseMs * 2 ** (attempt - 1));
        },
      ),
    );
  });

  test('uses the whole interval, so that retries do not meet again', () => {
    const at = (value: number): number =>
      backoffMs(4, { next: () => value, below: () => 0 }, { baseMs: 10, maxMs: 1_000 });
    assert.equal(at(0), 0);
    assert.equal(at(0.5), 40);
    assert.ok(at(0.999) > 79);
  });
});
