/** The table of a group's machine: total, never without a way back, never a leader without an election. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  GROUP_EVENTS,
  GROUP_PHASES,
  TRANSITIONS,
  transition,
  type GroupPhase,
} from '../../src/engines/postgres/arbiter/group-machine.ts';

const reachable = (from: GroupPhase): Set<GroupPhase> => {
  const found = new Set<GroupPhase>([from]);
  for (const phase of found) for (const next of Object.values(TRANSITIONS[phase])) found.add(next);
  return found;
};

describe("a group's machine", () => {
  test('knows what every event means in every phase', () => {
    for (const phase of GROUP_PHASES) {
      assert.deepEqual(Object.keys(TRANSITIONS[phase]).toSorted(), [...GROUP_EVENTS].toSorted());
    }
  });

  test('comes back to open from everywhere', () => {
    for (const phase of GROUP_PHASES) assert.ok(reachable(phase).has('open'), phase);
  });

  test('opens only what was promoted, and promotes only who answers, was elected or handed over to', () => {
    for (const phase of GROUP_PHASES) {
      for (const event of GROUP_EVENTS) {
        const next = transition(phase, event);
        if (next === phase) continue;
        if (next === 'promoting') {
          assert.ok(['answers', 'elected', 'stopped-clean'].includes(event), `${phase} ${event}`);
        }
        if (next === 'opening') {
          // A group that was closed for a planned change opens with the leader that it has.
          assert.ok(event === 'promoted' || phase === 'closing', `${phase} ${event}`);
        }
        if (next === 'open') assert.ok(event === 'opened' || phase === 'preparing');
      }
    }
  });

  test('never changes leaders behind a leader that is well: whatever happens in between', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...GROUP_EVENTS), { maxLength: 60 }), (events) => {
        let phase: GroupPhase = 'open';
        let closed = false;
        for (const event of events) {
          const next = transition(phase, event);
          if (phase === 'open' && next !== 'open') closed = false;
          if (['fencing', 'restarting', 'closing', 'stopping'].includes(next)) closed = true;
          if (next === 'promoting') assert.ok(closed);
          phase = next;
        }
      }),
    );
  });
});
