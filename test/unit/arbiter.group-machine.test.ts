/** The table of a group's leadership: total, never stuck, and no way around election or fencing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  GROUP_EVENTS,
  GROUP_PHASES,
  transition,
  TRANSITIONS,
  type GroupEvent,
  type GroupPhase,
} from '../../src/engines/postgres/arbiter/group-machine.ts';

const events = fc.array(fc.constantFrom(...GROUP_EVENTS), { maxLength: 60 });
const start = fc.constantFrom(...GROUP_PHASES);

interface Move {
  readonly from: GroupPhase;
  readonly event: GroupEvent;
  readonly to: GroupPhase;
}

const MOVES: readonly Move[] = GROUP_PHASES.flatMap((from) =>
  GROUP_EVENTS.map((event) => ({ from, event, to: transition(from, event) })),
).filter(({ from, to }) => from !== to);

/** Every step that changes the phase. */
function walk(from: GroupPhase, path: readonly GroupEvent[]): Move[] {
  const moves: Move[] = [];
  let phase = from;
  for (const event of path) {
    const to = transition(phase, event);
    if (to !== phase) moves.push({ from: phase, event, to });
    phase = to;
  }
  return moves;
}

const into = (phase: GroupPhase): string[] =>
  MOVES.filter(({ to }) => to === phase).map(({ from, event }) => `${from}, ${event}`);

describe("the table of a group's leadership", () => {
  test('is total', () => {
    assert.deepEqual(Object.keys(TRANSITIONS).sort(), [...GROUP_PHASES].sort());
    for (const row of Object.values(TRANSITIONS)) {
      assert.deepEqual(Object.keys(row).sort(), [...GROUP_EVENTS].sort());
      for (const phase of Object.values(row)) assert.ok(GROUP_PHASES.includes(phase));
    }
  });

  test('leads from every phase to open, and from open to every phase', () => {
    for (const from of GROUP_PHASES) assert.ok(reached(from).has('open'), from);
    assert.deepEqual([...reached('open')].sort(), [...GROUP_PHASES].sort());
  });

  test('a phase is entered by these doors and no others', () => {
    assert.deepEqual(into('open'), ['opening, opened', 'preparing, not-prepared']);
    assert.deepEqual(into('promoting'), [
      'restarting, answers',
      'fencing, elected',
      'stopping, stopped-clean',
    ]);
    // The second: a switchover that is taken back, while the leader has never been lost.
    assert.deepEqual(into('opening'), ['promoting, promoted', 'closing, not-prepared']);
    assert.deepEqual(into('fencing'), ['open, isolated', 'restarting, does-not-come']);
    assert.deepEqual(into('stopping'), ['closing, drained']);
  });

  test('a lost leader opens again only by way of a restart, an election or a clean stop', () => {
    fc.assert(
      fc.property(events, (path) => {
        let proved = true;
        for (const { event, to } of walk('open', path)) {
          // Until one of them has happened the leader is the one that was lost.
          if (event === 'ended' || event === 'silent' || event === 'isolated') proved = false;
          if (to === 'stopping') proved = false;
          if (event === 'answers' || event === 'elected' || event === 'stopped-clean')
            proved = true;
          if (to === 'opening' || to === 'open') assert.ok(proved, `${event} → ${to}`);
        }
      }),
    );
  });

  test('nobody leads instead who was not elected from fenced standbys or had a clean predecessor', () => {
    fc.assert(
      fc.property(start, events, (from, path) => {
        for (const move of walk(from, path)) {
          if (move.to !== 'promoting') continue;
          const by = { restarting: 'answers', fencing: 'elected', stopping: 'stopped-clean' };
          assert.equal(move.event, by[move.from as keyof typeof by]);
        }
      }),
    );
  });

  test('what is not known to have ended well is looked at again, not believed', () => {
    assert.equal(transition('stopping', 'not-clean'), 'restarting');
    assert.equal(transition('opening', 'not-opened'), 'restarting');
    assert.equal(transition('no-quorum', 'again'), 'restarting');
    // Elected and written down: there is no way back to the predecessor.
    assert.equal(transition('promoting', 'not-promoted'), 'no-quorum');
  });

  test('an event that is out of place changes nothing', () => {
    assert.equal(transition('open', 'elected'), 'open');
    assert.equal(transition('open', 'promoted'), 'open');
    assert.equal(transition('fencing', 'answers'), 'fencing');
    assert.equal(transition('no-quorum', 'elected'), 'no-quorum');
  });
});

function reached(from: GroupPhase): Set<GroupPhase> {
  const found = new Set<GroupPhase>([from]);
  for (const phase of found) {
    for (const event of GROUP_EVENTS) found.add(transition(phase, event));
  }
  return found;
}
