/** Places and the time between them. Pure. */
export type RegionName = string;
export type ZoneName = string;

/** Where a node, an app server or a client is. */
export interface Locality {
  readonly region: RegionName;
  readonly zone: ZoneName;
}

export interface Region {
  readonly name: RegionName;
  /** At least three for zone survival: the voters of the region's groups go there. */
  readonly zones: readonly ZoneName[];
  readonly coordinates?: { readonly latitude: number; readonly longitude: number };
}

/** Round-trip times in milliseconds. `betweenRegions` is keyed by `regionPair`. */
export interface LatencyMatrix {
  readonly betweenRegionsMs: Readonly<Record<string, number>>;
  readonly betweenZonesMs: number;
}

/** One key for a pair of regions, whatever the order. */
export function regionPair(a: RegionName, b: RegionName): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}

/** Round trip between two localities; 0 within one zone. */
export function roundTripMs(matrix: LatencyMatrix, from: Locality, to: Locality): number {
  if (from.region !== to.region) {
    return matrix.betweenRegionsMs[regionPair(from.region, to.region)] ?? 0;
  }
  return from.zone === to.zone ? 0 : matrix.betweenZonesMs;
}

export function formatLocality(locality: Locality): string {
  return `${locality.region}/${locality.zone}`;
}
