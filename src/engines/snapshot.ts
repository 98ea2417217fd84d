/** One immutable observation of a cluster: every decision is taken from one of these alone. */
import type { NodeName } from '../topology/node.ts';
import type { GroupName } from '../topology/position.ts';
import type { RangeName } from '../topology/routing.ts';

export interface ObservedNode {
  readonly name: NodeName;
  readonly group: GroupName;
  /** Its data directory is complete. */
  readonly initialised: boolean;
  /** Its process runs under this supervisor. */
  readonly running: boolean;
  readonly pid: number | null;
  readonly port: number;
  /** 'unknown': runs, but did not answer in time. */
  readonly role: 'leader' | 'follower' | 'down' | 'unknown';
  /** Followers: connected to their upstream. */
  readonly streaming: boolean;
  /** End of log written (leader) or replayed (others). */
  readonly position: bigint | null;
  /** Behind the group's leader. */
  readonly lagBytes: number | null;
  /** Age of the newest heartbeat it shows. */
  readonly lagMs: number | null;
  /** Undefined: it is what it should be. */
  readonly repair?: NodeRepair | undefined;
}

/** A replica that is being made whole again. */
export interface NodeRepair {
  /** 'lost': its data may not be used any more, and it waits for its turn. */
  readonly phase: 'lost' | 'excluding' | 'copying' | 'starting' | 'catching-up';
  readonly doneBytes: number;
  /** Null while it is not known. */
  readonly totalBytes: number | null;
  /** How long ago it began. */
  readonly sinceMs: number;
}

export interface AppliedMigration {
  readonly name: string;
  readonly checksum: string;
}

export interface ObservedGroup {
  readonly name: GroupName;
  readonly epoch: number;
  readonly leader: NodeName | null;
  /** Barrier committed under this supervisor: clients may come. */
  readonly open: boolean;
  /** Its data was complete on disk once. */
  readonly settled: boolean;
  /** Version of the engine's own schema; 0 before the first. */
  readonly schemaVersion: number;
  readonly databaseMigrations: readonly AppliedMigration[];
  /** Replication of the global tables into this group. */
  readonly globals: 'publisher' | 'subscribed' | 'none';
  /** Bytes of the publisher's log that this subscriber has not confirmed. */
  readonly globalLagBytes: number | null;
  readonly accounts: number | null;
  /** Prepared transactions over several groups that wait for their outcome; null: not known. */
  readonly inDoubt: InDoubt | null;
  /** What is being done to the group, or what it waits for; undefined: nothing. */
  readonly operation?: GroupOperation | undefined;
  readonly lease?: GroupLease | undefined;
  /** The last change of leader or restart of it under this supervisor. */
  readonly lastChange?: LeaderChange | undefined;
  /** Leader changes and restarts since the supervisor started, by cause. */
  readonly leaderChanges?: Readonly<Record<string, number>> | undefined;
  /** It is to go, and gets no new accounts. 'drained': nothing is in it any more. */
  readonly draining?: 'draining' | 'drained' | undefined;
  /** Who votes since a recovery by force; undefined: those that are declared to. */
  readonly recoveredVoters?: readonly NodeName[] | undefined;
}

export interface GroupOperation {
  readonly kind: 'restart' | 'failover' | 'switchover' | 'no-quorum' | 'region-lost' | 'recovery';
  /** A word of the machine, perhaps followed by the node it concerns: "promoting us-east-1.b". */
  readonly phase: string;
  readonly cause: string;
  /** For a person: what it waits for, or what to do. */
  readonly detail: string;
  /** How long ago it began. */
  readonly sinceMs: number;
}

/** The leader's right to serve strong reads. */
export interface GroupLease {
  readonly holder: NodeName;
  /** Since this holder has it without a break. */
  readonly tenureMs: number;
  /** 0: it has run out. */
  readonly remainingMs: number;
}

export interface LeaderChange {
  /** 'started', 'died', 'silent', 'isolated', 'switchover', 'recovery' */
  readonly cause: string;
  readonly from: NodeName | null;
  readonly to: NodeName;
  readonly epoch: number;
  /** The moment the group was open again, on the clock of the snapshot's `atMs`. */
  readonly atMs: number;
  /** From its detection until the group was open again. */
  readonly tookMs: number;
}

/** For a moment this is normal: it is the middle of a commit. */
export interface InDoubt {
  readonly count: number;
  /** 0 when there are none. */
  readonly oldestMs: number;
}

export interface ObservedRange {
  readonly name: RangeName;
  readonly group: GroupName;
  readonly epoch: number;
  readonly state: 'open' | 'closed';
  readonly migrations: readonly AppliedMigration[];
  /** No declaration knows it: it was made for accounts that went there. */
  readonly made?: boolean | undefined;
  /** It is being moved, or what a move has left is being tidied up. */
  readonly move?: ObservedMove | undefined;
}

export interface ObservedMove {
  readonly from: GroupName;
  readonly to: GroupName;
  /** A word of the machine. */
  readonly phase: string;
  /** From 1. */
  readonly attempt: number;
  readonly doneBytes: number;
  /** 0 while it is not known. */
  readonly totalBytes: number;
  /** Why the last attempt has failed; '' when none has. */
  readonly detail: string;
  /** How long ago it began, in this life of the supervisor. */
  readonly sinceMs: number;
}

/** Accounts on their way to other ranges. */
export interface ObservedTransfer {
  readonly number: string;
  readonly kind: 'split' | 'merge' | 'rehome';
  /** "r0001 into s0002", "to eu-west-1" */
  readonly what: string;
  readonly totalAccounts: number;
  readonly doneAccounts: number;
  /** A word of the machine. */
  readonly phase: string;
  /** What was done is being undone. */
  readonly cancelled: boolean;
  /** Why the last try has failed; '' when none has. */
  readonly detail: string;
  /** How long ago it began, in this life of the supervisor. */
  readonly sinceMs: number;
}

export interface ClusterSnapshot {
  readonly atMs: number;
  readonly nodes: Readonly<Record<NodeName, ObservedNode>>;
  readonly groups: Readonly<Record<GroupName, ObservedGroup>>;
  readonly ranges: Readonly<Record<RangeName, ObservedRange>>;
  readonly transfers?: readonly ObservedTransfer[];
  /** Stored, and not declared any more: their files and names are to go. */
  readonly leftOut?: {
    readonly groups: readonly GroupName[];
    /** Copies for reads of groups that stay: server → group. */
    readonly nodes: Readonly<Record<NodeName, GroupName>>;
  };
  /** Moves of an earlier life of the supervisor that nobody has settled yet. */
  readonly unsettledMoves?: readonly {
    readonly range: RangeName;
    readonly from: GroupName;
    readonly to: GroupName;
  }[];
}
