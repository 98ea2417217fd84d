/** What is told of where accounts live, and why. */
import { MeridianError } from '../kernel/errors.ts';
import type { DeclaredPlacement, TrafficByHome } from '../topology/declared.ts';
import type { RegionName } from '../topology/region.ts';
import type { SchemaFacts } from '../topology/schema-facts.ts';

export interface AccountExplanation {
  readonly account: string;
  readonly range: string;
  readonly group: string;
  readonly home: RegionName;
  /** What it is pinned to; null: to nothing. */
  readonly residency: string | null;
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

/** A group with much more to do than the others of its region, and what would relieve it. */
export interface HotGroupStatus {
  /** 'indivisible': nothing would, since one account has most of it. */
  readonly kind: 'move' | 'split' | 'indivisible';
  readonly group: string;
  readonly range: string;
  /** Where the range, or the accounts that are split off it, should go. */
  readonly to: string | null;
  /** Those that are to be split off; the first hundred. */
  readonly accounts: readonly string[];
  readonly accountsTotal: number;
  /** The one that has most of it. */
  readonly account: string | null;
  /** Of what the group has to do: what would go, or what the account has. */
  readonly share: number;
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
  readonly hot: readonly HotGroupStatus[];
  /** Why nothing is done, or was not; '' otherwise. */
  readonly note: string;
}

/** What a change of the declaration is planned from: POST /v1/placement, with a PlacementQuestion. */
export interface PlacementFacts {
  /** In force. */
  readonly declared: DeclaredPlacement;
  /** Null while a group is not open. */
  readonly ranges: readonly PlacedRange[] | null;
  /** Null where nothing is counted. */
  readonly traffic: TrafficByHome | null;
  readonly schema: SchemaFacts | null;
  /** What each group writes into its log, since the supervisor started; null: it is too early to say. */
  readonly logBytesPerDay: Readonly<Record<string, number>> | null;
  /** How long the last start took. */
  readonly startMs: number;
  /** What could not be learnt, and why. */
  readonly missing: readonly string[];
}

export interface PlacedRange {
  readonly range: string;
  readonly group: string;
  readonly homeRegion: RegionName;
  /** Null: a split has made it. */
  readonly declaredIn: string | null;
  readonly accounts: number;
  readonly bytes: number;
}

export interface PlacementQuestion {
  /** To be looked at, by name. */
  readonly statements: Readonly<Record<string, string>>;
}

const STATEMENTS_MAX = 1_000;

/** Throws ERR_CONTROL_REQUEST. */
export function parsePlacementQuestion(body: string): PlacementQuestion {
  let statements: unknown;
  try {
    ({ statements } = (JSON.parse(body) ?? {}) as { readonly statements?: unknown });
  } catch {
    // Refused below.
  }
  const entries =
    typeof statements === 'object' && statements !== null && !Array.isArray(statements)
      ? Object.entries(statements)
      : undefined;
  if (
    entries === undefined ||
    entries.length > STATEMENTS_MAX ||
    entries.some(([, text]) => typeof text !== 'string')
  ) {
    throw new MeridianError(
      'ERR_CONTROL_REQUEST',
      `statements to be looked at are an object of texts, at most ${String(STATEMENTS_MAX)}`,
    );
  }
  return { statements: Object.fromEntries(entries) };
}
