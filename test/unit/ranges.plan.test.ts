/** Moves in plans: what an operator's wish becomes, what is refused, and what an earlier life has left. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planSteps } from '../../src/engines/postgres/plan.ts';
import { planWanted } from '../../src/engines/postgres/plan-wanted.ts';
import type { ClusterSnapshot, ObservedMove } from '../../src/engines/snapshot.ts';
import { desiredState } from '../../src/orchestrate/desired.ts';
import { wantedOfRange } from '../../src/orchestrate/operation-plan.ts';
import { converged, file, LATENCY, REGIONS } from './engine.fixtures.ts';

const DESIRED = desiredState(
  {
    ...{ regions: REGIONS, primaryRegion: 'us-east', survive: 'zone', tables: {} },
    ...{ groupsPerRegion: 2, rangesPerRegion: 3, tenantFence: true, latency: { matrix: LATENCY } },
  },
  { database: [], regional: [file('0001-purse.sql')] },
);
const SEEN = converged(DESIRED);
const HOME = 'us-east-1';
const OTHER = 'eu-west-1';
const MOVE: ObservedMove = {
  ...{ from: HOME, to: OTHER, phase: 'copying', attempt: 1 },
  ...{ doneBytes: 0, totalBytes: 0, detail: '', sinceMs: 0 },
};
const RANGE = DESIRED.ranges.find(({ group }) => group === HOME)?.name ?? '';

function seen(range: object): ClusterSnapshot {
  const before = SEEN.ranges[RANGE];
  assert.ok(before);
  return { ...SEEN, ranges: { ...SEEN.ranges, [RANGE]: { ...before, ...range } } };
}

describe('the wish to move a range', () => {
  test('is one step, and none when it is there', () => {
    const steps = planWanted({ moves: { [RANGE]: OTHER } }, SEEN);
    assert.deepEqual(
      steps.map(({ summary }) => summary),
      [`move ${RANGE} from ${HOME} to ${OTHER}`],
    );
    assert.deepEqual(planWanted({ moves: { [RANGE]: HOME } }, SEEN), []);
  });

  test('is refused with the reason', () => {
    const group = SEEN.groups[OTHER];
    assert.ok(group);
    const shut = { ...SEEN, groups: { ...SEEN.groups, [OTHER]: { ...group, open: false } } };
    const lonely = Object.fromEntries(
      Object.entries(SEEN.ranges).filter(([name, one]) => name === RANGE || one.group !== HOME),
    );
    const cases: readonly (readonly [ClusterSnapshot, string, string, RegExp])[] = [
      [SEEN, 'r9999', OTHER, /no range r9999/],
      [SEEN, RANGE, 'mars-1', /no group mars-1/],
      [shut, RANGE, OTHER, /eu-west-1 is not open/],
      [seen({ move: MOVE }), RANGE, 'ap-south-1', /is being moved to eu-west-1 already/],
      [{ ...SEEN, ranges: lonely }, RANGE, OTHER, /is the only range of us-east-1/],
    ];
    for (const [snapshot, range, to, message] of cases) {
      assert.throws(() => planWanted({ moves: { [range]: to } }, snapshot), {
        ...{ code: 'ERR_OPERATION_REFUSED', message },
      });
    }
  });

  test('is taken back where there is one', () => {
    const [step] = planWanted({ cancelMoves: [RANGE] }, seen({ move: MOVE }));
    assert.equal(step?.summary, `leave ${RANGE} in ${HOME}`);
    assert.throws(() => planWanted({ cancelMoves: [RANGE] }, SEEN), /is not being moved/);
  });

  test('names a group, or a region and means the emptiest that is homed there', () => {
    const wanted = (to: string): unknown =>
      wantedOfRange({ kind: 'move', range: RANGE, to }, DESIRED, SEEN).moves;
    assert.deepEqual(wanted('eu-west-1'), { [RANGE]: 'eu-west-1' });
    // Of three ranges the first of two groups has two.
    assert.deepEqual(wanted('eu-west'), { [RANGE]: 'eu-west-2' });
    for (const asked of [
      { kind: 'move', range: RANGE, to: 'mars' },
      { kind: 'move', range: 'r9999', to: 'eu-west' },
      { kind: 'cancel-move', range: 'r9999' },
    ] as const) {
      assert.throws(() => wantedOfRange(asked, DESIRED, SEEN), { code: 'ERR_CONTROL_REQUEST' });
    }
  });
});

describe('a move that an earlier life has left', () => {
  const left = { range: RANGE, from: HOME, to: OTHER };
  const snapshot: ClusterSnapshot = {
    ...SEEN,
    ranges: Object.fromEntries(Object.entries(SEEN.ranges).filter(([name]) => name !== RANGE)),
    unsettledMoves: [left],
  };

  test('is settled before its range is prepared, and after both groups are open', () => {
    const steps = planSteps(DESIRED, snapshot);
    const settle = steps.find(({ id }) => id === `settle-move:${RANGE}`);
    const prepare = steps.find(({ id }) => id === `prepare-range:${RANGE}`);
    assert.ok(settle && prepare);
    assert.ok(prepare.after.includes(settle.id));
    const closed = Object.fromEntries(
      Object.entries(snapshot.groups).map(([name, group]) => [name, { ...group, open: false }]),
    );
    const cold = planSteps(DESIRED, { ...snapshot, groups: closed });
    const after = cold.find(({ id }) => id === settle.id)?.after ?? [];
    assert.deepEqual([...after].sort(), [`open-group:${HOME}`, `open-group:${OTHER}`].sort());
  });
});
