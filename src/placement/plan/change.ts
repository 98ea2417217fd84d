/**
 * From one declaration of where data is to another: what has to be done, in which order, and what it costs; or
 * why it is refused. Pure.
 *
 * Nothing is taken away that somebody needs: a region goes when everything has left it. So no prefix of the steps
 * has less than was asked for.
 */
import type { DeclaredPlacement } from '../../topology/declared.ts';
import { dealtRanges } from '../../topology/dealing.ts';
import type { GroupSpec, NodeSpec } from '../../topology/node.ts';
import type { GroupName } from '../../topology/position.ts';
import { formatLocality, type RegionName } from '../../topology/region.ts';
import { residencyOf } from '../../topology/residency.ts';
import { layoutGroups } from '../../topology/survival.ts';
import { nearestRegion } from './forecast.ts';

/** What is there, for all that is known. */
export interface PlacedData {
  /** By home region. */
  readonly accounts: Readonly<Record<RegionName, number>>;
  readonly bytes: Readonly<Record<RegionName, number>>;
  /** How long the last start took: what is under way waits so long when everything starts again. */
  readonly startMs: number | undefined;
}

export interface BytesBetween {
  readonly from: RegionName;
  readonly to: RegionName;
  readonly bytes: number;
}

export type PlanStep =
  | {
      /** Its accounts go to the nearest other regions, and no new ones come. */
      readonly kind: 'drain-region';
      readonly region: RegionName;
      readonly accounts: number;
      readonly copies: readonly BytesBetween[];
    }
  /** With its servers, and those of others that are in it. */
  | { readonly kind: 'remove-region'; readonly region: RegionName; readonly servers: number }
  | { readonly kind: 'add-region'; readonly region: RegionName; readonly servers: number }
  | {
      readonly kind: 'add-copies';
      readonly servers: readonly string[];
      readonly copies: readonly BytesBetween[];
    }
  | { readonly kind: 'add-groups'; readonly groups: readonly string[] }
  | { readonly kind: 'add-ranges'; readonly perRegion: number };

export interface PlacementChange {
  readonly steps: readonly PlanStep[];
  /** Why it cannot be done so; empty: it can. */
  readonly refusals: readonly Refusal[];
  /** Everything stops and starts again. */
  readonly restarts: boolean;
  readonly pauseMs: number | null;
}

export interface Refusal {
  readonly what: string;
  readonly remedy: string;
}

export function placementChange(
  before: DeclaredPlacement,
  after: DeclaredPlacement,
  data: PlacedData,
): PlacementChange {
  const change = { before, after, data };
  const refusals = refusalsOf(change);
  if (refusals.length > 0) return { steps: [], refusals, restarts: false, pauseMs: null };
  const steps = [...removals(change), ...additions(change)];
  const restarts = steps.length > 0 || textOf(before) !== textOf(after);
  const pauseMs = restarts ? (data.startMs ?? null) : 0;
  return { steps, refusals, restarts, pauseMs };
}

interface Change {
  readonly before: DeclaredPlacement;
  readonly after: DeclaredPlacement;
  readonly data: PlacedData;
}

const textOf = ({ prices: _, ...placement }: DeclaredPlacement): string =>
  JSON.stringify(placement);

/** In one and not in the other, by name. */
function missingIn<T extends { readonly name: string }>(
  one: readonly T[],
  other: readonly T[],
): T[] {
  const names = new Set(other.map(({ name }) => name));
  return one.filter(({ name }) => !names.has(name));
}

function refusalsOf({ before, after }: Change): Refusal[] {
  const refusals: Refusal[] = [];
  if (before.primaryRegion !== after.primaryRegion) {
    refusals.push({
      what: `the global tables and the directory are in ${before.primaryRegion}, and would move to ${after.primaryRegion}: this release cannot move them`,
      remedy: `Keep primaryRegion: '${before.primaryRegion}'.`,
    });
  }
  if (before.survive !== after.survive) {
    refusals.push({
      what: `survive: '${after.survive}' takes voters in other places than survive: '${before.survive}': this release cannot exchange them`,
      remedy: `Keep survive: '${before.survive}', or begin a new installation and move the data there.`,
    });
  } else if (refusals.length === 0) refusals.push(...serverRefusals(before, after));
  if (after.groupsPerRegion < before.groupsPerRegion) {
    refusals.push({
      what: `groups would be left out that hold ranges: groupsPerRegion goes from ${String(before.groupsPerRegion)} to ${String(after.groupsPerRegion)}`,
      remedy: `Keep groupsPerRegion: ${String(before.groupsPerRegion)}.`,
    });
  }
  refusals.push(...rangeRefusals(before, after), ...pinnedRefusals(before, after));
  return refusals;
}

/** Accounts that are pinned need a group of their residency, as long as there is its region. */
function pinnedRefusals(before: DeclaredPlacement, after: DeclaredPlacement): Refusal[] {
  const has = layoutGroups(after);
  const regions = new Set(after.regions.map(({ name }) => name));
  return missingIn(layoutGroups(before), has).flatMap((group): Refusal[] => {
    const residency = residencyOf(group);
    // A region that goes is drained first, which is refused while anything is pinned there.
    if (residency === null || !regions.has(group.homeRegion)) return [];
    return [
      {
        what: `${group.name} may have accounts that are pinned to ${residency}, and would be left out`,
        remedy: `Keep ${group.homeRegion} in residency['${residency}'].`,
      },
    ];
  });
}

