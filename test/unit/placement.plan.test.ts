/** What a changed declaration would do, and cost: steps, refusals, forecasts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { placementChange, type PlacedData } from '../../src/placement/plan/change.ts';
import { copiesOf, costOf } from '../../src/placement/plan/cost.ts';
import { driftOf, type Standing } from '../../src/placement/plan/drift.ts';
import { forecast, quorumMs, type RequestClass } from '../../src/placement/plan/forecast.ts';
import type { DeclaredPlacement, TrafficByHome } from '../../src/topology/declared.ts';
import { layoutGroups } from '../../src/topology/survival.ts';

const REGIONS = ['us', 'eu', 'ap', 'sa'].map((name) => ({ name, zones: ['a', 'b', 'c'] }));
const PLACEMENT: DeclaredPlacement = {
  regions: REGIONS.slice(0, 3),
  ...{
    primaryRegion: 'us',
    survive: 'zone',
    groupsPerRegion: 1,
    rangesPerRegion: 1,
    residencies: [],
  },
  latency: {
    betweenRegionsMs: {
      ...{ 'eu|us': 80, 'ap|us': 200, 'ap|eu': 140, 'sa|us': 120, 'eu|sa': 180, 'ap|sa': 300 },
    },
    betweenZonesMs: 1,
  },
  prices: undefined,
};
const DATA: PlacedData = {
  accounts: { us: 10, eu: 20, ap: 30 },
  bytes: { us: 1e9, eu: 2e9, ap: 3e9 },
  startMs: 8_000,
};
const FOUR: DeclaredPlacement = { ...PLACEMENT, regions: REGIONS };
const kinds = (before: DeclaredPlacement, after: DeclaredPlacement): readonly string[] =>
  placementChange(before, after, DATA).steps.map(({ kind }) => kind);
const refused = (after: Partial<DeclaredPlacement>): string =>
  placementChange(PLACEMENT, { ...PLACEMENT, ...after }, DATA)
    .refusals.map(({ what }) => what)
    .join('\n');

describe('a change of the declaration', () => {
  test('that changes nothing has no steps and no pause', () => {
    const nothing = { steps: [], refusals: [], restarts: false, pauseMs: 0 };
    assert.deepEqual(placementChange(PLACEMENT, PLACEMENT, DATA), nothing);
    // Prices say what it costs, and change nothing.
    const priced = { currency: 'USD', perGigabyte: {}, otherPerGigabyte: 1 };
    assert.deepEqual(placementChange(PLACEMENT, { ...PLACEMENT, prices: priced }, DATA), nothing);
  });

  test('adds a region: its servers, and copies of what the others have', () => {
    const { steps, restarts, pauseMs } = placementChange(PLACEMENT, FOUR, DATA);
    assert.deepEqual(steps, [
      // Three voters, and a copy in each of the three others.
      { kind: 'add-region', region: 'sa', servers: 6 },
      {
        kind: 'add-copies',
        servers: ['us-1.sa', 'eu-1.sa', 'ap-1.sa'],
        copies: [
          { from: 'us', to: 'sa', bytes: 1e9 },
          { from: 'eu', to: 'sa', bytes: 2e9 },
          { from: 'ap', to: 'sa', bytes: 3e9 },
        ],
      },
    ]);
    assert.deepEqual([restarts, pauseMs], [true, 8_000]);
  });

  test('adds groups and ranges, and other round trips come into force with a restart', () => {
    assert.deepEqual(kinds(PLACEMENT, { ...PLACEMENT, groupsPerRegion: 2, rangesPerRegion: 2 }), [
      ...['add-groups', 'add-ranges'],
    ]);
    const latency = { ...PLACEMENT.latency, betweenZonesMs: 2 };
    const change = placementChange(PLACEMENT, { ...PLACEMENT, latency }, DATA);
    assert.deepEqual([change.steps, change.restarts], [[], true]);
  });

  test('takes a region out, drained before: its accounts go to the nearest that stays', () => {
    const two = { ...PLACEMENT, regions: REGIONS.slice(0, 2) };
    assert.deepEqual(placementChange(PLACEMENT, two, DATA), {
      steps: [
        {
          ...{ kind: 'drain-region', region: 'ap', accounts: 30 },
          copies: [{ from: 'ap', to: 'eu', bytes: 3e9 }],
        },
        // Five of its own, and the copies of both others that are there.
        { kind: 'remove-region', region: 'ap', servers: 7 },
      ],
      ...{ refusals: [], restarts: true, pauseMs: 8_000 },
    });
    // From the middle: single copies stay in the zones that they have.
    const outer = REGIONS.filter(({ name }) => ['us', 'ap'].includes(name));
    assert.deepEqual(kinds(PLACEMENT, { ...PLACEMENT, regions: outer }), [
      ...['drain-region', 'remove-region'],
    ]);
    // One for another: out first, so that it goes to what is there already.
    const other = REGIONS.filter(({ name }) => name !== 'ap');
    assert.deepEqual(kinds(PLACEMENT, { ...PLACEMENT, regions: other }), [
      ...['drain-region', 'remove-region', 'add-region', 'add-copies'],
    ]);
    // Where voters of others are in it, others would have to vote.
    const regional: DeclaredPlacement = { ...FOUR, survive: 'region' };
    const less = { ...regional, regions: REGIONS.slice(0, 3) };
    const [vote] = placementChange(regional, less, DATA).refusals;
    assert.match(vote?.what ?? '', /us-1\.sa, a voter in sa\/a, would become none of its servers/);
  });

  test('pins accounts by groups that are made for them, and does not lose sight of those', () => {
    const residencies = [{ name: 'old', regions: ['eu', 'ap'] }];
    const pinned = { ...PLACEMENT, residencies };
    assert.deepEqual(placementChange(PLACEMENT, pinned, DATA).steps, [
      { kind: 'add-groups', groups: ['eu-old-1', 'ap-old-1'] },
    ]);
    const [gone] = placementChange(pinned, PLACEMENT, DATA).refusals;
    assert.match(gone?.what ?? '', /eu-old-1 may have accounts that are pinned to old/);
    // One of its regions goes: the other takes them.
    const two = { ...PLACEMENT, regions: REGIONS.slice(0, 2) };
    const less = { ...two, residencies: [{ name: 'old', regions: ['eu'] }] };
    assert.deepEqual(kinds(pinned, less), ['drain-region', 'remove-region']);
    // With its only one it goes, if the drain finds nothing there.
    const only = { ...PLACEMENT, residencies: [{ name: 'old', regions: ['ap'] }] };
    assert.deepEqual(kinds(only, { ...two, residencies: [] }), ['drain-region', 'remove-region']);
    // And one region more is theirs by a declaration that says so.
    const more = { ...PLACEMENT, residencies: [{ name: 'old', regions: ['us', 'eu', 'ap'] }] };
    assert.deepEqual(kinds(pinned, more), ['add-copies', 'add-groups']);
  });

  test('is refused with the reason where it cannot be done without a loss', () => {
    assert.match(refused({ primaryRegion: 'eu' }), /would move to eu/);
    assert.match(refused({ survive: 'region' }), /voters in other places/);
    const many = { ...PLACEMENT, groupsPerRegion: 2, rangesPerRegion: 2 };
    const [fewer] = placementChange(many, { ...many, groupsPerRegion: 1 }, DATA).refusals;
    assert.match(fewer?.what ?? '', /groups would be left out/);
    assert.match(refused({ rangesPerRegion: 0 }), /ranges of us-1 would be left out/);
    assert.match(
      refused({ regions: REGIONS.slice(1, 3), primaryRegion: 'eu' }),
      /would move to eu/,
    );
    // Dealt out over two groups, the two ranges that one has would be one.
    const two = { ...PLACEMENT, rangesPerRegion: 2 };
    const [split] = placementChange(two, { ...two, groupsPerRegion: 2 }, DATA).refusals;
    assert.match(split?.what ?? '', /it has 2, and would have 1/);
    assert.equal(split?.remedy, 'Declare rangesPerRegion: 4, or more.');
    const four = { ...two, ...{ groupsPerRegion: 2, rangesPerRegion: 4 } };
    assert.deepEqual(placementChange(two, four, DATA).refusals, []);
    const zones = REGIONS.slice(0, 3).map((region) => ({ ...region, zones: ['b', 'c', 'd'] }));
    assert.match(
      refused({ regions: zones }),
      /us-1\.a, a voter in us\/a, would become none of its servers/,
    );
    const regional: DeclaredPlacement = { ...PLACEMENT, survive: 'region' };
    const nearer = { ...regional.latency.betweenRegionsMs, 'sa|us': 20 };
    const latency = { ...regional.latency, betweenRegionsMs: nearer };
    const [vote] = placementChange(
      regional,
      { ...regional, regions: REGIONS, latency },
      DATA,
    ).refusals;
    assert.match(vote?.what ?? '', /us-1\.ap, a voter in ap\/a, would become a non-voter in ap\/a/);
  });

  test('whatever is declared: after the steps all that is declared is there', () => {
    const counts = fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 2, max: 6 }));
    const regions = fc.shuffledSubarray(REGIONS, { minLength: 1 });
    fc.assert(
      fc.property(regions, fc.nat(3), fc.tuple(counts, counts), (all, fewer, [was, is]) => {
        const declared = (
          some: DeclaredPlacement['regions'],
          [groupsPerRegion, rangesPerRegion]: readonly [number, number],
        ): DeclaredPlacement => ({
          ...{ ...PLACEMENT, groupsPerRegion, rangesPerRegion, regions: some },
          primaryRegion: all[0]?.name ?? '',
        });
        const before = declared(all.slice(0, Math.max(1, all.length - fewer)), was);
        const after = declared(all, is);
        const { steps, refusals } = placementChange(before, after, DATA);
        if (refusals.length > 0) {
          assert.deepEqual(steps, []);
          return;
        }
        const servers = (placement: DeclaredPlacement): number =>
          layoutGroups(placement).reduce((sum, { nodes }) => sum + nodes.length, 0);
        const groups = new Map(
          layoutGroups(after).map((group) => [group.name, group.nodes.length]),
        );
        const added = steps.flatMap((step) => {
          if (step.kind === 'add-copies') return [step.servers.length];
          if (step.kind === 'remove-region') return [-step.servers];
          if (step.kind === 'add-groups') return step.groups.map((name) => groups.get(name) ?? 0);
          return step.kind === 'add-region' ? [step.servers] : [];
        });
        const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
        assert.equal(servers(before) + sum(added), servers(after));
      }),
    );
  });
});

describe('prices', () => {
  test('of what goes between regions, by pair or else alike', () => {
    const { steps } = placementChange(PLACEMENT, FOUR, DATA);
    const prices = { currency: 'USD', perGigabyte: { 'sa|us': 0.5 }, otherPerGigabyte: 0.1 };
    assert.equal(costOf(copiesOf(steps), prices)?.toFixed(6), (0.5 + 0.2 + 0.3).toFixed(6));
    assert.equal(costOf(copiesOf(steps), undefined), undefined);
  });
});

describe('a forecast', () => {
  const at = (
    region: string,
    kind: RequestClass,
    change: { before?: DeclaredPlacement; after?: DeclaredPlacement; traffic?: TrafficByHome } = {},
  ): readonly number[] => {
    const { before = PLACEMENT, after = PLACEMENT, traffic } = change;
    const found = forecast({ before, after, traffic }).find(
      (one) => one.region === region && one.class === kind,
    );
    assert.ok(found);
    return [found.beforeMs, found.afterMs];
  };

  test('of accounts that are used where they live', () => {
    assert.deepEqual(at('eu', 'write'), [1, 1]);
    assert.deepEqual(at('eu', 'strong-read'), [0, 0]);
    assert.deepEqual(at('eu', 'global-write'), [81, 81]);
  });

  test('of clients whose region is new: they went to the nearest before', () => {
    assert.deepEqual(at('sa', 'write', { after: FOUR }), [121, 1]);
    assert.deepEqual(at('sa', 'bounded-read', { after: FOUR }), [120, 0]);
    // And of one that goes: its accounts are where it is nearest.
    assert.deepEqual(at('sa', 'strong-read', { before: FOUR, after: PLACEMENT }), [0, 120]);
  });

  test('weighed by the traffic that was seen', () => {
    const traffic = { eu: { eu: 3, ap: 1 } };
    assert.deepEqual(at('eu', 'strong-read', { traffic }), [35, 35]);
  });

  test('of commits that wait for another region', () => {
    const regional: DeclaredPlacement = { ...PLACEMENT, survive: 'region' };
    assert.equal(quorumMs(regional, 'us'), 80);
    assert.deepEqual(at('ap', 'write', { before: regional, after: regional }), [140, 140]);
  });
});

describe('drift', () => {
  const standing = (change: Partial<Standing> = {}): Standing => ({
    groups: layoutGroups(PLACEMENT).map(({ name, nodes }) => ({
      ...{ name, leader: nodes[0]?.name ?? null, ranges: [`r of ${name}`] },
    })),
    nodes: layoutGroups(PLACEMENT).flatMap(({ name: group, nodes }) =>
      nodes.map(({ name, kind, locality }, at) => ({
        ...{ name, group, kind, region: locality.region },
        state: at === 0 ? 'leader' : 'streaming',
      })),
    ),
    declaredRanges: { 'r of us-1': 'us-1', 'r of eu-1': 'eu-1', 'r of ap-1': 'ap-1' },
    madeRanges: [],
    ...change,
  });
  const said = (change: Partial<Standing>): readonly string[] =>
    driftOf(PLACEMENT, standing(change)).map(({ what }) => what);

  test('there is none in a cluster that is as declared', () => {
    assert.deepEqual(said({}), []);
  });

  test('is told with what would mend it', () => {
    assert.deepEqual(said({ declaredRanges: { 'r of us-1': 'eu-1' } }), [
      'r of us-1 is in us-1, and is declared in eu-1',
    ]);
    const { nodes, groups } = standing();
    assert.deepEqual(said({ nodes: nodes.slice(1) })[0], 'us-1.a is not there');
    const lost = nodes.map((node) => (node.name === 'us-1.b' ? { ...node, state: 'lost' } : node));
    assert.deepEqual(said({ nodes: lost }), ['us-1.b is lost']);
    const away = groups.map((group) =>
      group.name === 'us-1' ? { ...group, leader: 'us-1.eu' } : group,
    );
    assert.deepEqual(said({ groups: away }), ['us-1 is led from eu, and its home is us']);
    assert.equal(said({ madeRanges: ['s0001'] }).length, 1);
  });
});
