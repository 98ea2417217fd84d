/**
 * The running cluster as the supervisor holds it: node processes, ports, links, and per group which
 * node leads at which epoch. Mutable state lives here alone; decisions are taken from snapshots.
 *
 * The store holds, per group, the leader and the highest epoch ever given out. An epoch is written
 * there before the database hears of it, so that a crash in between can only skip numbers.
 */
import { present } from '../../kernel/assert.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type { GroupSpec, NodeName } from '../../topology/node.ts';
import type { Address, RangeName } from '../../topology/routing.ts';
import type { DesiredState, EngineServices } from '../engine.ts';
import type { AdminTarget } from './admin.ts';
import { Copies } from './arbiter/copies.ts';
import { chooseUpstreams } from './arbiter/upstreams.ts';
import { groupOf, inTurn, nodeOf, type ClusterGroup, type ClusterNode } from './cluster-state.ts';
import { Looks } from './looks.ts';
import { leftOut, withoutGroup, withoutNode, type LeftOut } from './left-out.ts';
import { checkPlaces, nodePlaces, type StoredCluster, type StoredGroup } from './places.ts';
import { RangeRegister } from './ranges/register.ts';
import type { ServerRole, ServerServices } from './server.ts';
import { votesAsDeclared } from './voters.ts';

export class Cluster {
  readonly nodes = new Map<string, ClusterNode>();
  readonly groups = new Map<string, ClusterGroup>();
  readonly server: ServerServices;
  readonly services: EngineServices;
  readonly looks: Looks;
  /** Starts of servers under way; a stop waits for them, so that none comes up behind its back. */
  readonly launches = new Set<Promise<unknown>>();
  /** Loops that look after nodes; they end by themselves once the engine stops. */
  readonly keepers = new Set<Promise<unknown>>();
  readonly copies = new Copies();
  /** See RoutingView: a time, so that it rises over restarts too. */
  directory = 0;
  /** Where ranges are, and what is being done to them. */
  readonly register: RangeRegister;
  /** Ranges whose migrations are being applied: nothing of them goes anywhere meanwhile. */
  readonly migrating = new Set<RangeName>();
  /** What ranges are made with, as the last that was prepared; undefined before the first. */
  regional: Pick<DesiredState, 'regionalMigrations' | 'tables' | 'tenantFence'> | undefined;
  /** What is to go: see left-out.ts. */
  #declared: readonly GroupSpec[] = [];
  readonly #stop = new AbortController();
  #stored: StoredCluster;
  #ports: Promise<void> = Promise.resolve();

  constructor(server: ServerServices, services: EngineServices) {
    this.server = server;
    this.services = services;
    this.looks = new Looks(services.clock);
    this.#stored = (services.store.read() as StoredCluster | undefined) ?? { groups: {} };
    this.register = new RangeRegister({
      read: () => this.#stored,
      write: (change) => this.#store(change),
    });
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
    const { groups, primaryGroup, ranges } = desired;
    this.#declared = groups;
    this.register.declare(ranges);
    for (const spec of groups) {
      if (this.groups.has(spec.name)) continue;
      const publishes = spec.name === primaryGroup;
      const { connectionsMax } = this.server.options;
      const stored = this.#stored.groups[spec.name];
      const formerEpoch = this.#stored.formerEpochs?.[spec.name] ?? 0;
      const of = { publishes, connectionsMax, formerEpoch };
      this.groups.set(spec.name, groupOf(spec, stored, of));
      for (const node of spec.nodes) {
        this.nodes.set(node.name, nodeOf(node));
      }
      this.chooseUpstreams(spec.name);
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

  /**
   * Somebody leads from now on: in one write with who may not be used any more, so that no crash leaves
   * a leader whose predecessor could be started beside it; and with who votes, if others do from now on.
   * False, and nothing has changed, when one that was left out of the election may be used again, or the
   * fence of one that was asked was lifted: it may have confirmed commits of the leader's since.
   */
  async elect(
    name: string,
    to: {
      readonly leader: NodeName;
      readonly excluded: readonly NodeName[];
      readonly voters?: ReadonlySet<NodeName>;
      readonly leftOut?: readonly NodeName[];
      readonly asked?: readonly NodeName[];
    },
  ): Promise<boolean> {
    const group = this.group(name);
    return inTurn(group, async () => {
      if (to.leftOut?.some((node) => !group.excluded.has(node)) === true) return false;
      if (to.asked?.some((node) => !this.node(node).fenced) === true) return false;
      const excluded = [...new Set([...group.excluded, ...to.excluded])].filter(
        (node) => node !== to.leader,
      );
      const unconfirmed = excluded.filter(
        (node) => group.unconfirmed.has(node) || !group.excluded.has(node),
      );
      // A publisher's slots stay behind with any change; a failover may lose what copies have confirmed.
      const lasting = to.excluded.length === 0 && group.globals !== 'publisher';
      const globalsEra = group.globalsEra + (lasting ? 0 : 1);
      const { voters = group.voters } = to;
      await this.#persist(group, {
        ...{ leader: to.leader, excluded, unconfirmed, globalsEra },
        voters: votesAsDeclared({ spec: group.spec, voters }) ? undefined : [...voters],
      });
      group.leader = to.leader;
      group.elections += 1;
      for (const node of excluded) group.excluded.add(node);
      group.excluded.delete(to.leader);
      group.unconfirmed = new Set(unconfirmed);
      group.globalsEra = globalsEra;
      group.voters = voters;
      this.chooseUpstreams(name);
      return true;
    });
  }

