/** What a verification is asked to do. */
import type { Region, LatencyMatrix } from '../topology/region.ts';
import type { SurvivalGoal } from '../topology/survival.ts';
import type { FaultKind } from './nemesis/plan.ts';

export interface VerifyOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly faults: readonly FaultKind[];
  readonly layout: SurvivalGoal;
  /** Of emulated round trips. */
  readonly scale: number;
  /** Everything, its servers' data too, whatever the end. */
  readonly keep: boolean;
  /** Undefined: a temporary one. */
  readonly folder?: string | undefined;
}

/** The map to verify on: the user's own, or the default. */
export interface Geography {
  readonly regions: readonly Region[];
  readonly primaryRegion: string;
  readonly matrix?: LatencyMatrix | undefined;
}

export const DEFAULT_GEOGRAPHY: Geography = {
  regions: ['us-east', 'eu-west', 'ap-south'].map((name) => ({ name, zones: ['a', 'b', 'c'] })),
  primaryRegion: 'us-east',
};
