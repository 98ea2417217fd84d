/** Leases: whatever happens to grants and answers, none is in force when its end has been counted. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ended,
  granted,
  granting,
  newLease,
  reopened,
  type Lease,
} from '../../src/engines/postgres/arbiter/lease.ts';

const TERMS = { leaseMs: 3_000, clockOffsetMaxMs: 0 };

/** One beat: how long the arbiter waits before it, and how long its two ways take; undefined: lost. */
interface Beat {
  readonly pauseMs: number;
  readonly thereMs: number | undefined;
  readonly backMs: number | undefined;
}

/**
 * The holder, beside the arbiter: its clock is `offsetMs` off, its row is the last grant that reached it
 * (as `meridian.beat` writes it), and it believes what the row says by its own clock.
 */
function simulate(
  beats: readonly Beat[],
  world: { readonly offsetMs: number; readonly terms: typeof TERMS },
): { readonly lease: Lease; readonly believed: readonly { fromMs: number; untilMs: number }[] } {
  const { offsetMs, terms } = world;
  let nowMs = 10_000;
  let lease = newLease('a', nowMs);
  const believed: { fromMs: number; untilMs: number }[] = [];
  const answers: { readonly atMs: number; readonly clock: string }[] = [];
  for (const { pauseMs, thereMs, backMs } of beats) {
    nowMs += pauseMs;
    // Those that have come by now, in the order in which they came.
    answers.sort((a, b) => a.atMs - b.atMs);
    while (answers[0] !== undefined && answers[0].atMs <= nowMs) {
      const { atMs, clock } = answers.shift() ?? { atMs: 0, clock: '' };
      lease = granted(lease, { clock, nowMs: atMs }, terms);
    }
    lease = granting(lease, terms);
    if (thereMs === undefined) continue;
    const arrivesAtMs = nowMs + thereMs;
    if (lease.base !== undefined) {
      // On the arbiter's clock: the row says it on the holder's.
      const untilMs = Number(lease.base) + terms.leaseMs - offsetMs;
      believed.push({ fromMs: arrivesAtMs, untilMs });
    }
    if (backMs === undefined) continue;
    answers.push({ atMs: arrivesAtMs + backMs, clock: String(arrivesAtMs + offsetMs) });
  }
  return { lease, believed };
}

const way = fc.option(
  fc.oneof({ weight: 3, arbitrary: fc.nat(50) }, { weight: 1, arbitrary: fc.nat(20_000) }),
  { nil: undefined },
);
const beats = fc.array(fc.record({ pauseMs: fc.nat(1_500), thereMs: way, backMs: way }), {
  maxLength: 40,
});

describe('leases', () => {
  test('the first beat grants nothing: the holder’s clock is not known yet', () => {
    const before = newLease('a', 100);
    assert.deepEqual(granting(before, TERMS), before);
    const after = granted(before, { clock: '77', nowMs: 130 }, TERMS);
    assert.deepEqual([after.base, after.baseAtMs, after.validUntilMs], ['77', 130, 100]);
  });

  test('the end of a grant is counted before it is sent', () => {
    const known = granted(newLease('a', 100), { clock: '77', nowMs: 130 }, TERMS);
    assert.equal(granting(known, TERMS).goneByMs, 130 + TERMS.leaseMs);
    const apart = { ...TERMS, clockOffsetMaxMs: 250 };
    assert.equal(granting(known, apart).goneByMs, 130 + TERMS.leaseMs + 250);
  });

  test('tenure goes on while grants follow each other, and begins anew after a break', () => {
    const beat = (lease: Lease, nowMs: number): Lease =>
      granted(granting(lease, TERMS), { clock: String(nowMs), nowMs }, TERMS);
    const first = beat(beat(newLease('a', 0), 10), 20);
    const next = beat(first, 1_000);
    assert.deepEqual([first.sinceMs, next.sinceMs], [20, 20]);
    assert.equal(beat(next, 9_000).sinceMs, 9_000);
  });

  test('given back, or its holder dead, nothing has to be waited for', () => {
    const lease = granting(granted(newLease('a', 0), { clock: '5', nowMs: 5 }, TERMS), TERMS);
    assert.equal(ended(lease, 40).goneByMs, 40);
    // And nothing more is granted on what was known.
    assert.equal(granting(ended(lease, 40), TERMS).goneByMs, 40);
  });

  test('opened again, the same holder may still have what it was granted before', () => {
    const lease = granting(granted(newLease('a', 0), { clock: '5', nowMs: 5 }, TERMS), TERMS);
    assert.equal(reopened(lease, 'a', 40).goneByMs, 3_005);
    assert.equal(reopened(lease, 'a', 9_000).goneByMs, 9_000);
    assert.equal(reopened(lease, 'b', 40).goneByMs, 40);
    assert.equal(reopened(lease, 'a', 40).base, undefined);
  });

  test('no grant, however late, lost or overtaken, is in force after its end was counted', () => {
    fc.assert(
      fc.property(beats, fc.integer({ min: -60_000, max: 60_000 }), (sent, offsetMs) => {
        const { lease, believed } = simulate(sent, { offsetMs, terms: TERMS });
        for (const { fromMs, untilMs } of believed) {
          if (untilMs > fromMs) assert.ok(untilMs <= lease.goneByMs);
        }
        assert.ok(lease.validUntilMs <= Math.max(lease.goneByMs, lease.baseAtMs));
      }),
      { numRuns: 500 },
    );
  });

  test('what is counted only ever moves on', () => {
    fc.assert(
      fc.property(beats, (sent) => {
        const ends = sent.map(
          (_, index) =>
            simulate(sent.slice(0, index + 1), { offsetMs: 0, terms: TERMS }).lease.goneByMs,
        );
        assert.deepEqual(
          ends,
          [...ends].sort((a, b) => a - b),
        );
      }),
    );
  });
});
