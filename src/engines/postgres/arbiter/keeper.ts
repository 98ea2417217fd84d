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
import type { Cluster } from '../cluster.ts';
import type { ClusterNode } from '../cluster-state.ts';
import { readMarker } from '../initialise.ts';
import { settleFollowers } from './following.ts';
import { judgeNode, STRANDED_MAX_MS, type NodeDue, type NodeFacts } from './node-judgement.ts';
import { rebuild } from './rebuild.ts';
import { ensureRunning } from './running.ts';
import { isOutrun } from './wal-kept.ts';

const BACKOFF = { baseMs: 100, maxMs: 5_000 };
/** After something changed, until all is well; then seldom: each look is a connection then. */
const LOOK_SOON_MS = 500;
/** One that does not stream is looked at with several questions, and to several servers. */
const LOOK_STRANDED_MS = 2_000;
const LOOK_MS = 8_000;

const LOOK_AGAIN_MS: Readonly<Record<NodeDue, number>> = {
  ...{ nothing: LOOK_MS, wait: LOOK_SOON_MS, start: LOOK_SOON_MS, end: LOOK_SOON_MS },
  ...{ follow: LOOK_STRANDED_MS, rebuild: LOOK_SOON_MS },
};

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
  /** The receiver that was seen last. */
  #receiver: number | undefined;

  constructor(cluster: Cluster, node: ClusterNode) {
    this.#cluster = cluster;
    this.#node = node;
  }

  async run(): Promise<void> {
    const { stopSignal, services } = this.#cluster;
    while (!this.#cluster.stopping) {
      const due = judgeNode(await this.#look());
      let waitMs = LOOK_AGAIN_MS[due];
      try {
        const done = await this.#perform(due);
        if (done && (due === 'start' || due === 'rebuild')) this.#failures = this.#endings = 0;
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

  /** False: not now. */
  async #perform(due: NodeDue): Promise<boolean> {
    const { spec, process } = this.#node;
    const { log } = this.#cluster.services;
    switch (due) {
      case 'nothing':
      case 'wait':
        return true;
      case 'start':
        log.warn('a server is down; starting it in place', { node: spec.name });
        await ensureRunning(this.#cluster, spec.name);
        // It may have started with the files of before a change, and others may come to stream from it.
        await settleFollowers(this.#cluster, spec.group);
        return true;
      case 'end':
        log.warn('a server does not answer; ending it', { node: spec.name });
        process?.signalTree('SIGKILL');
        this.#silentSinceMs = undefined;
        return true;
      case 'follow':
        // Perhaps it, or whom it streams from, was out of reach when the others were told.
        await settleFollowers(this.#cluster, spec.group);
        return true;
      case 'rebuild':
        return this.#rebuildInTurn();
    }
  }

  async #rebuildInTurn(): Promise<boolean> {
    const { spec } = this.#node;
    const group = this.#cluster.group(spec.group);
    const opens = !group.open && group.voters.has(spec.name);
    const end = this.#cluster.copies.begin({ node: spec.name, group: spec.group, opens });
    // Looked at again soon: by then it may follow, or another one is needed more.
    if (end === undefined) return false;
    try {
      this.#strandedSinceMs = undefined;
      await rebuild(this.#cluster, spec.name, end);
      this.#node.rebuildAsked = false;
    } finally {
      end();
    }
    await settleFollowers(this.#cluster, spec.group);
    return true;
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
        // Of the elected, which has all that was acknowledged, a copy will do as well: see 0017.
        (!group.unconfirmed.has(name) || group.leadership?.phase === 'opening') &&
        this.#cluster.runs(group.leader) &&
        this.#cluster.reaches(group.leader),
      upstreamWell:
        upstream !== undefined && this.#cluster.runs(upstream) && this.#cluster.reaches(upstream),
    };
    const looks = runs && reached && !leads && group.open && !facts.starting;
    const receiver = looks ? await receiverOf(this.#cluster, name) : undefined;
    const nowMs = clock.monotonicMs();
    const silent = looks && receiver === undefined;
    this.#silentSinceMs = silent ? (this.#silentSinceMs ?? nowMs) : undefined;
    // One that is refused shows as streaming for a moment, again and again: only the same twice counts.
    const streams = typeof receiver === 'number' && receiver === this.#receiver;
    this.#receiver = receiver ?? undefined;
    const stranded = looks && !silent && !streams && facts.upstreamWell;
    this.#strandedSinceMs = stranded ? (this.#strandedSinceMs ?? nowMs) : undefined;
    const strandedMs = this.#strandedSinceMs === undefined ? 0 : nowMs - this.#strandedSinceMs;
    // Not at the first look: a receiver takes a moment to come after its upstream.
    const asked = strandedMs > 0 && upstream !== undefined;
    return {
      ...facts,
      silentMs: this.#silentSinceMs === undefined ? 0 : nowMs - this.#silentSinceMs,
      outrun: asked && (await isOutrun(this.#cluster, name, upstream)),
      // A receiver that is new may be the one that stays: the next look tells.
      strandedMs: typeof receiver === 'number' ? Math.min(strandedMs, STRANDED_MAX_MS) : strandedMs,
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

/** Its receiver, while it streams; null without one; undefined when it does not answer. */
async function receiverOf(cluster: Cluster, name: NodeName): Promise<number | null | undefined> {
  try {
    const { rows } = await cluster.looks.look(cluster.admin(name), (client) =>
      client.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'`,
      ),
    );
    return rows[0]?.pid ?? null;
  } catch {
    return undefined;
  }
}
