/**
 * What an engine can say of a machine before anything is started on it: words and needs, which
 * `meridian doctor` judges and shows. Finding them out changes nothing.
 */
import type { Host } from '../kernel/host.ts';
import type { GroupSpec } from '../topology/node.ts';
import type { GroupName } from '../topology/position.ts';
import type { RangeName } from '../topology/routing.ts';

/** One thing that was looked at. */
export interface Diagnosed {
  /** For a person: "PostgreSQL 18.4". */
  readonly found: string;
  /** Left out: it is as it must be. */
  readonly fault?: { readonly severity: 'warning' | 'failure'; readonly remedy: string };
}

export interface EngineDiagnosis {
  /** Programs that nodes are: there, and they run. */
  readonly programs: Diagnosed;
  /** The operating system's account that nodes run as. */
  readonly account: Diagnosed;
  /** The folder of the nodes' files, as that account meets it. */
  readonly storage: Diagnosed;
  /** What is in it already: readable by this release, and where the declaration wants it. */
  readonly data: Diagnosed;
  /** Limits of the kernel that nodes share. */
  readonly kernel: Diagnosed;
  /** Where the nodes' files are or would be; it may not exist yet. */
  readonly nodesDirectory: string;
  readonly needs: EngineNeeds;
}

export interface EngineNeeds {
  /** What the next start writes. */
  readonly diskBytes: number;
  /** Room for the nodes' logs to grow into. */
  readonly growthBytes: number;
  /** Of all nodes together. */
  readonly memoryBytes: number;
  /** File descriptors of one process. */
  readonly openFiles: number;
}

export interface DiagnosisGround {
  readonly host: Host;
  /** The data directory; it may not exist. */
  readonly directory: string;
  /** Of the desired state, what says where data is. */
  readonly desired: {
    readonly groups: readonly GroupSpec[];
    readonly primaryGroup: GroupName;
    readonly ranges: readonly { readonly name: RangeName; readonly group: GroupName }[];
  };
  /** Its nodes run now: what they need is theirs already. */
  readonly running: boolean;
  /** The engine's part of the control store; undefined without one. */
  readonly stored: unknown;
}
