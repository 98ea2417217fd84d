/** The table of a range's move: total, never stuck, and no way around asking who has the range. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  isDecided,
  MOVE_EVENTS,
  MOVE_PHASES,
  MOVE_TRANSITIONS,
  moveTransition,
  type MovePhase,
} from '../../src/engines/postgres/ranges/move-machine.ts';
import { differences } from '../../src/engines/postgres/ranges/comparison.ts';

const STEPS = MOVE_PHASES.flatMap((from) =>
  MOVE_EVENTS.map((event) => ({ from, event, to: moveTransition(from, event) })),
).filter(({ from, to }) => from !== to);

const into = (phase: MovePhase): string[] =>
  STEPS.filter(({ to }) => to === phase).map(({ from, event }) => `${from}, ${event}`);

function reached(from: MovePhase): Set<MovePhase> {
  const seen = new Set([from]);
  for (const phase of seen) {
    for (const step of STEPS) if (step.from === phase) seen.add(step.to);
  }
  return seen;
}

describe("the table of a range's move", () => {
  test('is total', () => {
    assert.deepEqual(Object.keys(MOVE_TRANSITIONS).sort(), [...MOVE_PHASES].sort());
    for (const row of Object.values(MOVE_TRANSITIONS)) {
      assert.deepEqual(Object.keys(row).sort(), [...MOVE_EVENTS].sort());
      for (const phase of Object.values(row)) assert.ok(MOVE_PHASES.includes(phase));
    }
  });

  test('leads from every phase to the end, and from the first to every phase', () => {
    for (const from of MOVE_PHASES) assert.ok(reached(from).has('ended'), from);
    assert.deepEqual([...reached('settling')].sort(), [...MOVE_PHASES].sort());
  });

  test('a phase is entered by these doors and no others', () => {
    assert.deepEqual(into('settling'), ['closing, failed', 'handing-over, failed']);
    assert.deepEqual(into('clearing'), [
      'settling, source-owns',
      'preparing, failed',
      'copying, failed',
      'catching-up, failed',
    ]);
    assert.deepEqual(into('routing'), ['settling, target-owns', 'handing-over, done']);
    assert.deepEqual(into('cleaning'), ['verifying, done']);
    assert.deepEqual(into('ended'), ['clearing, given-up', 'keeping, done', 'cleaning, done']);
  });

  test('has no way back once the target may have answered anybody', () => {
    for (const { from, to } of STEPS) assert.ok(!isDecided(from) || isDecided(to), `${from} ${to}`);
  });
});

describe('a comparison', () => {
  test('names what is on one side alone, and what differs', () => {
    const source = { same: '3:9', other: '3:9', gone: '1:1', sequences: 'a,b' };
    const target = { same: '3:9', other: '3:8', more: '0:0', sequences: 'a' };
    assert.deepEqual(differences(source, target), ['gone', 'more', 'other', 'sequences']);
    assert.deepEqual(differences(source, source), []);
  });
});
