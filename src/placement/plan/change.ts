/**
 * From one declaration of where data is to another: what has to be done, in which order, and what it costs; or
 * why it is refused. Pure.
 *
 * Accounts leave a region before its servers do, and servers are added before any is needed, so that no prefix of
 * the steps has less than was asked for.
 */
import type { DeclaredPlacement } from '../../topology/declared.ts';
import type { GroupSpec, NodeSpec } from '../../topology/node.ts';
import type { RegionName } from '../../topology/region.ts';
import { layoutGroups } from '../../topology/survival.ts';
import { mergedMatrix, nearestRegion } from './forecast.ts';

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
  /** While everything is used. */
  | {
      readonly kind: 'drain';
      readonly region: RegionName;
      readonly to: RegionName;
      readonly accounts: number;
      readonly copies: readonly BytesBetween[];
    }
  /** With a restart. */
  | { readonly kind: 'add-region'; readonly region: RegionName; readonly servers: number }
  | {
      readonly kind: 'add-copies';
      readonly servers: readonly string[];
      readonly copies: readonly BytesBetween[];
    }
  | { readonly kind: 'add-groups'; readonly groups: readonly string[] }
  | { readonly kind: 'add-ranges'; readonly perRegion: number }
  | { readonly kind: 'remove-copies'; readonly servers: readonly string[] }
  | { readonly kind: 'remove-region'; readonly region: RegionName; readonly servers: number };

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

/** Of a re-homing, from what was measured: each account waits for its own rows alone. */
const DRAIN_PAUSE_MS = 500;

export function placementChange(
  before: DeclaredPlacement,
  after: DeclaredPlacement,
  data: PlacedData,
): PlacementChange {
  const change = { before, after, data };
  const refusals = refusalsOf(change);
  if (refusals.length > 0) return { steps: [], refusals, restarts: false, pauseMs: null };
  const steps = [...drains(change), ...additions(change), ...removals(change)];
  const restarts = steps.some(({ kind }) => kind !== 'drain') || textOf(before) !== textOf(after);
  const pauseMs = restarts ? (data.startMs ?? null) : steps.length > 0 ? DRAIN_PAUSE_MS : 0;
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
  } else refusals.push(...voterRefusals(before, after));
  if (after.groupsPerRegion < before.groupsPerRegion) {
    refusals.push({
      what: `groups would be left out that hold ranges: groupsPerRegion goes from ${String(before.groupsPerRegion)} to ${String(after.groupsPerRegion)}`,
      remedy: `Keep groupsPerRegion: ${String(before.groupsPerRegion)}.`,
    });
  }
  if (after.rangesPerRegion < before.rangesPerRegion) {
    refusals.push({
      what: `ranges would be left out that hold accounts: rangesPerRegion goes from ${String(before.rangesPerRegion)} to ${String(after.rangesPerRegion)}`,
      remedy: `Keep rangesPerRegion: ${String(before.rangesPerRegion)}.`,
    });
  }
  return refusals;
}

/** Voters of a group that stays must stay where they are: they are what its commits were confirmed by. */
function voterRefusals(before: DeclaredPlacement, after: DeclaredPlacement): Refusal[] {
  const next = new Map(layoutGroups(after).map((group) => [group.name, group]));
  return layoutGroups(before).flatMap((group): Refusal[] => {
    const there = next.get(group.name);
    if (there === undefined) return [];
    const [was, is] = [votersOf(group), votersOf(there)];
    if (was === is) return [];
    return [
      {
        what: `the voters of ${group.name} would be ${is} instead of ${was}: this release cannot exchange them`,
        remedy:
          'Keep the zones and round trips of regions that have voters, and the regions themselves.',
      },
    ];
  });
}

function votersOf({ nodes }: GroupSpec): string {
  return nodes
    .filter(({ kind }) => kind === 'voter')
    .map(({ name }) => name)
    .sort()
    .join(', ');
}

function drains({ before, after, data }: Change): PlanStep[] {
  const distances = mergedMatrix(before.latency, after.latency);
  const groups = layoutGroups(after);
  return missingIn(before.regions, after.regions).map(({ name: region }): PlanStep => {
    const to = nearestRegion(region, after, distances);
    const bytes = data.bytes[region] ?? 0;
    // Each region that has a copy of the new home's data gets the rows from there.
    const copies = new Set(
      groups
        .find(({ homeRegion }) => homeRegion === to)
        ?.nodes.map(regionOf)
        .filter((one) => one !== to),
    );
    return {
      ...{ kind: 'drain', region, to, accounts: data.accounts[region] ?? 0 },
      copies: [
        { from: region, to, bytes },
        ...[...copies].map((place) => ({ from: to, to: place, bytes })),
      ],
    };
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

function removals({ before, after }: Change): PlanStep[] {
  const [had, has] = [layoutGroups(before), layoutGroups(after)];
  const kept = new Map(has.map((group) => [group.name, group]));
  const gone = missingIn(before.regions, after.regions).map(({ name }) => name);
  const servers = had.flatMap((group) => {
    const next = kept.get(group.name);
    return next === undefined ? [] : missingIn(group.nodes, next.nodes).map(({ name }) => name);
  });
  return [
    ...(servers.length === 0 ? [] : [{ kind: 'remove-copies', servers } as const]),
    ...gone.map((region): PlanStep => ({
      ...{ kind: 'remove-region', region },
      servers: had
        .filter(({ homeRegion }) => homeRegion === region)
        .reduce((sum, { nodes }) => sum + nodes.length, 0),
    })),
  ];
}

const regionOf = ({ locality }: NodeSpec): RegionName => locality.region;
