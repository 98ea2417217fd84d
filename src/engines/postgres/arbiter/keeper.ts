/**
 * Looks after one node for as long as the engine runs: starts a follower that ended, ends one that
 * hangs, clones one whose data is lost or has forked. A leader is its group's machine's business
 * (leadership.ts), and stays so until somebody else leads.
 *
 * Level-triggered: it looks at the state of things, does the one thing that is due (`judgeNode`, pure),
 * and looks again when something changed or its time is up.
 */
import { isMeridianError, messageOf } from '../../../kernel/errors.ts';
import { backoffMs } from '../../../kernel/retry.ts';
import type { NodeName } from '../../../topology/node.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster, ClusterNode } from '../cluster.ts';
import { readMarker } from '../initialise.ts';
import { makeSlotsOn } from '../slots.ts';
import { follow } from './fencing.ts';
import { judgeNode, type NodeDue, type NodeFacts } from './node-judgement.ts';
import { rebuild } from './rebuild.ts';
import { ensureRunning } from './running.ts';

const BACKOFF = { baseMs: 100, maxMs: 5_000 };
/** After something changed, until all is well; then seldom, since each look is a connection. */
const LOOK_SOON_MS = 500;
const LOOK_MS = 8_000;
const LOOK_TIMEOUT_MS = 1_500;

/** Starts looking after it; it ends with the engine. */
export function keep(cluster: Cluster, name: NodeName): void {
  const node = cluster.node(name);
  if (node.kept) return;
  node.kept = true;
  const keeping = new Keeper(cluster, node).run().finally(() => {
    node.kept = false;
    cluster.keepers.delete(keeping);
  });
  cluster.keepers.add(keeping);
}

class Keeper {
  readonly #cluster: Cluster;
  readonly #node: ClusterNode;
  /** Starts, or clones, that failed in a row. */
  #failures = 0;
  #endings = 0;
  #silentSinceMs: number | undefined;
  #strandedSinceMs: number | undefined;

  constructor(cluster: Cluster, node: ClusterNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async run(): Promise<void> {
    const { stopSignal, services } = this.#cluster;
    while (!this.#cluster.stopping) {
      const due = judgeNode(await this.#look());
      let waitMs = due === 'nothing' ? LOOK_MS : LOOK_SOON_MS;
      try {
        await this.#perform(due);
        if (due === 'start' || due === 'rebuild') this.#failures = this.#endings = 0;
      } catch (error) {
        if (this.#cluster.stopping) return;
        this.#failures += 1;
        if (due === 'start' && isMeridianError(error, 'ERR_PROCESS_FAILED')) this.#endings += 1;
        waitMs = backoffMs(this.#failures, services.random, BACKOFF);
        this.#tell(due, error);
      }
      await this.#node.bell.wait(services.clock, waitMs, stopSignal);
    }
  }

  async #perform(due: NodeDue): Promise<void> {
    const { spec, process } = this.#node;
    const { log } = this.#cluster.services;
    switch (due) {
      case 'nothing':
      case 'wait':
        return;
      case 'start':
        log.warn('a server is down; starting it in place', { node: spec.name });
        await ensureRunning(this.#cluster, spec.name);
        await makeFollowerSlots(this.#cluster, spec.name);
        return;
      case 'end':
        log.warn('a server does not answer; ending it', { node: spec.name });
        process?.signalTree('SIGKILL');
        this.#silentSinceMs = undefined;
        return;
      case 'rebuild':
        this.#strandedSinceMs = undefined;
        await rebuild(this.#cluster, spec.name);
        this.#node.rebuildAsked = false;
    }
  }

  async #look(): Promise<NodeFacts> {
    const { spec, launching } = this.#node;
    const { name } = spec;
    const group = this.#cluster.group(spec.group);
    const { clock } = this.#cluster.services;
    const runs = this.#cluster.runs(name);
    const reached = this.#cluster.reaches(name) && this.#cluster.isUp(name);
    const leads = group.leader === name;
    const upstream = this.#cluster.upstreamOf(name);
    const whole = (await readMarker(this.#cluster.server.storage, name)) !== undefined;
    const facts = {
      ...{ leads, runs, reached, whole, open: group.open, starting: launching !== undefined },
      excluded: group.excluded.has(name) || this.#node.rebuildAsked,
      endings: this.#endings,
      dispensable:
        group.excluded.has(name) &&
        !group.unconfirmed.has(name) &&
        this.#cluster.runs(group.leader) &&
        this.#cluster.reaches(group.leader),
      upstreamWell:
        upstream !== undefined && this.#cluster.runs(upstream) && this.#cluster.reaches(upstream),
    };
    const looks = runs && reached && !leads && group.open && !facts.starting;
    const seen = looks ? await streams(this.#cluster, name) : undefined;
    const nowMs = clock.monotonicMs();
    this.#silentSinceMs = looks && seen === undefined ? (this.#silentSinceMs ?? nowMs) : undefined;
    const stranded = seen === false && facts.upstreamWell;
    this.#strandedSinceMs = stranded ? (this.#strandedSinceMs ?? nowMs) : undefined;
    return {
      ...facts,
      silentMs: this.#silentSinceMs === undefined ? 0 : nowMs - this.#silentSinceMs,
      strandedMs: this.#strandedSinceMs === undefined ? 0 : nowMs - this.#strandedSinceMs,
    };
  }

  /** A machine that is down is no news each time it is tried. */
  #tell(due: NodeDue, error: unknown): void {
    if (isMeridianError(error, 'ERR_HOST_DOWN') && this.#failures > 1) return;
    const { log } = this.#cluster.services;
    const facts = { node: this.#node.spec.name, due, failures: this.#failures };
    log.warn('a server could not be made well yet', { ...facts, error: messageOf(error) });
  }
}

/** Undefined: it does not answer. */
async function streams(cluster: Cluster, name: NodeName): Promise<boolean | undefined> {
  try {
    const { rows } = await withAdmin(
      cluster.admin(name),
      (client) =>
        client.query<{ streams: boolean }>(
          `SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AS streams`,
        ),
      { statementTimeoutMs: LOOK_TIMEOUT_MS },
    );
    return rows[0]?.streams === true;
  } catch {
    return undefined;
  }
}

/** Those that stream from it may have come up while it was down, and then have no slot on it yet. */
async function makeFollowerSlots(cluster: Cluster, name: NodeName): Promise<void> {
  const { upstreams } = cluster.group(cluster.node(name).spec.group);
  const followers = [...upstreams].flatMap(([one, upstream]) => (upstream === name ? [one] : []));
  if (followers.length > 0) await makeSlotsOn(cluster, name, followers);
  // It may have started with the files of before a change of leader.
  await follow(cluster, name);
}