/** Each group keeps the ranges that it has. */
function rangeRefusals(before: DeclaredPlacement, after: DeclaredPlacement): Refusal[] {
  const [had, has] = [rangeCounts(before), rangeCounts(after)];
  const short = [...had].find(([group, count]) => has.has(group) && count > (has.get(group) ?? 0));
  if (short === undefined) return [];
  const [group, count] = short;
  const enough = count * Math.max(before.groupsPerRegion, after.groupsPerRegion);
  return [
    {
      what: `ranges of ${group} would be left out that hold accounts: it has ${String(count)}, and would have ${String(has.get(group) ?? 0)}`,
      remedy: `Declare rangesPerRegion: ${String(enough)}, or more.`,
    },
  ];
}

function rangeCounts(placement: DeclaredPlacement): ReadonlyMap<GroupName, number> {
  const { regions, rangesPerRegion } = placement;
  const groups = layoutGroups(placement);
  const counts = new Map<GroupName, number>(groups.map(({ name }) => [name, 0]));
  for (const name of dealtRanges(regions, groups, rangesPerRegion)) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Servers stay where they are: voters are what a group's commits were confirmed by. */
function serverRefusals(before: DeclaredPlacement, after: DeclaredPlacement): Refusal[] {
  const groups = layoutGroups(after);
  const next = new Map(groups.map((group) => [group.name, placesOf(group)]));
  const regions = new Set(after.regions.map(({ name }) => name));
  // A single copy in a region stays in its zone, whichever would be its turn now.
  const zones = new Set(
    groups.flatMap(({ nodes }) => nodes.map(({ locality }) => formatLocality(locality))),
  );
  for (const group of layoutGroups(before)) {
    const there = next.get(group.name);
    // Of a region that would be taken out: that is refused already.
    if (there === undefined) continue;
    const moved = group.nodes.find((node) => {
      const { region } = node.locality;
      const now = there.get(node.name);
      if (now === undefined) return node.kind === 'voter' || regions.has(region);
      const stays = zones.has(formatLocality(node.locality));
      return now !== placeOf(node) && !(stays && now.startsWith(`a ${node.kind} in ${region}/`));
    });
    if (moved === undefined) continue;
    const { name } = moved;
    const was = placeOf(moved);
    const is = (one: string): string => there.get(one) ?? 'none of its servers';
    return [
      {
        what: `${name}, ${was}, would become ${is(name)}: this release cannot exchange servers that have data`,
        remedy:
          'Keep the zones that there are; with region survival, keep the regions that vote, and round trips such that the same ones are the nearest.',
      },
    ];
  }
  return [];
}

/** "a voter in eu-west/b" by server. */
function placesOf({ nodes }: GroupSpec): ReadonlyMap<string, string> {
  return new Map(nodes.map((node) => [node.name, placeOf(node)]));
}

function placeOf({ kind, locality }: NodeSpec): string {
  return `a ${kind} in ${formatLocality(locality)}`;
}

/** First, while what they have has somewhere to go and is near to whoever uses it. */
function removals({ before, after, data }: Change): PlanStep[] {
  const left = missingIn(before.regions, after.regions);
  const staying = before.regions.filter((region) => !left.includes(region));
  const nodes = layoutGroups(before).flatMap((group) =>
    group.nodes.map((node) => ({ node, home: group.homeRegion })),
  );
  return left.flatMap(({ name: region }): PlanStep[] => {
    const to = nearestRegion(region, { regions: staying }, before.latency);
    const servers = nodes.filter(({ node, home }) => home === region || regionOf(node) === region);
    return [
      {
        ...{ kind: 'drain-region', region, accounts: data.accounts[region] ?? 0 },
        copies: [{ from: region, to, bytes: data.bytes[region] ?? 0 }],
      },
      { kind: 'remove-region', region, servers: servers.length },
    ];
  });
}

function additions({ before, after, data }: Change): PlanStep[] {
  const [had, has] = [layoutGroups(before), layoutGroups(after)];
  const known = new Map(had.map((group) => [group.name, group]));
  const newRegions = new Set(missingIn(after.regions, before.regions).map(({ name }) => name));
  const newGroups = missingIn(has, had);
  const copies: BytesBetween[] = [];
  const servers: string[] = [];
  for (const group of has) {
    const old = known.get(group.name);
    if (old === undefined) continue;
    for (const node of missingIn(group.nodes, old.nodes)) {
      servers.push(node.name);
      const bytes = (data.bytes[group.homeRegion] ?? 0) / before.groupsPerRegion;
      copies.push({ from: group.homeRegion, to: regionOf(node), bytes: Math.round(bytes) });
    }
  }
  const more = newGroups.filter(({ homeRegion }) => !newRegions.has(homeRegion));
  return [
    ...[...newRegions].map((region): PlanStep => ({
      ...{ kind: 'add-region', region },
      servers: newGroups
        .filter(({ homeRegion }) => homeRegion === region)
        .reduce((sum, { nodes }) => sum + nodes.length, 0),
    })),
    ...(servers.length === 0 ? [] : [{ kind: 'add-copies', servers, copies } as const]),
    ...(more.length === 0
      ? []
      : [{ kind: 'add-groups', groups: more.map(({ name }) => name) } as const]),
    ...(after.rangesPerRegion === before.rangesPerRegion
      ? []
      : [{ kind: 'add-ranges', perRegion: after.rangesPerRegion } as const]),
  ];
}

const regionOf = ({ locality }: NodeSpec): RegionName => locality.region;
