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
}

export interface ClusterSnapshot {
  readonly atMs: number;
  readonly nodes: Readonly<Record<NodeName, ObservedNode>>;
  readonly groups: Readonly<Record<GroupName, ObservedGroup>>;
  readonly ranges: Readonly<Record<RangeName, ObservedRange>>;
}