  /** The barrier of the elected leader is committed: who was excluded for it is dispensable. */
  async confirm(name: string): Promise<void> {
    const group = this.group(name);
    await inTurn(group, async () => {
      if (group.unconfirmed.size === 0) return;
      await this.#persist(group, { unconfirmed: [] });
      group.unconfirmed = new Set();
    });
  }

  /**
   * Its data may not be used any more. Of a voter: only once another one has everything. False, and nothing
   * has changed, unless it `mayBe` then; nobody starts it from that moment on.
   */
  async exclude(node: NodeName, mayBe: () => boolean = () => true): Promise<boolean> {
    const group = this.group(this.node(node).spec.group);
    return inTurn(group, async () => {
      if (!mayBe()) return false;
      const before = group.excluded.has(node);
      group.excluded.add(node);
      try {
        await this.#persist(group, { excluded: [...group.excluded] });
      } catch (error) {
        if (!before) group.excluded.delete(node);
        throw error;
      }
      this.chooseUpstreams(group.spec.name);
      return true;
    });
  }

  /**
   * It has a whole copy again, begun after so many elections; to be called before it runs, since it
   * confirms commits from then on. False when another was elected since: the copy may have what the
   * present leader lacks, of a log that has ended, and the next election would count it.
   */
  async include(node: NodeName, elections: number): Promise<boolean> {
    const group = this.group(this.node(node).spec.group);
    const others = (nodes: ReadonlySet<NodeName>): NodeName[] =>
      [...nodes].filter((one) => one !== node);
    return inTurn(group, async () => {
      if (group.elections !== elections) return false;
      const [excluded, unconfirmed] = [others(group.excluded), others(group.unconfirmed)];
      await this.#persist(group, { excluded, unconfirmed });
      group.excluded.delete(node);
      group.unconfirmed = new Set(unconfirmed);
      // Here and not later: an election that begins now may fence it.
      this.node(node).fenced = false;
      this.chooseUpstreams(group.spec.name);
      return true;
    });
  }

