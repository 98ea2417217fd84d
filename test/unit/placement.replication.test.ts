/** What copies in other regions take every day: what is measured, and what a change would make of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ClusterSnapshot } from '../../src/engines/snapshot.ts';
import { LogRates } from '../../src/orchestrate/log-rates.ts';
import { replicationOf } from '../../src/placement/plan/replication.ts';
import type { DeclaredPlacement } from '../../src/topology/declared.ts';
import { layoutGroups } from '../../src/topology/survival.ts';
import { manualClock } from '../support/clocks.ts';

const REGIONS = ['us', 'eu', 'ap', 'sa'].map((name) => ({ name, zones: ['a', 'b', 'c'] }));
const PLACEMENT: DeclaredPlacement = {
  regions: REGIONS.slice(0, 3),
  ...{ primaryRegion: 'us', survive: 'zone', groupsPerRegion: 1, rangesPerRegion: 1 },
  residencies: [],
  latency: {
    betweenRegionsMs: {
      ...{ 'eu|us': 80, 'ap|us': 200, 'ap|eu': 140, 'sa|us': 120, 'eu|sa': 180, 'ap|sa': 300 },
    },
    betweenZonesMs: 1,
  },
  prices: { currency: 'USD', perGigabyte: { 'eu|us': 3 }, otherPerGigabyte: 1 },
};
const WRITTEN = { 'us-1': 1e9, 'eu-1': 2e9, 'ap-1': 3e9 };
const change = (after: Partial<DeclaredPlacement>) =>
  replicationOf({ before: PLACEMENT, after: { ...PLACEMENT, ...after } }, WRITTEN);

describe('replication between regions', () => {
  test('each copy in another region is sent the log, at the price of the pair', () => {
    assert.deepEqual(change({}), {
      ...{ beforeBytesPerDay: 12e9, afterBytesPerDay: 12e9 },
      // us to eu and ap: 3 + 1; eu: 6 + 2; ap: 3 + 3.
      ...{ beforeAmountPerDay: 18, afterAmountPerDay: 18 },
    });
    assert.equal(change({ prices: undefined }).afterAmountPerDay, null);
  });

  test('a region more has a copy more of each; its own group has nothing yet', () => {
    assert.equal(change({ regions: REGIONS }).afterBytesPerDay, 18e9);
  });

  test('what is written in a region that goes is written where its accounts go', () => {
    // ap goes: its 3 GB are written in eu, the nearest, and sent to us.
    const two = change({ regions: REGIONS.slice(0, 2) });
    assert.equal(two.afterBytesPerDay, 6e9);
  });

  test('nothing that is written is forgotten, or counted twice', () => {
    fc.assert(
      fc.property(
        fc.subarray(REGIONS, { minLength: 1 }),
        fc.constantFrom(1, 2),
        (regions, each) => {
          const [first] = regions;
          const after = { regions, groupsPerRegion: each, primaryRegion: first?.name ?? '' };
          const copies = regions.length - 1;
          assert.equal(change(after).afterBytesPerDay, 6e9 * copies);
        },
      ),
    );
  });

  test('what is pinned is sent to the regions of its residency alone', () => {
    const residencies = [{ name: 'eu-only', regions: ['eu'] }];
    const placement = { ...PLACEMENT, residencies };
    const pinned = layoutGroups(placement).find(({ residency }) => residency !== undefined);
    const written = { ...WRITTEN, [pinned?.name ?? '']: 9e9 };
    const { afterBytesPerDay } = replicationOf({ before: placement, after: placement }, written);
    assert.equal(afterBytesPerDay, 12e9);
  });
});

describe('what is written', () => {
  const at = (leaders: Readonly<Record<string, bigint | null>>): ClusterSnapshot =>
    ({
      nodes: Object.fromEntries(
        Object.entries(leaders).flatMap(([group, position]) => [
          [`${group}.a`, { group, role: 'leader', position }],
          [`${group}.b`, { group, role: 'follower', position: 1n }],
        ]),
      ),
    }) as unknown as ClusterSnapshot;

  test('is known half a minute after the start', () => {
    const clock = manualClock();
    const rates = new LogRates(at({ 'us-1': 1_000n }), clock);
    clock.advance(29_999);
    assert.equal(rates.perDay(at({ 'us-1': 2_000n })), undefined);
    clock.advance(1);
    assert.deepEqual(rates.perDay(at({ 'us-1': 1_030n })), { 'us-1': 86_400 });
  });

  test('is not told of a group that cannot be asked, or has lost a part of its log', () => {
    const clock = manualClock();
    const rates = new LogRates(at({ 'us-1': 1_000n, 'eu-1': null, 'ap-1': 500n }), clock);
    clock.advance(60_000);
    assert.deepEqual(rates.perDay(at({ 'us-1': 900n, 'eu-1': 7n, 'ap-1': 500n })), { 'ap-1': 0 });
  });
});
