/** What `meridian status` shows: the whole platform at one moment. */
import type { NodeKind } from '../topology/node.ts';
import type { Region } from '../topology/region.ts';
import type { ChaosFault } from './chaos.ts';

export interface NodeStatus {
  readonly name: string;
  readonly group: string;
  readonly kind: NodeKind;
  readonly region: string;
  readonly zone: string;
  /** 'unknown': it did not answer; never "absent". */
  readonly state: 'leader' | 'streaming' | 'catching-up' | 'down' | 'unknown';
  readonly pid: number | null;
  readonly port: number;
  /** The end of its log: written on a leader, replayed on others ("0/3000148"). */
  readonly position: string | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
}

export interface GroupStatus {
  readonly name: string;
  readonly homeRegion: string;
  readonly epoch: number;
  readonly leader: string | null;
  readonly ranges: readonly string[];
  readonly accounts: number | null;
  /** Replication of the global tables into this group; null in the primary's own. */
  readonly globalLagBytes: number | null;
  /** Prepared transactions over several groups that wait for their outcome; null: not known. */
  readonly inDoubt: { readonly count: number; readonly oldestMs: number } | null;
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
  /** Faults on purpose that are in force. */
  readonly faults: readonly ChaosFault[];
  readonly supervisorPid: number;
}
