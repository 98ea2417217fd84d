/** What of a declaration says where data is, and what distance costs. Pure data. */
import type { LatencyMatrix, Region, RegionName } from './region.ts';
import type { Residency } from './residency.ts';
import type { SurvivalGoal } from './survival.ts';

export interface DeclaredPlacement {
  readonly regions: readonly Region[];
  readonly primaryRegion: RegionName;
  readonly survive: SurvivalGoal;
  readonly groupsPerRegion: number;
  readonly rangesPerRegion: number;
  readonly residencies: readonly Residency[];
  readonly latency: LatencyMatrix;
  readonly prices: Prices | undefined;
}

/** Of bytes that go from one region to another. */
export interface Prices {
  /** "USD" */
  readonly currency: string;
  /** By `regionPair`, of 10^9 bytes. */
  readonly perGigabyte: Readonly<Record<string, number>>;
  /** Of pairs that are not there. */
  readonly otherPerGigabyte: number;
}

/** Accesses by the client's region and the home region of its account. */
export type TrafficByHome = Readonly<
  Record<RegionName, Readonly<Record<RegionName, number>> | undefined>
>;
