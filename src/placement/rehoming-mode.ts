/** What becomes of a decision that an account should have another home. */
import type { HotGroupPolicy } from './hot-group-policy.ts';
import type { RehomingPolicy } from './rehoming-policy.ts';

export const REHOMING_MODES = ['off', 'suggest', 'auto'] as const;

/** Nothing is counted; it is counted, decided and told; it is done, too. */
export type RehomingMode = (typeof REHOMING_MODES)[number];

export interface RehomingOptions {
  readonly mode: RehomingMode;
  readonly intervalMs: number;
  readonly intervalsPerCycle: number;
  /** Those with the least traffic are forgotten beyond it. */
  readonly accountsMax: number;
  readonly policy: RehomingPolicy;
  readonly hot: HotGroupPolicy;
}
