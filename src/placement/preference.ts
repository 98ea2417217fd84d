/** Which home a pattern of traffic would like, and how surely. Pure arithmetic on accesses by client region. */
import { regionPair, type LatencyMatrix, type Region } from '../topology/region.ts';

/** `[client region][home region]`, in ms; of a region to itself 0. */
export type Distances = readonly (readonly number[])[];

export function distancesBetween(regions: readonly Region[], latency: LatencyMatrix): Distances {
  return regions.map(({ name: a }) =>
    regions.map(({ name: b }) => (a === b ? 0 : (latency.betweenRegionsMs[regionPair(a, b)] ?? 0))),
  );
}

export interface Preference {
  readonly home: number;
  /** Share of the mean distance that it saves, compared with the home of now: 0 to 1. */
  readonly gain: number;
  /** Mean round trip from clients, in ms. */
  readonly meanMs: number;
  /** Share of the accesses that come from the region itself. */
  readonly share: number;
}

/** Mean round trip of these accesses to a home, in ms; 0 without any. */
export function meanRoundTripMs(
  accesses: readonly number[],
  distances: Distances,
  home: number,
): number {
  let [sum, total] = [0, 0];
  accesses.forEach((count, client) => {
    sum += count * (distances[client]?.[home] ?? 0);
    total += count;
  });
  return total === 0 ? 0 : sum / total;
}

export function gainOf(
  accesses: readonly number[],
  distances: Distances,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const now = meanRoundTripMs(accesses, distances, from);
  return now === 0 ? 0 : 1 - meanRoundTripMs(accesses, distances, to) / now;
}

/** The home with the least mean distance among the allowed; among equals the one of now. */
export function preferenceOf(
  accesses: readonly number[],
  distances: Distances,
  { home, allowed }: { readonly home: number; readonly allowed?: ReadonlySet<number> | undefined },
): Preference {
  const total = sum(accesses);
  let best = home;
  let bestMs = meanRoundTripMs(accesses, distances, home);
  accesses.forEach((_, to) => {
    if (allowed?.has(to) === false) return;
    const ms = meanRoundTripMs(accesses, distances, to);
    if (ms < bestMs) [best, bestMs] = [to, ms];
  });
  const share = total === 0 ? 0 : (accesses[best] ?? 0) / total;
  const gain = gainOf(accesses, distances, { from: home, to: best });
  return { home: best, gain, meanMs: bestMs, share };
}

/** Standard deviations between what was seen and what may be relied on: one in a thousand is wrong. */
const SURENESS = 3;

/** What the share of so many accesses surely is at least, were they drawn at random. */
export function surelyAtLeast(share: number, accesses: number): number {
  return accesses === 0 ? 0 : share - SURENESS * Math.sqrt((share * (1 - share)) / accesses);
}

export function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
