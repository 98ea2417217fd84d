/** What is told of where accounts live, and why. */
import type { RegionName } from '../topology/region.ts';

export interface AccountExplanation {
  readonly account: string;
  readonly range: string;
  readonly group: string;
  readonly home: RegionName;
  readonly mode: 'off' | 'suggest' | 'auto';
  /** Accesses that the home must answer, in the last whole cycle, by where they came from; most first. */
  readonly traffic: readonly {
    readonly region: RegionName;
    readonly accesses: number;
    readonly share: number;
  }[];
  /** Mean round trip from its clients to each home that it may have, least first. */
  readonly homes: readonly { readonly region: RegionName; readonly meanMs: number }[];
  /** One sentence: what was decided, and why. */
  readonly why: string;
  readonly wouldMoveTo: RegionName | null;
  readonly intervalMs: number;
  readonly intervalsPerCycle: number;
}

export interface RehomingStatus {
  readonly mode: 'off' | 'suggest' | 'auto';
  readonly accountsSeen: number;
  /** Best first; the first hundred. */
  readonly suggested: readonly {
    readonly account: string;
    readonly from: RegionName;
    readonly to: RegionName;
    readonly because: 'lasting' | 'vacated';
    /** Share of the mean distance that it saves. */
    readonly gain: number;
  }[];
  readonly suggestedTotal: number;
  /** Wait for the budget. */
  readonly postponedTotal: number;
  /** In the cycle that ends now. */
  readonly movedAccounts: number;
  readonly movedBytes: number;
  /** Why nothing is done, or was not; '' otherwise. */
  readonly note: string;
}
