/** What `meridian status` shows: the whole platform at one moment. */
import type { RehomingStatus } from './placement.ts';
import type { NodeKind } from '../topology/node.ts';
import type { Region } from '../topology/region.ts';
import type { ChaosFault } from './chaos.ts';

export interface NodeStatus {
  readonly name: string;
  readonly group: string;
  readonly kind: NodeKind;
  readonly region: string;
  readonly zone: string;
  /**
   * 'unknown': it did not answer; never "absent". 'lost': its data may not be used any more, and it waits
   * to be copied anew. 'rebuilding': it is being.
   */
  readonly state:
    'leader' | 'streaming' | 'catching-up' | 'down' | 'unknown' | 'lost' | 'rebuilding';
  readonly pid: number | null;
  readonly port: number;
  /** The end of its log: written on a leader, replayed on others ("0/3000148"). */
  readonly position: string | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
  /** Null: it is what it should be. */
  readonly repair: RepairStatus | null;
}

export interface RepairStatus {
  readonly phase: 'lost' | 'excluding' | 'copying' | 'starting' | 'catching-up';
  readonly doneBytes: number;
  /** Null while it is not known. */
  readonly totalBytes: number | null;
  readonly forMs: number;
}

export interface GroupStatus {
  readonly name: string;
  readonly homeRegion: string;
  /** What its accounts are pinned to; null: to nothing. */
  readonly residency: string | null;
  readonly epoch: number;
  readonly leader: string | null;
  readonly ranges: readonly string[];
  /** Those of them that are moved away, or have come and what they left is being tidied up. */
  readonly moves: readonly MoveStatus[];
  readonly accounts: number | null;
  /** Replication of the global tables into this group; null in the primary's own. */
  readonly globalLagBytes: number | null;
  /** Prepared transactions over several groups that wait for their outcome; null: not known. */
  readonly inDoubt: { readonly count: number; readonly oldestMs: number } | null;
  /** What is being done to the group, or what it waits for; null: nothing. */
  readonly operation: OperationStatus | null;
  /** The leader's right to serve strong reads; null where there are no leases. */
  readonly lease: LeaseStatus | null;
  readonly lastChange: LeaderChangeStatus | null;
  /** Leader changes and restarts since the supervisor started, by cause. */
  readonly leaderChanges: Readonly<Record<string, number>>;
  /** Who votes since a recovery by force, and the way home; null: those that are declared to. */
  readonly recoveredVoters: RecoveredVoters | null;
}

export interface MoveStatus {
  readonly range: string;
  readonly from: string;
  readonly to: string;
  /** "copying", "handing-over" */
  readonly phase: string;
  /** From 1: a change of leader of either group begins the copy anew. */
  readonly attempt: number;
  readonly doneBytes: number;
  /** Null while it is not known. */
  readonly totalBytes: number | null;
  /** Why the last attempt has failed; '' when none has. */
  readonly detail: string;
  readonly forMs: number;
}

/** Accounts on their way to other ranges. */
export interface TransferStatus {
  /** What `meridian rehome --cancel` takes. */
  readonly number: string;
  readonly kind: 'split' | 'merge' | 'rehome';
  /** "r0001 into s0002", "to eu-west-1" */
  readonly what: string;
  readonly totalAccounts: number;
  readonly doneAccounts: number;
  /** "carry", "move", "remove" */
  readonly phase: string;
  /** What has not arrived is being put back. */
  readonly cancelled: boolean;
  /** Why the last try has failed; '' when none has. */
  readonly detail: string;
  readonly forMs: number;
}

/** A region that is to be left. */
export interface DrainStatus {
  readonly region: string;
  /** 'drained': nothing is there any more, and the declaration may leave it out. */
  readonly state: 'draining' | 'drained';
  /** In this life of the supervisor. */
  readonly totalAccounts: number;
  readonly doneAccounts: number;
  /** What was in the way last; '' for nothing. */
  readonly note: string;
}

export interface RecoveredVoters {
  readonly names: readonly string[];
  /** "meridian switchover us-east-1 --region us-east" */
  readonly command: string;
}

export interface OperationStatus {
  readonly kind: 'restart' | 'failover' | 'switchover' | 'no-quorum' | 'region-lost' | 'recovery';
  /** "promoting us-east-1.b" */
  readonly phase: string;
  readonly cause: string;
  /** For a person: what it waits for, or what to do. */
  readonly detail: string;
  readonly forMs: number;
  /** What is left to a person to decide. */
  readonly decision: LossDecision | null;
}

export interface LossDecision {
  /** "meridian recover us-east-1 --accept-loss" */
  readonly command: string;
  /** What it may lose, as a sentence. */
  readonly mayLose: string;
}

export interface LeaseStatus {
  readonly holder: string;
  /** Since this holder has it without a break. */
  readonly tenureMs: number;
  /** 0: it has run out. */
  readonly remainingMs: number;
}

export interface LeaderChangeStatus {
  readonly cause: string;
  readonly from: string | null;
  readonly to: string;
  readonly epoch: number;
  readonly at: string;
  readonly agoMs: number;
  /** From its detection until the group was open again. */
  readonly tookMs: number;
}

export interface ProcessStatus {
  readonly name: string;
  readonly region: string;
  readonly zone: string;
  readonly pid: number | null;
  readonly port: number;
  readonly state: 'starting' | 'ready' | 'unhealthy' | 'draining' | 'backing-off' | 'stopped';
  readonly restarts: number;
}

export interface StatusReport {
  readonly installation: string;
  readonly engine: string;
  readonly survive: string;
  readonly primaryRegion: string;
  readonly startedAt: string;
  readonly regions: readonly Region[];
  readonly groups: readonly GroupStatus[];
  readonly nodes: readonly NodeStatus[];
  readonly gateways: readonly ProcessStatus[];
  readonly appServers: readonly ProcessStatus[];
  readonly transfers: readonly TransferStatus[];
  /** Regions that are to be left. */
  readonly drains: readonly DrainStatus[];
  readonly rehoming: RehomingStatus;
  /** Faults on purpose that are in force. */
  readonly faults: readonly ChaosFault[];
  readonly supervisorPid: number;
}
