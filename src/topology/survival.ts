/** The largest failure that must not stop writes, and the nodes that this takes. Pure. */
import { present } from '../kernel/assert.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { GroupSpec, NodeSpec } from './node.ts';
import type { Residency } from './residency.ts';
import { regionPair, type LatencyMatrix, type Region, type RegionName } from './region.ts';

export type SurvivalGoal = 'zone' | 'region';

export interface LayoutOptions {
  readonly regions: readonly Region[];
  readonly survive: SurvivalGoal;
  readonly groupsPerRegion: number;
  /** Region survival puts voters into the nearest regions. */
  readonly latency: LatencyMatrix;
  /** Left out: none. */
  readonly residencies?: readonly Residency[] | undefined;
}

/** Voters of one group: writes need two of three, so any one may be lost. */
export const VOTERS_PER_GROUP = 3;

/** A group before its nodes are placed. */
interface Homed {
  readonly name: string;
  readonly home: Region;
  /** Differs between groups: spreads what serves one region over its zones. */
  readonly turn: number;
}

/**
 * As CockroachDB lays them out. Zone survival: three voters in three zones of the home region, so that
 * commits stay regional, and one non-voter in every other region for local reads. Region survival: the
 * voters in the home region and the two nearest others, so that a commit costs one round trip to
 * the nearest, and a non-voter in each region that is left.
 *
 * The first node is in the home region and a voter: who leads a new group.
 *
 * Each residency has a group of its own in each of its regions, behind all others; to it there are no
 * other regions than these.
 *
 * Throws ERR_CONFIG_INVALID when there are fewer regions (or zones) than the goal needs.
 */
export function layoutGroups(options: LayoutOptions): GroupSpec[] {
  return [
    ...groupsIn(options, (home, index) => `${home}-${String(index + 1)}`),
    ...(options.residencies ?? []).flatMap(({ name, regions }) =>
      groupsIn(
        {
          ...options,
          groupsPerRegion: 1,
          regions: options.regions.filter((region) => regions.includes(region.name)),
        },
        (home) => `${home}-${name}-1`,
      ).map((group) => ({ ...group, residency: name })),
    ),
  ];
}

function groupsIn(
  options: LayoutOptions,
  nameOf: (home: RegionName, index: number) => string,
): GroupSpec[] {
  return options.regions.flatMap((home, homeIndex) =>
    Array.from({ length: options.groupsPerRegion }, (_, index): GroupSpec => {
      const group = { name: nameOf(home.name, index), home, turn: homeIndex + index };
      const voters = options.survive === 'zone' ? zoneVoters(group) : regionVoters(group, options);
      const voting = new Set(voters.map((node) => node.locality.region));
      const nonVoters = options.regions
        .filter((region) => !voting.has(region.name))
        .map((region) => regionNode(group, region, 'non-voter'));
      return { name: group.name, homeRegion: home.name, nodes: [...voters, ...nonVoters] };
    }),
  );
}

function zoneVoters(group: Homed): NodeSpec[] {
  const zones = group.home.zones.slice(0, VOTERS_PER_GROUP);
  if (zones.length < VOTERS_PER_GROUP) throw tooFew(`zones in ${group.home.name}`, zones.length);
  return zones.map((zone): NodeSpec => ({
    name: `${group.name}.${zone}`,
    group: group.name,
    kind: 'voter',
    locality: { region: group.home.name, zone },
  }));
}

function regionVoters(group: Homed, options: LayoutOptions): NodeSpec[] {
  const others = nearestFirst(group.home.name, options).slice(0, VOTERS_PER_GROUP - 1);
  const places = [group.home, ...others];
  if (places.length < VOTERS_PER_GROUP) throw tooFew('regions', places.length);
  return places.map((region) => regionNode(group, region, 'voter'));
}

/** Of equally near regions the one that is declared first. */
function nearestFirst(home: RegionName, options: LayoutOptions): Region[] {
  const { betweenRegionsMs } = options.latency;
  const distanceMs = (to: Region): number => betweenRegionsMs[regionPair(home, to.name)] ?? 0;
  return options.regions
    .filter((region) => region.name !== home)
    .toSorted((a, b) => distanceMs(a) - distanceMs(b));
}

/** The group's only node in a region carries the region's name. */
function regionNode(group: Homed, region: Region, kind: NodeSpec['kind']): NodeSpec {
  const zone = present(region.zones[group.turn % region.zones.length], 'zone');
  return {
    name: `${group.name}.${region.name}`,
    group: group.name,
    kind,
    locality: { region: region.name, zone },
  };
}

function tooFew(what: string, count: number): MeridianError {
  return new MeridianError(
    'ERR_CONFIG_INVALID',
    `${String(VOTERS_PER_GROUP)} voters need as many ${what}, and there are ${String(count)}`,
  );
}
