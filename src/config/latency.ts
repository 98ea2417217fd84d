/** Round trips of every pair of regions, from what is declared or else known of them. Pure. */
import type { LatencyMatrix, Region } from '../topology/region.ts';
import { regionPair } from '../topology/region.ts';
import { DEFAULTS, REGION_PAIR_MS, UNKNOWN_PAIR_MS } from './defaults.ts';
import type { LatencyConfig } from './define.ts';

const EARTH_RADIUS_KM = 6_371;
/** Light in fibre covers about 200 km in a millisecond, so a round trip costs 1 ms per 100 km. */
const FIBRE_KM_PER_ROUND_TRIP_MS = 100;
/** Cables are longer than great circles, and routers cost time: what published figures show. */
const ROUTE_FACTOR = 1.5;

type Coordinates = NonNullable<Region['coordinates']>;

/** Haversine formula. */
export function greatCircleKm(a: Coordinates, b: Coordinates): number {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const dLatitude = radians(b.latitude - a.latitude);
  const dLongitude = radians(b.longitude - a.longitude);
  const h =
    Math.sin(dLatitude / 2) ** 2 +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * Math.sin(dLongitude / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** max(1, round(1.5 × km ÷ 100)): Virginia to Ireland 82 ms, Virginia to Mumbai 193 ms. */
export function estimateRoundTripMs(a: Coordinates, b: Coordinates): number {
  return Math.max(1, Math.round((ROUTE_FACTOR * greatCircleKm(a, b)) / FIBRE_KM_PER_ROUND_TRIP_MS));
}

/** "us-east|eu-west" in either order, as two names; undefined when it is no pair. */
export function parsePair(key: string): readonly [string, string] | undefined {
  const parts = key.split('|').map((part) => part.trim());
  const [a, b] = parts;
  return parts.length === 2 && a !== undefined && b !== undefined ? [a, b] : undefined;
}

function pairMs(a: Region, b: Region, declared: ReadonlyMap<string, number>): number {
  const pair = regionPair(a.name, b.name);
  const known = declared.get(pair) ?? REGION_PAIR_MS[pair];
  if (known !== undefined) return known;
  if (a.coordinates === undefined || b.coordinates === undefined) return UNKNOWN_PAIR_MS;
  return estimateRoundTripMs(a.coordinates, b.coordinates);
}

export function latencyMatrix(regions: readonly Region[], config: LatencyConfig): LatencyMatrix {
  const declared = new Map<string, number>();
  for (const [key, ms] of Object.entries(config.betweenRegionsMs ?? {})) {
    const pair = parsePair(key);
    if (pair !== undefined && ms !== undefined) declared.set(regionPair(...pair), ms);
  }
  const betweenRegionsMs: Record<string, number> = {};
  for (const [index, a] of regions.entries()) {
    for (const b of regions.slice(index + 1)) {
      betweenRegionsMs[regionPair(a.name, b.name)] = pairMs(a, b, declared);
    }
  }
  return {
    betweenRegionsMs,
    betweenZonesMs: config.betweenZonesMs ?? DEFAULTS.latency.betweenZonesMs,
  };
}
