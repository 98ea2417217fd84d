/** A lease has run out, by its holder's own clock, before the arbiter says so: whatever happens on the way. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ended, granted, granting, newLease } from '../../src/engines/postgres/arbiter/lease.ts';

const TERMS = { leaseMs: 3_000, clockOffsetMaxMs: 0 };

const beat = fc.record({
  /** Between two beats, on the arbiter's clock. */
  pauseMs: fc.integer({ min: 1, max: 2_000 }),
  wayThereMs: fc.integer({ min: 0, max: 10_000 }),
  wayBackMs: fc.integer({ min: 0, max: 50 }),
  answered: fc.boolean(),
});

describe('a lease', () => {
  test('is never valid at its holder after the arbiter counts it as gone', () => {
    fc.assert(
      fc.property(
        fc.array(beat, { maxLength: 30 }),
        fc.integer({ min: -1e9, max: 1e9 }),
        (beats, offsetMs) => {
          let now = 0;
          let lease = newLease('a', now);
          /** In the holder's row, on its own clock; a late grant is written when it arrives. */
          const written: { atMs: number; untilMs: number }[] = [];
          for (const { pauseMs, wayThereMs, wayBackMs, answered } of beats) {
            now += pauseMs;
            lease = granting(lease, TERMS);
            const arrivesMs = now + wayThereMs;
            if (lease.base !== undefined) {
              const untilMs = Number(lease.base) + TERMS.leaseMs;
              written.push({ atMs: arrivesMs, untilMs });
            }
            if (!answered || wayThereMs > 1_000) continue;
            now = arrivesMs + wayBackMs;
            lease = granted(lease, { clock: String(arrivesMs + offsetMs), nowMs: now }, TERMS);
          }
          for (const { untilMs } of written) assert.ok(untilMs - offsetMs <= lease.goneByMs);
          assert.ok(lease.validUntilMs <= Math.max(lease.goneByMs, 0));
        },
      ),
    );
  });

  test('keeps its tenure while it is renewed in time, and begins a new one after a break', () => {
    let lease = newLease('a', 0);
    for (const nowMs of [10, 1_000, 2_000]) {
      lease = granted(granting(lease, TERMS), { clock: String(nowMs), nowMs }, TERMS);
    }
    assert.equal(lease.sinceMs, 1_000);
    assert.equal(lease.validUntilMs, 4_000);
    lease = granted(granting(lease, TERMS), { clock: '9000', nowMs: 9_000 }, TERMS);
    assert.equal(lease.sinceMs, 9_000);
    assert.equal(ended(lease, 9_500).goneByMs, 9_500);
  });
});
