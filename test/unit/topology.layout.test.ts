/** Where the nodes of a zone-surviving platform are, and the time between them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { dealtRanges } from '../../src/topology/dealing.ts';
import { global, regional } from '../../src/topology/locality.ts';
import type { GroupSpec, NodeSpec } from '../../src/topology/node.ts';
import {
  formatLocality,
  regionPair,
  roundTripMs,
  type LatencyMatrix,
  type Locality,
  type Region,
} from '../../src/topology/region.ts';
import { layoutGroups, VOTERS_PER_GROUP, type LayoutOptions } from '../../src/topology/survival.ts';

const region = (name: string, zones = ['a', 'b', 'c']): Region => ({ name, zones });
const threeRegions = [region('us-east'), region('eu-west'), region('ap-northeast')];
const latency: LatencyMatrix = {
  betweenRegionsMs: {
    [regionPair('us-east', 'eu-west')]: 80,
    [regionPair('us-east', 'ap-northeast')]: 170,
    [regionPair('eu-west', 'ap-northeast')]: 220,
  },
  betweenZonesMs: 1,
};
const layout = (regions: readonly Region[], groupsPerRegion: number): GroupSpec[] =>
  layoutGroups({ regions, survive: 'zone', groupsPerRegion, latency });
const votersOf = (group: GroupSpec): NodeSpec[] =>
  group.nodes.filter((node) => node.kind === 'voter');

describe('zone survival', () => {
  test('three regions take 15 nodes: three voters at home, one reader in each other region', () => {
    const groups = layout(threeRegions, 1);
    assert.equal(groups.flatMap((group) => group.nodes).length, 15);
    for (const group of groups) {
      const voters = group.nodes.filter((node) => node.kind === 'voter');
      assert.deepEqual(
        voters.map((node) => formatLocality(node.locality)),
        ['a', 'b', 'c'].map((zone) => `${group.homeRegion}/${zone}`),
      );
      assert.deepEqual(
        group.nodes
          .filter((node) => node.kind === 'non-voter')
          .map((node) => node.locality.region)
          .sort(),
        threeRegions
          .map(({ name }) => name)
          .filter((name) => name !== group.homeRegion)
          .sort(),
      );
    }
  });

  test('a residency has a group in each of its regions, with no server anywhere else', () => {
    const residencies = [{ name: 'old-world', regions: ['ap-northeast', 'eu-west'] }];
    for (const survive of ['zone', 'region'] as const) {
      const shape = { regions: threeRegions, survive, groupsPerRegion: 2, latency };
      const within =
        survive === 'zone'
          ? residencies
          : [{ name: 'old-world', regions: threeRegions.map(({ name }) => name) }];
      const groups = layoutGroups({ ...shape, residencies: within });
      // Behind all others, which are as they would be without it.
      assert.deepEqual(groups.slice(0, 6), layoutGroups(shape));
      const pinned = groups.slice(6);
      assert.deepEqual(
        pinned.map(({ name, residency }) => [name, residency]),
        threeRegions
          .filter(({ name }) => within[0]?.regions.includes(name))
          .map(({ name }) => [`${name}-old-world-1`, 'old-world']),
      );
      for (const { nodes, homeRegion } of pinned) {
        const places = new Set(nodes.map(({ locality }) => locality.region));
        assert.deepEqual([...places].sort(), [...(within[0]?.regions ?? [])].sort());
        assert.equal(nodes[0]?.locality.region, homeRegion);
        assert.equal(nodes.filter(({ kind }) => kind === 'voter').length, 3);
      }
      const dealt = dealtRanges(threeRegions, groups, 2);
      assert.equal(dealt.length, 6 + pinned.length);
      assert.deepEqual(
        dealt.slice(6),
        pinned.map(({ name }) => name),
      );
    }
  });

  test('whatever the shape: distinct names, voters in distinct zones, a replica in every region', () => {
    const shapes = fc.record({
      zoneCounts: fc.array(fc.integer({ min: 3, max: 5 }), { minLength: 1, maxLength: 6 }),
      groupsPerRegion: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(shapes, ({ zoneCounts, groupsPerRegion }) => {
        const regions = zoneCounts.map((count, index) =>
          region(
            `r${String(index)}`,
            Array.from({ length: count }, (_, zone) => `z${String(zone)}`),
          ),
        );
        const groups = layout(regions, groupsPerRegion);
        assert.equal(groups.length, regions.length * groupsPerRegion);
        const nodes = groups.flatMap((group) => group.nodes);
        assert.equal(new Set(nodes.map((node) => node.name)).size, nodes.length);
        for (const group of groups) {
          const voters = group.nodes.filter((node) => node.kind === 'voter');
          assert.equal(voters.length, VOTERS_PER_GROUP);
          assert.equal(new Set(voters.map((node) => node.locality.zone)).size, VOTERS_PER_GROUP);
          assert.ok(voters.every((node) => node.locality.region === group.homeRegion));
          assert.equal(
            new Set(group.nodes.map((node) => node.locality.region)).size,
            regions.length,
          );
          assert.ok(group.nodes.every((node) => node.group === group.name));
        }
      }),
    );
  });

  test('readers of different groups are spread over the zones that they serve', () => {
    const zones = layout(threeRegions, 1)
      .flatMap((group) => group.nodes)
      .filter((node) => node.kind === 'non-voter' && node.locality.region === 'eu-west')
      .map((node) => node.locality.zone);
    assert.equal(new Set(zones).size, 2);
  });

  test('fewer than three zones are refused, not laid out thinner', () => {
    assert.throws(() => layout([region('us-east', ['a', 'b'])], 1), { code: 'ERR_CONFIG_INVALID' });
  });
});

describe('region survival', () => {
  const regional = (
    regions: readonly Region[],
    options: Partial<LayoutOptions> = {},
  ): GroupSpec[] =>
    layoutGroups({ regions, survive: 'region', groupsPerRegion: 1, latency, ...options });

  test('three regions take 9 nodes: a voter of every group in each, the first at home', () => {
    const groups = regional(threeRegions);
    assert.equal(groups.flatMap((group) => group.nodes).length, 9);
    for (const group of groups) {
      assert.equal(votersOf(group).length, VOTERS_PER_GROUP);
      assert.equal(group.nodes[0]?.locality.region, group.homeRegion);
      const regions = new Set(group.nodes.map((node) => node.locality.region));
      assert.equal(regions.size, 3);
    }
  });

  test('what one region holds is spread over its zones', () => {
    for (const { name } of threeRegions) {
      const zones = regional(threeRegions)
        .flatMap((group) => group.nodes)
        .filter((node) => node.locality.region === name)
        .map((node) => node.locality.zone);
      assert.equal(new Set(zones).size, 3);
    }
  });

  test('of more regions the two nearest vote, and the others have a reader', () => {
    const names = ['home', 'far', 'near', 'nearer', 'farther'];
    const distance = { far: 150, near: 60, nearer: 20, farther: 300 };
    const matrix: LatencyMatrix = {
      betweenRegionsMs: Object.fromEntries(
        Object.entries(distance).map(([name, ms]) => [regionPair('home', name), ms]),
      ),
      betweenZonesMs: 1,
    };
    const groups = regional(
      names.map((name) => region(name)),
      { latency: matrix },
    );
    const [home] = groups;
    assert.ok(home);
    assert.deepEqual(
      home.nodes.map((node) => `${node.locality.region} ${node.kind}`),
      ['home voter', 'nearer voter', 'near voter', 'far non-voter', 'farther non-voter'],
    );
  });

  test('whatever the shape: distinct names, voters in distinct regions, a replica in each', () => {
    const shapes = fc.record({
      zoneCounts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 6 }),
      groupsPerRegion: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(shapes, ({ zoneCounts, groupsPerRegion }) => {
        const regions = zoneCounts.map((count, index) =>
          region(
            `r${String(index)}`,
            Array.from({ length: count }, (_, zone) => `z${String(zone)}`),
          ),
        );
        const groups = regional(regions, { groupsPerRegion });
        assert.equal(groups.length, regions.length * groupsPerRegion);
        const names = groups.flatMap((group) => group.nodes).map((node) => node.name);
        assert.equal(new Set(names).size, names.length);
        for (const group of groups) {
          const votes = votersOf(group).map((node) => node.locality.region);
          assert.equal(new Set(votes).size, VOTERS_PER_GROUP);
          assert.equal(group.nodes.length, regions.length);
          assert.equal(group.nodes[0]?.locality.region, group.homeRegion);
        }
      }),
    );
  });

  test('two regions are refused', () => {
    assert.throws(() => regional(threeRegions.slice(0, 2)), { code: 'ERR_CONFIG_INVALID' });
  });
});

describe('round trips', () => {
  const names = ['us', 'eu', 'ap'];
  const localities: fc.Arbitrary<Locality> = fc.record({
    region: fc.constantFrom(...names),
    zone: fc.constantFrom('a', 'b'),
  });
  const matrices: fc.Arbitrary<LatencyMatrix> = fc.record({
    betweenRegionsMs: fc.record({
      [regionPair('us', 'eu')]: fc.integer({ min: 1, max: 400 }),
      [regionPair('us', 'ap')]: fc.integer({ min: 1, max: 400 }),
      [regionPair('ap', 'eu')]: fc.integer({ min: 1, max: 400 }),
    }),
    betweenZonesMs: fc.integer({ min: 1, max: 3 }),
  });

  test('are the same in both directions, and nothing within one zone', () => {
    fc.assert(
      fc.property(matrices, localities, localities, (matrix, a, b) => {
        assert.equal(roundTripMs(matrix, a, b), roundTripMs(matrix, b, a));
        assert.equal(roundTripMs(matrix, a, a), 0);
        if (formatLocality(a) !== formatLocality(b)) assert.ok(roundTripMs(matrix, a, b) > 0);
      }),
    );
  });

  test('come from the pair of regions, else from the zones', () => {
    const matrix = { betweenRegionsMs: { 'eu|us': 80 }, betweenZonesMs: 1 };
    const at = (place: string): Locality => {
      const [name = '', zone = ''] = place.split('/');
      return { region: name, zone };
    };
    assert.equal(roundTripMs(matrix, at('us/a'), at('eu/a')), 80);
    assert.equal(roundTripMs(matrix, at('us/a'), at('us/b')), 1);
    assert.equal(roundTripMs(matrix, at('us/a'), at('ap/a')), 0);
  });
});

describe('table localities', () => {
  test('are inert data', () => {
    assert.deepEqual(regional({ by: 'account_id' }), { kind: 'regional', by: 'account_id' });
    assert.deepEqual(global(), { kind: 'global' });
  });
});
