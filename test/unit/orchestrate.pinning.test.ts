/** Where accounts are pinned to: by the residency that is named, and never by a group beside it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClusterSnapshot } from '../../src/engines/snapshot.ts';
import { wantedOfRange } from '../../src/orchestrate/operation-plan.ts';
import type { GroupSpec } from '../../src/topology/node.ts';

const group = (name: string, residency?: string): GroupSpec => ({
  ...{ name, homeRegion: 'eu', nodes: [] },
  ...(residency === undefined ? {} : { residency }),
});
const desired = { groups: [group('eu-1'), group('eu-eu-only-1', 'eu-only')], ranges: [] };
const observed = { ranges: {} } as unknown as ClusterSnapshot;
const goes = (to: string, residency: string | null): unknown =>
  wantedOfRange(
    { kind: 'rehome', accounts: ['anna'], to, residency, repin: true },
    desired,
    observed,
  ).transfers?.map((wanted) => ('to' in wanted ? wanted.to : undefined));

describe('accounts that are pinned anew', () => {
  test('go to the group of the residency, or of none, in the region', () => {
    assert.deepEqual(goes('eu', 'eu-only'), ['eu-eu-only-1']);
    assert.deepEqual(goes('eu', null), ['eu-1']);
    assert.deepEqual(goes('eu-eu-only-1', 'eu-only'), ['eu-eu-only-1']);
    assert.deepEqual(goes('eu-1', null), ['eu-1']);
  });

  test('do not go to a group of another one', () => {
    for (const [to, residency] of [
      ['eu-1', 'eu-only'],
      ['eu-1', 'mars'],
      ['eu-eu-only-1', null],
    ] as const) {
      assert.throws(() => goes(to, residency), {
        code: 'ERR_OPERATION_REFUSED',
        message: /and not of/,
      });
    }
  });
});
