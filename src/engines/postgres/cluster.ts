/**
 * The running cluster as the supervisor holds it: node processes, ports, links, and per group which
 * node leads at which epoch. Mutable state lives here alone; decisions are taken from snapshots.
 *
 * The store holds, per group, the leader and the highest epoch ever given out. An epoch is written
 * there before the database hears of it, so that a crash in between can only skip numbers.
 */
import type { HostedProcess } from '../../kernel/host.ts';
import { present } from '../../kernel/assert.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type { GroupSpec, NodeSpec } from '../../topology/node.ts';
import type { Address } from '../../topology/routing.ts';
import type { DesiredState, EngineServices } from '../engine.ts';
import type { AdminTarget } from './admin.ts';
import { checkPlaces, nodePlaces, type StoredCluster, type StoredGroup } from './places.ts';
import type { ServerRole, ServerServices } from './server.ts';

export interface ClusterNode {
  readonly spec: NodeSpec;
  port: number;
  process: HostedProcess | undefined;
  /** Somebody brings it back when it ends: nobody else may start it meanwhile. */
  supervised: boolean;
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
  /** They were followed in this run, at least for a while. */
  globalsFollowed: boolean;
  /** Rises when what its copies rest on may be lost; see globals-era.ts. */
  globalsEra: number;
  /** The eras for which its copy is whole. */
  globalsFor: string | undefined;
}

export class Cluster {
  readonly nodes = new Map<string, ClusterNode>();
  readonly groups = new Map<string, ClusterGroup>();
  readonly server: ServerServices;
  readonly services: EngineServices;
  /** Starts of servers under way; a stop waits for them, so that none comes up behind its back. */
  readonly launches = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  #stored: StoredCluster;
  #ports: Promise<void> = Promise.resolve();

  constructor(server: ServerServices, services: EngineServices) {
    this.server = server;
    this.services = services;
    this.#stored = (services.store.read() as StoredCluster | undefined) ?? { groups: {} };
  }

  get stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Aborts when the engine begins to stop. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  beginStop(): void {
    this.#stop.abort();
  }