  /** From who leads and who is fit now; those that need not move stay where they are. */
  chooseUpstreams(name: string): void {
    const group = this.group(name);
    const unfit = group.spec.nodes
      .map((node) => node.name)
      .filter((node) => group.excluded.has(node) || this.node(node).process?.exit !== undefined);
    group.upstreams = chooseUpstreams({
      ...{ spec: group.spec, leader: group.leader, voters: group.voters },
      ...{ unfit: new Set(unfit), current: group.upstreams },
    });
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

  /** What is stored and not declared any more. */
  get leftOut(): LeftOut {
    return leftOut(this.#stored, { groups: this.#declared });
  }

  /** Nothing of the group is there any more. */
  async forgetGroup(name: string): Promise<void> {
    await this.#store(withoutGroup(this.#stored, name));
  }

  /** Nothing of the copy is there any more. */
  async forgetNode(group: string, node: NodeName): Promise<void> {
    await this.#store(withoutNode(this.#stored, group, node));
  }

  async #store(change: Partial<StoredCluster>): Promise<void> {
    this.#stored = { ...this.#stored, ...change };
    await this.services.store.write(this.#stored);
  }

  /**
   * From what is stored, not from memory: two changes of one group may be on their way at once. What could
   * not be written is taken back: the next write must not bring it along after it was told as failed.
   */
  async #persist(group: ClusterGroup, change: Partial<StoredGroup>): Promise<void> {
    const { leader, epoch, settled, connectionsMax, spec } = group;
    const before = this.#stored.groups[spec.name] ?? { leader, epoch, settled };
    // With copies that are not declared any more, until they are forgotten.
    const nodes = { ...('nodes' in before ? before.nodes : {}), ...nodePlaces(spec) };
    const next = { ...before, connectionsMax, nodes, ...change };
    this.#stored = {
      ...this.#stored,
      groups: { ...this.#stored.groups, [spec.name]: next },
      ...(group.globals === 'publisher' ? { primaryGroup: spec.name } : {}),
    };
    try {
      await this.services.store.write(this.#stored);
    } catch (error) {
      this.#takeBack(spec.name, { before, change });
      // It may be on the disk all the same; the next supervisor must not find what was told as failed.
      await this.services.store.write(this.#stored).catch(() => {});
      throw error;
    }
  }

  /** Only what nobody has changed since. */
  #takeBack(
    name: string,
    { before, change }: { readonly [part in 'before' | 'change']: Partial<StoredGroup> },
  ): void {
    const now: Record<string, unknown> = { ...this.#stored.groups[name] };
    for (const [key, value] of Object.entries(change)) {
      if (now[key] === value) now[key] = before[key as keyof StoredGroup];
    }
    const groups = { ...this.#stored.groups, [name]: now as unknown as StoredGroup };
    this.#stored = { ...this.#stored, groups };
  }

  admin(node: string): AdminTarget {
    const { port } = this.node(node);
    const reachable = (): boolean => this.reaches(node);
    return { node, port, password: this.server.secrets.administrator, reachable };
  }

  /** Emulated partitions cut off the arbiter as well. */
  reaches(node: string): boolean {
    const { reaches } = this.services;
    return reaches === undefined || reaches(this.node(node).spec.locality);
  }

  /** The machine under it is up: what is asked for there can be done. */
  isUp(node: string): boolean {
    return this.services.host.isDown?.(node) !== true;
  }

  /** Its process runs, for all that can be seen from here. */
  runs(node: string): boolean {
    const { process } = this.node(node);
    return process !== undefined && process.exit === undefined;
  }

  /** How one node reaches another: through the emulated network. */
  link(from: string, to: string): Promise<Address> {
    return this.services.links.link({
      from: this.node(from).spec.locality,
      to: this.node(to).spec.locality,
      target: { host: '127.0.0.1', port: this.node(to).port },
    });
  }

  /** Whom a node streams from; undefined for the leader. See arbiter/upstreams.ts. */
  upstreamOf(node: string): string | undefined {
    return this.group(this.node(node).spec.group).upstreams.get(node);
  }

  async roleOf(node: string): Promise<ServerRole> {
    const { spec, fenced, clockOffsetMs } = this.node(node);
    const { voters } = this.group(spec.group);
    const otherVoters = voters.has(node) ? [...voters].filter((other) => other !== node) : [];
    const upstream = this.upstreamOf(node);
    return {
      otherVoters,
      // A port is known only once it was started in this run.
      upstream: upstream === undefined || fenced ? undefined : await this.link(node, upstream),
      follows: upstream !== undefined,
      clockOffsetMs,
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
