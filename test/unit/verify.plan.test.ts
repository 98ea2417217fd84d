/** The plan of faults: repeatable, within bounds, and complete. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MOVES } from '../../src/verify/nemesis/moves.ts';
import { SKEW_MAX_MS } from '../../src/verify/nemesis/moves/building.ts';
import {
  describePlan,
  FAULT_KINDS,
  guessMs,
  planFaults,
  type PlanFor,
} from '../../src/verify/nemesis/plan.ts';

const groups = ['us-east', 'eu-west', 'ap-south'].map((homeRegion) => ({
  name: `${homeRegion}-1`,
  homeRegion,
}));

const wanted = (over: Partial<PlanFor> = {}): PlanFor => ({
  seed: 1,
  durationMs: 60_000,
  faults: FAULT_KINDS,
  layout: 'zone',
  groups,
  nonVoters: true,
  ...over,
});

const PINNED = { name: 'ap-south-pinned-1', homeRegion: 'ap-south', residency: 'pinned' };

const anyPlan = fc.record({
  groups: fc.constantFrom(groups, [PINNED, ...groups]),
  seed: fc.nat(),
  durationMs: fc.integer({ min: 2_000, max: 300_000 }),
  faults: fc.subarray([...FAULT_KINDS], { minLength: 1 }),
  layout: fc.constantFrom('zone' as const, 'region' as const),
  nonVoters: fc.boolean(),
});

describe('planFaults', () => {
  test('the same seed gives the same plan, another one another', () => {
    const plan = planFaults(wanted());
    assert.deepEqual(planFaults(wanted()), plan);
    assert.notDeepEqual(planFaults(wanted({ seed: 2 })), plan);
    assert.notEqual(describePlan(plan), '');
  });

  test('no faults, no moves', () => {
    assert.deepEqual(planFaults(wanted({ faults: [] })), []);
  });

  test('a short run of any single kind has a move', () => {
    for (const kind of FAULT_KINDS) {
      const plan = planFaults(wanted({ faults: [kind], durationMs: 4_000 }));
      assert.notEqual(plan.length, 0, kind);
    }
  });

  test('a minute of all kinds plays almost every move', () => {
    for (const layout of ['zone', 'region'] as const) {
      for (let seed = 1; seed <= 20; seed += 1) {
        const played = new Set(planFaults(wanted({ seed, layout })).map(({ name }) => name));
        const share = played.size / MOVES.length;
        assert.ok(share > (layout === 'zone' ? 0.75 : 0.4), `${layout} ${seed}: ${share}`);
      }
    }
  });

  test('only what was asked for, in the order of time, and one at a time in a lane', () => {
    fc.assert(
      fc.property(anyPlan, (over) => {
        const plan = planFaults(wanted(over));
        const busyUntil = new Map<string, number>();
        for (const { kind, name, atMs, lanes, steps } of plan) {
          assert.ok(over.faults.includes(kind), name);
          assert.ok(atMs < over.durationMs, name);
          for (const lane of lanes) {
            assert.ok(atMs >= (busyUntil.get(lane) ?? 0), `${name} at ${atMs} in ${lane}`);
            busyUntil.set(lane, atMs + guessMs(steps));
          }
        }
      }),
    );
  });

  test('nothing arrives in a group of a residency, and what is pinned is asked to leave first', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const plan = planFaults(wanted({ seed, groups: [PINNED, ...groups] }));
      assert.ok(plan.some(({ lanes }) => lanes[0] === PINNED.name));
      const aimed = plan.flatMap(({ steps }) => steps).filter((step) => step.do === 'begin-move');
      const groupsOf = aimed.map(({ group, into }) => group ?? into);
      assert.ok(!groupsOf.includes(PINNED.name), `seed ${seed}`);
      const [begun] = plan.find(({ lanes }) => lanes[0] === 'ranges')?.steps ?? [];
      assert.ok(begun?.do === 'begin-rehome' && begun.pinned === true, `seed ${seed}`);
    }
  });

  test('nothing lasts long, nothing is left, and clocks stay within what is allowed', () => {
    fc.assert(
      fc.property(anyPlan, (over) => {
        for (const { name, steps } of planFaults(wanted(over))) {
          assert.ok(guessMs(steps) <= 12_000, name);
          const lasting = steps.findLastIndex(
            (step) =>
              ['cut', 'slow', 'skew'].includes(step.do) ||
              step.do === 'stop' ||
              (step.do === 'kill' && step.as === 'node'),
          );
          const healed = steps.findLastIndex((step) => step.do === 'heal');
          assert.ok(healed >= lasting, `${name} heals what it did`);
          for (const step of steps) {
            if (step.do === 'skew') assert.ok(Math.abs(step.offsetMs) <= SKEW_MAX_MS);
          }
        }
      }),
    );
  });

  test('with region survival, what touches a place touches every group', () => {
    const plan = planFaults(wanted({ layout: 'region', faults: ['partition'], nonVoters: false }));
    assert.notEqual(plan.length, 0);
    for (const { lanes } of plan) assert.equal(lanes.length, groups.length);
  });
});
