/** What the supervisor holds of one node and of one group, and how that begins. Cluster changes it. */
import { present } from '../../kernel/assert.ts';
import type { HostedProcess } from '../../kernel/host.ts';
import { Wakeup } from '../../kernel/wakeup.ts';
import type { GroupSpec, NodeName, NodeSpec } from '../../topology/node.ts';
import type { NodeRepair } from '../snapshot.ts';
import type { GroupArbiter } from './arbiter/group-arbiter.ts';
import { newLease, type Lease } from './arbiter/lease.ts';
import { newPulse, type Pulse } from './arbiter/pulse.ts';
import type { StoredGroup } from './places.ts';
import type { RoleFiles } from './server.ts';
import { declaredVoters } from './voters.ts';

export interface ClusterNode {
  readonly spec: NodeSpec;
  port: number;
  process: HostedProcess | undefined;
  /** Somebody looks after it for the rest of this run (keeper.ts). */
  kept: boolean;
  /** A start under way: whoever wants it to run waits for the same one. */
  launching: Promise<void> | undefined;
  /** It may not receive anything until the arbiter lets it: see arbiter/fencing.ts. */
  fenced: boolean;
  /** The end of the line of writes of its role: see arbiter/role-files.ts. */
  roleWrites: Promise<void>;
  readonly roleFiles: RoleFiles;
  /** Its group's `voters` that its process certainly waits for: see arbiter/quorum-in-force.ts. */
  waitsFor: ReadonlySet<NodeName> | undefined;
  /** Of fault injection. */
  clockOffsetMs: number;
  repair: NodeRepair | undefined;
  /** An operator wants it to be cloned, well or not. */
  rebuildAsked: boolean;
  /** Rung when there may be something to do for its keeper. */
  readonly bell: Wakeup;
}

export interface ClusterGroup {
  readonly spec: GroupSpec;
  leader: string;
  epoch: number;
  /** The barrier of `epoch` is committed and the leader's process has lived since. */
  open: boolean;
  settled: boolean;
  connectionsMax: number;
  /** The subscription to the global tables was made or refreshed in this run. */
  globals: 'publisher' | 'subscribed' | 'none';
  /** See StoredGroup. */
  readonly excluded: Set<NodeName>;
  unconfirmed: ReadonlySet<NodeName>;
  /** How often somebody was elected in this run: who led before may have had what nobody has now. */
  elections: number;
  /** The end of the line of changes of who leads and who may be used: see cluster.ts. */
  changes: Promise<unknown>;
  /** Another set whenever others vote. */
  voters: ReadonlySet<NodeName>;
  /** Follower → whom it streams from. */
  upstreams: ReadonlyMap<NodeName, NodeName>;
  /** What the heartbeats see of the leader. */
  readonly pulse: Pulse;
  lease: Lease;
  /** Of the machine in arbiter/; undefined before the first opening. */
  leadership: GroupArbiter | undefined;
  /** They were followed in this run, at least for a while. */
  globalsFollowed: boolean;
  /** Rises when what its copies rest on may be lost; see globals-era.ts. */
  globalsEra: number;
  /** The eras for which its copy is whole. */
  globalsFor: string | undefined;
}

export function groupOf(
  spec: GroupSpec,
  stored: StoredGroup | undefined,
  of: {
    readonly publishes: boolean;
    readonly connectionsMax: number;
    /** Of a group of this name that is gone. */
    readonly formerEpoch: number;
  },
): ClusterGroup {
  const leader = leaderOf(spec, stored);
  // A copy of a region that has gone may not be used, and is none of the group's any more.
  const isDeclared = (node: NodeName): boolean => spec.nodes.some(({ name }) => name === node);
  return {
    spec,
    leader,
    epoch: stored?.epoch ?? of.formerEpoch,
    open: false,
    settled: stored?.settled ?? false,
    // A standby refuses to start with fewer than its leader ever had: lowering has no effect.
    connectionsMax: Math.max(stored?.connectionsMax ?? 0, of.connectionsMax),
    globals: of.publishes ? 'publisher' : 'none',
    globalsFollowed: false,
    globalsEra: stored?.globalsEra ?? 0,
    globalsFor: stored?.globalsFor,
    excluded: new Set(stored?.excluded?.filter(isDeclared)),
    unconfirmed: new Set(stored?.unconfirmed?.filter(isDeclared)),
    elections: 0,
    changes: Promise.resolve(),
    voters: new Set(stored?.voters ?? declaredVoters(spec)),
    upstreams: new Map(),
    pulse: newPulse(),
    lease: newLease(leader, 0),
    leadership: undefined,
  };
}

/** A group that was never complete may have been stored under another layout. */
function leaderOf(spec: GroupSpec, stored: StoredGroup | undefined): string {
  const known = spec.nodes.find((node) => node.name === stored?.leader) ?? spec.nodes[0];
  return present(known, 'a node').name;
}

export function nodeOf(spec: NodeSpec): ClusterNode {
  return {
    spec,
    port: 0,
    process: undefined,
    kept: false,
    launching: undefined,
    fenced: false,
    roleWrites: Promise.resolve(),
    roleFiles: { written: undefined, read: undefined },
    waitsFor: undefined,
    clockOffsetMs: 0,
    repair: undefined,
    rebuildAsked: false,
    bell: new Wakeup(),
  };
}

/**
 * Who leads and who may be used is changed by one after the other: each change is computed from what the
 * last one has stored, and decided on what holds then.
 */
export function inTurn<T>(group: ClusterGroup, change: () => Promise<T>): Promise<T> {
  const done = group.changes.then(change);
  group.changes = done.catch(() => {});
  return done;
}
