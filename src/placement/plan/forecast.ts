/**
 * What a request waits for distance, by the region of its client and by what it does: before a change of the
 * declaration and after it. From the round trips that are declared and, where it was seen, from where the
 * traffic goes. Pure.
 *
 * A request enters at the gateway of its client's region, or else at the nearest. It crosses once, to the home
 * region of its account; a commit there waits for the second voter. Time that processors and disks take is
 * not in it.
 */
import type { DeclaredPlacement, TrafficByHome } from '../../topology/declared.ts';
import { regionPair, type LatencyMatrix, type RegionName } from '../../topology/region.ts';
import { layoutGroups } from '../../topology/survival.ts';

export const REQUEST_CLASSES = [
  /** It changes rows of its account. */
  'write',
  /** It reads them as they are now. */
  'strong-read',
  /** It reads them as they were a moment ago, from the nearest copy. */
  'bounded-read',
  /** It changes a global table, or opens an account. */
  'global-write',
] as const;

export type RequestClass = (typeof REQUEST_CLASSES)[number];

export interface Forecast {
  /** Of the client. */
  readonly region: RegionName;
  readonly class: RequestClass;
  readonly beforeMs: number;
  readonly afterMs: number;
}

export interface ForecastFor {
  readonly before: DeclaredPlacement;
  readonly after: DeclaredPlacement;
  /** Undefined, or none from a region: accounts are taken to be used where they live. */
  readonly traffic: TrafficByHome | undefined;
}

export function forecast({ before, after, traffic }: ForecastFor): readonly Forecast[] {
  const distances = mergedMatrix(before.latency, after.latency);
  const names = [...before.regions, ...after.regions].map(({ name }) => name);
  return [...new Set(names)].flatMap((region) => {
    const homes = traffic?.[region];
    const at = (placement: DeclaredPlacement, kind: RequestClass): number =>
      meanMs({ placement, distances, region, homes }, kind);
    return REQUEST_CLASSES.map((kind) => ({
      ...{ region, class: kind },
      beforeMs: at(before, kind),
      afterMs: at(after, kind),
    }));
  });
}

interface From {
  readonly placement: DeclaredPlacement;
  readonly distances: LatencyMatrix;
  /** Where the client is. */
  readonly region: RegionName;
  readonly homes: Readonly<Record<RegionName, number>> | undefined;
}

function meanMs(from: From, kind: RequestClass): number {
  const { placement, distances, region } = from;
  const entry = nearestRegion(region, placement, distances);
  const toEntryMs = betweenMs(distances, region, entry);
  if (kind === 'bounded-read') return toEntryMs;
  if (kind === 'global-write') {
    const { primaryRegion } = placement;
    const crossMs = betweenMs(distances, entry, primaryRegion);
    return toEntryMs + crossMs + quorumMs(placement, primaryRegion);
  }
  const weights = Object.entries(from.homes ?? {}).filter(([, count]) => count > 0);
  const homes = weights.length === 0 ? ([[region, 1]] as const) : weights;
  const total = homes.reduce((sum, [, count]) => sum + count, 0);
  return homes.reduce((sum, [home, count]) => {
    // Accounts of a region that is not there are, or will be, where it is nearest.
    const there = nearestRegion(home, placement, distances);
    const commitMs = kind === 'write' ? quorumMs(placement, there) : 0;
    const ms = toEntryMs + betweenMs(distances, entry, there) + commitMs;
    return sum + (ms * count) / total;
  }, 0);
}

/** Itself where it is declared; of equally near ones the first that is. */
export function nearestRegion(
  to: RegionName,
  { regions }: Pick<DeclaredPlacement, 'regions'>,
  distances: LatencyMatrix,
): RegionName {
  const [nearest] = regions
    .map(({ name }) => name)
    .toSorted((a, b) => betweenMs(distances, to, a) - betweenMs(distances, to, b));
  return nearest ?? to;
}

/** Until another voter than the leader has it, whichever is the nearest. */
export function quorumMs(placement: DeclaredPlacement, home: RegionName): number {
  const group = layoutGroups(placement).find(({ homeRegion }) => homeRegion === home);
  const [leader, ...others] = group?.nodes.filter(({ kind }) => kind === 'voter') ?? [];
  if (leader === undefined || others.length === 0) return 0;
  const { latency } = placement;
  return Math.min(
    ...others.map(({ locality }) =>
      locality.region === leader.locality.region
        ? latency.betweenZonesMs
        : betweenMs(latency, leader.locality.region, locality.region),
    ),
  );
}

export function betweenMs(matrix: LatencyMatrix, a: RegionName, b: RegionName): number {
  return a === b ? 0 : (matrix.betweenRegionsMs[regionPair(a, b)] ?? 0);
}

/** What is declared now counts, and of pairs that are not declared any more what was. */
export function mergedMatrix(before: LatencyMatrix, after: LatencyMatrix): LatencyMatrix {
  return {
    betweenRegionsMs: { ...before.betweenRegionsMs, ...after.betweenRegionsMs },
    betweenZonesMs: after.betweenZonesMs,
  };
}
