/**
 * What the clients of a verification did and what they were told: the one thing that every checker
 * reads. Plain data, so that a history can be written to a file, cut down and checked again.
 *
 * Times are the driver's monotonic milliseconds. An operation took effect, if it did, at some moment
 * between its start and its end; one of unknown outcome may take effect at any time after its start.
 */
import type { Token } from '../topology/position.ts';

/** 'failed': it is certain that nothing happened. 'unknown': it may have happened, or still may. */
export type OperationOutcome = 'ok' | 'failed' | 'unknown';

/** A read's freshness as it was asked for. */
export type Asked =
  | { readonly kind: 'strong' }
  | { readonly kind: 'bounded'; readonly maxStalenessMs: number }
  | { readonly kind: 'token'; readonly token: Token };

/** One micro-operation of a list-append transaction (Elle's words: mop). */
export type ListStep =
  | { readonly kind: 'append'; readonly key: string; readonly value: number }
  /** `values` once it was answered, in the order in which they were appended. */
  | { readonly kind: 'read'; readonly key: string; readonly values?: readonly number[] };

export type Action =
  /** Values of one register are unique over the whole history; null is "never written". */
  | { readonly kind: 'register-write'; readonly register: string; readonly value: number }
  | {
      readonly kind: 'register-read';
      readonly register: string;
      readonly asked: Asked;
      readonly value?: number | null;
    }
  /** Writes `value` if it finds `expected`; `swapped` once it was answered. */
  | {
      readonly kind: 'register-swap';
      readonly register: string;
      readonly expected: number | null;
      readonly value: number;
      readonly swapped?: boolean;
    }
  | { readonly kind: 'list'; readonly steps: readonly ListStep[] }
  /** Moves money; with a key it may be sent several times and counts once. */
  | {
      readonly kind: 'transfer';
      readonly id: string;
      readonly from: string;
      readonly to: string;
      readonly amount: number;
      readonly key?: string | undefined;
      /** Every answer that was given for its key, first answer first; they must be equal. */
      readonly answers?: readonly string[];
    }
  /** All balances of accounts that live in one group, read in one transaction. */
  | {
      readonly kind: 'balances';
      readonly group: string;
      readonly balances?: Readonly<Record<string, number>>;
    }
  /** A row that must be there at the end if it was acknowledged. */
  | { readonly kind: 'insert'; readonly account: string; readonly id: string };

export interface Operation {
  /** Position in the history, by start. */
  readonly index: number;
  /** A logical client: it starts one operation after the other. */
  readonly client: string;
  /** The region in which the client is. */
  readonly region: string;
  readonly via: 'gateway' | 'library';
  readonly action: Action;
  readonly outcome: OperationOutcome;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** The error's code when it did not end well. */
  readonly code?: string | undefined;
  /** Which database node served it, where that is known. */
  readonly node?: string | undefined;
  /** The consistency token that came with the answer. */
  readonly token?: Token | undefined;
}

/** What the nemesis did, for the report and for coverage. */
export interface Injected {
  readonly atMs: number;
  readonly healedAtMs: number | undefined;
  /** "kill node us-east-1.a" */
  readonly what: string;
  readonly kind: string;
  /** Groups whose leader it struck. */
  readonly struck: readonly string[];
  /** The code of what was asked for, when it ended with an error. */
  readonly code?: string | undefined;
}

/** A moment between two readings of the driver's clock. */
export interface Look {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A server that would have served a range, at the same epochs from its first look to its last. */
export interface Tenure {
  readonly node: string;
  readonly group: string;
  readonly range: string;
  readonly groupEpoch: number;
  readonly rangeEpoch: number;
  readonly first: Look;
  readonly last: Look;
}

/** Ranges as "range in group". */
export interface AccountHomes {
  readonly account: string;
  /** Where rows of it are: nowhere, if it has none. */
  readonly found: readonly string[];
  /** Where the directory and the routes say that it is. */
  readonly told: string;
}

/** Accounts that are pinned, and what was seen of them on servers where nothing of them may be. */
export interface Residents {
  readonly residency: string;
  /** Those whose servers are all where the accounts may be. */
  readonly groups: readonly string[];
  readonly accounts: readonly string[];
  /** Servers outside that were looked at when all was over. */
  readonly servers: readonly string[];
  /** Of servers outside that answered under load. */
  readonly looks: number;
  readonly strays: readonly Stray[];
}

/** A server outside of an account's residency that had rows of it. */
export interface Stray {
  readonly account: string;
  readonly node: string;
  /** When it was first seen. */
  readonly atMs: number;
}

/**
 * Read on every copy after the load has ended and everything was healed. What is missing here was not
 * there: an account without rows, a register never written, an empty list, a transfer never applied.
 */
export interface FinalState {
  /** By account: ids of the rows that the leader has, in the order of their numbers. */
  readonly rows: Readonly<Record<string, readonly string[]>>;
  readonly registers: Readonly<Record<string, number | null>>;
  readonly lists: Readonly<Record<string, readonly number[]>>;
  readonly balances: Readonly<Record<string, number>>;
  /** Ids of the transfers that SQL shows, with how often each was applied. */
  readonly transfers: Readonly<Record<string, number>>;
  /** By node: a checksum of everything it holds; those of one group must be equal. */
  readonly copies: readonly {
    readonly node: string;
    readonly group: string;
    readonly checksum: string;
  }[];
  readonly homes: readonly AccountHomes[];
}

export interface History {
  readonly operations: readonly Operation[];
  readonly injected: readonly Injected[];
  /** Of the time under load. */
  readonly tenures: readonly Tenure[];
  readonly final: FinalState;
  /** Absent: no account is pinned. */
  readonly residents?: Residents | undefined;
  /** Money that the accounts were opened with, all together. */
  readonly openedWith: number;
  /** The same by account, where it was kept: then each final balance is explained, not their sum alone. */
  readonly opened?: Readonly<Record<string, number>> | undefined;
}

export interface Violation {
  /** One sentence. */
  readonly what: string;
  /** The fewest operations that show it, by `index`. */
  readonly operations: readonly number[];
}

export interface Verdict {
  readonly checker: string;
  readonly violations: readonly Violation[];
  /**
   * What it looked at: "12 registers, 4,031 operations". Zero of any of them is a failure of coverage,
   * except of `undecided` (anything else than zero is one) and `skipped`.
   */
  readonly covered: Readonly<Record<string, number>>;
}

export interface Checker {
  readonly name: string;
  /** What it promises, in one sentence for the report. */
  readonly claims: string;
  /** Whether there is anything to check; left out: there always is. */
  readonly applies?: (history: History) => boolean;
  check(history: History): Verdict;
}