  /** Takes the declaration into account; idempotent. Throws when it would lose sight of data. */
  adopt(desired: DesiredState): void {
    checkPlaces(this.#stored, desired);
    const { groups, primaryGroup } = desired;
    for (const spec of groups) {
      if (this.groups.has(spec.name)) continue;
      const stored = this.#stored.groups[spec.name];
      this.groups.set(spec.name, {
        spec,
        leader: leaderOf(spec, stored),
        epoch: stored?.epoch ?? 0,
        open: false,
        settled: stored?.settled ?? false,
        // A standby refuses to start with fewer than its leader ever had: lowering has no effect.
        connectionsMax: Math.max(stored?.connectionsMax ?? 0, this.server.options.connectionsMax),
        globals: spec.name === primaryGroup ? 'publisher' : 'none',
        globalsFollowed: false,
        globalsEra: stored?.globalsEra ?? 0,
        globalsFor: stored?.globalsFor,
      });
      for (const node of spec.nodes) {
        this.nodes.set(node.name, { spec: node, port: 0, process: undefined, supervised: false });
      }
    }
  }

  group(name: string): ClusterGroup {
    return present(this.groups.get(name), `group ${name}`);
  }

  node(name: string): ClusterNode {
    return present(this.nodes.get(name), `node ${name}`);
  }

  /** Persists the group's next epoch before anything uses it. */
  async raiseEpoch(name: string, atLeast: number): Promise<number> {
    const group = this.group(name);
    const epoch = Math.max(group.epoch, atLeast) + 1;
    await this.#persist(group, { epoch });
    group.epoch = epoch;
    return epoch;
  }

  /** The group's data directories are complete and on disk. */
  async settle(name: string): Promise<void> {
    const group = this.group(name);
    await this.#persist(group, { settled: true });
    group.settled = true;
  }

  /** Persisted before anybody may rely on what the era before had. */
  async raiseGlobalsEra(name: string): Promise<void> {
    const group = this.group(name);
    group.globalsEra += 1;
    await this.#persist(group, { globalsEra: group.globalsEra });
  }

  /** The group's copy of the global tables is whole for these eras. */
  async keepGlobals(name: string, globalsFor: string): Promise<void> {
    const group = this.group(name);
    await this.#persist(group, { globalsFor });
    group.globalsFor = globalsFor;
  }

  /** Where a range's rows will be, before there can be any. */
  async placeRange(range: string, group: string): Promise<void> {
    if (this.#stored.ranges?.[range] === group) return;
    this.#stored = { ...this.#stored, ranges: { ...this.#stored.ranges, [range]: group } };
    await this.services.store.write(this.#stored);
  }

  /** From what is stored, not from memory: two changes of one group may be on their way at once. */
  async #persist(group: ClusterGroup, change: Partial<StoredGroup>): Promise<void> {
    const { leader, epoch, settled, connectionsMax, spec } = group;
    const before = this.#stored.groups[spec.name] ?? { epoch, settled };
    const next = { ...before, leader, connectionsMax, nodes: nodePlaces(spec), ...change };
    this.#stored = {
      ...this.#stored,
      groups: { ...this.#stored.groups, [spec.name]: next },
      ...(group.globals === 'publisher' ? { primaryGroup: spec.name } : {}),
    };
    await this.services.store.write(this.#stored);
  }

  admin(node: string): AdminTarget {
    const { port } = this.node(node);
    return { node, port, password: this.server.secrets.administrator };
  }

  /** How one node reaches another: through the emulated network. */
  link(from: string, to: string): Promise<Address> {
    return this.services.links.link({
      from: this.node(from).spec.locality,
      to: this.node(to).spec.locality,
      target: { host: '127.0.0.1', port: this.node(to).port },
    });
  }

  /**
   * Whom a node streams from. Voters follow the leader. Non-voters follow a voting follower, never the
   * leader: what they have, a voter has, so they cannot run ahead of the next leader and fork.
   */
  upstreamOf(node: string): string | undefined {
    const { spec } = this.node(node);
    const group = this.group(spec.group);
    if (group.leader === node) return undefined;
    if (spec.kind === 'voter') return group.leader;
    const followers = group.spec.nodes.filter(
      (other) => other.kind === 'voter' && other.name !== group.leader,
    );
    const nonVoters = group.spec.nodes.filter((other) => other.kind === 'non-voter');
    const index = nonVoters.findIndex((other) => other.name === node);
    return present(followers[index % followers.length], 'a voting follower').name;
  }

  async roleOf(node: string): Promise<ServerRole> {
    const { spec } = this.node(node);
    const upstream = this.upstreamOf(node);
    const otherVoters =
      spec.kind === 'voter'
        ? this.group(spec.group)
            .spec.nodes.filter((other) => other.kind === 'voter' && other.name !== node)
            .map((other) => other.name)
        : [];
    return {
      otherVoters,
      upstream: upstream === undefined ? undefined : await this.link(node, upstream),
    };
  }

  /**
   * Ports are given before any server starts, so that links can be made in any order; one asker after
   * the other, so that none changes a port that another has used already.
   */
  assignPorts(): Promise<void> {
    const assigned = this.#ports.then(async () => {
      for (const node of this.nodes.values()) {
        if (node.port === 0) node.port = await this.services.host.freePort();
      }
    });
    this.#ports = assigned.catch(() => {});
    return assigned;
  }

  notStopping(): void {
    if (this.stopping) throw new MeridianError('ERR_ENGINE_CLOSED', 'the engine is stopping');
  }
}

/** A group that was never complete may have been stored under another layout. */
function leaderOf(spec: GroupSpec, stored: StoredGroup | undefined): string {
  const known = spec.nodes.find((node) => node.name === stored?.leader) ?? spec.nodes[0];
  return present(known, 'a node').name;
}
