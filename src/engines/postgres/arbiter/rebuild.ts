/**
 * Makes a replica anew from another copy. Steps, each of which finds what the one before left if the
 * supervisor dies in between:
 *
 *   exclude   of a voter: it ends, then one commit is confirmed by a quorum without it, so that another
 *             voter has everything it may have confirmed; only then it is written down as excluded
 *   copy      BASE_BACKUP into a folder beside its own, which takes that one's place when it is whole
 *   include   written down as whole before it runs: from its first connection on it confirms commits
 *   start     as a follower; it catches up by itself
 *
 * The copy is taken from a voting standby when there is one that is well, else from the leader: its
 * customers wait for the leader.
 */
import { waitUntil } from '../../../kernel/clock.ts';
import { MeridianError } from '../../../kernel/errors.ts';
import type { NodeName } from '../../../topology/node.ts';
import type { NodeRepair } from '../../snapshot.ts';
import { withAdmin } from '../admin.ts';
import { cloneNode } from '../backup/clone.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterNode } from '../cluster-state.ts';
import { remakeSlot } from '../slots.ts';
import { confirmedByQuorum } from '../quorum.ts';
import { stopStray } from '../stray-server.ts';
import { ensureRunning } from './running.ts';

const END_TIMEOUT_MS = 3_000;
const CATCH_UP_TIMEOUT_MS = 60_000;

type Told = (
  phase: NodeRepair['phase'],
  bytes?: Pick<NodeRepair, 'doneBytes' | 'totalBytes'>,
) => void;

/**
 * Rejects with what stands in the way; whoever calls tries again. Nothing is told of it any more then: a copy
 * that is whole and could not be started is started like any other that is down. `onWhole`: from here on it is
 * no more work than any other server.
 */
export async function rebuild(
  cluster: Cluster,
  name: NodeName,
  onWhole: () => void,
): Promise<void> {
  const node = cluster.node(name);
  const { clock, log } = cluster.services;
  const startedAt = clock.monotonicMs();
  const told: Told = (phase, bytes) => {
    const { doneBytes, totalBytes } = bytes ?? node.repair ?? { doneBytes: 0, totalBytes: null };
    const sinceMs = Math.round(clock.monotonicMs() - startedAt);
    node.repair = { phase, doneBytes, totalBytes, sinceMs };
  };
  try {
    await remake(cluster, node, { told, onWhole });
  } finally {
    node.repair = undefined;
  }
  const tookMs = Math.round(clock.monotonicMs() - startedAt);
  log.info('a replica was cloned', { node: name, tookMs });
}

async function remake(
  cluster: Cluster,
  node: ClusterNode,
  { told, onWhole }: { readonly told: Told; readonly onWhole: () => void },
): Promise<void> {
  const { name, group } = node.spec;
  const step = async (phase: NodeRepair['phase']): Promise<void> => {
    told(phase);
    await cluster.services.onPhase?.('rebuild', phase);
  };
  await step('lost');
  const confirms = votes(cluster, node) && !cluster.group(group).excluded.has(name);
  if (confirms) await othersConfirm(cluster, node);
  await endProcess(cluster, node);
  if (!cluster.group(group).excluded.has(name)) {
    await step('excluding');
    await excludeSafely(cluster, node);
  }
  await step('copying');
  const { elections } = cluster.group(group);
  await copy(cluster, node, (doneBytes, totalBytes) => {
    told('copying', { doneBytes, totalBytes });
  });
  await step('starting');
  if (!(await cluster.include(name, elections))) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `a leader changed while ${name} was copied`);
  }
  onWhole();
  await ensureRunning(cluster, name);
  await step('catching-up');
  const wait = { timeoutMs: CATCH_UP_TIMEOUT_MS, intervalMs: 50, signal: cluster.stopSignal };
  await waitUntil(cluster.services.clock, { what: `${name} to stream`, ...wait }, () =>
    streamsOrEnded(cluster, name),
  );
}

async function streamsOrEnded(cluster: Cluster, name: NodeName): Promise<true | undefined> {
  if (!cluster.runs(name)) {
    throw new MeridianError('ERR_PROCESS_FAILED', `${name} ended while it caught up`);
  }
  return cluster.looks
    .look(cluster.admin(name), async (client) => {
      const { rowCount } = await client.query(
        `SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'`,
      );
      return rowCount === 1 ? true : undefined;
    })
    .catch(() => undefined);
}

async function endProcess(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { process, spec } = node;
  // Of an earlier supervisor's: what is excluded is not started, so nobody else has ended it.
  if (process === undefined) {
    await stopStray(cluster.server, spec.name);
    return;
  }
  if (process.exit !== undefined) return;
  process.signalTree('SIGKILL');
  const { clock } = cluster.services;
  const gone = await Promise.race([
    process.exited.then(() => true),
    clock.sleep(END_TIMEOUT_MS).then(() => false),
  ]);
  if (!gone) throw new MeridianError('ERR_STOP_FAILED', `${spec.name} does not end`);
}

/**
 * Without it commits are confirmed by another voter, which is asked before it is ended: the group would stand
 * still, and nobody could say that another one has everything.
 */
async function othersConfirm(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { name } = node.spec;
  const group = cluster.group(node.spec.group);
  const others = await withAdmin(cluster.admin(group.leader), async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT application_name AS name FROM pg_stat_replication
       WHERE state = 'streaming' AND sync_state <> 'async'`,
    );
    return rows.filter((row) => row.name !== name && group.voters.has(row.name));
  });
  if (others.length > 0) return;
  if (!cluster.runs(name)) await ensureRunning(cluster, name);
  throw new MeridianError(
    'ERR_ENGINE_UNAVAILABLE',
    `${name} is not cloned now: no other voter of ${group.spec.name} confirms commits`,
  );
}

/**
 * With its process gone, whatever is confirmed from here on is confirmed by the others. Also of one that is
 * declared to vote and does not now: it may be given its vote back at this moment (homecoming.ts), because of
 * what it has. The commit fails while the leader changes, and is confirmed by the new voters afterwards.
 */
async function excludeSafely(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { name } = node.spec;
  const { process } = node;
  if (votes(cluster, node)) await confirmedByQuorum(cluster, cluster.group(node.spec.group));
  // Started meanwhile, to be fenced, it may have confirmed that commit itself.
  const stillDead = (): boolean =>
    node.process === process && node.launching === undefined && !cluster.runs(name);
  const leads = (): boolean => cluster.group(node.spec.group).leader === name;
  if (!(await cluster.exclude(name, () => stillDead() && !leads()))) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${name} was needed while it was given up`);
  }
}

function votes(cluster: Cluster, { spec }: ClusterNode): boolean {
  return cluster.group(spec.group).voters.has(spec.name) || spec.kind === 'voter';
}

async function copy(
  cluster: Cluster,
  node: ClusterNode,
  onProgress: (doneBytes: number, totalBytes: number | null) => void,
): Promise<void> {
  const { name } = node.spec;
  await cluster.assignPorts();
  // Of one that an election has excluded only a copy of the elected leader's is known to have all that was
  // acknowledged (0017): before the barrier a follower may be behind.
  const { unconfirmed, leader } = cluster.group(node.spec.group);
  const source = unconfirmed.has(name) ? leader : await sourceFor(cluster, name);
  const upstream = cluster.upstreamOf(name) ?? source;
  // From now on its upstream keeps what it will need.
  await remakeSlot(cluster, upstream, name);
  const abort = new AbortController();
  const onStop = (): void => {
    abort.abort();
  };
  cluster.stopSignal.addEventListener('abort', onStop, { once: true });
  try {
    await cloneNode(cluster.server, {
      target: node.spec,
      source: cluster.admin(source),
      address: await cluster.link(name, source),
      onProgress: ({ doneBytes, totalBytes }) => {
        onProgress(doneBytes, totalBytes);
      },
      signal: abort.signal,
    });
  } finally {
    cluster.stopSignal.removeEventListener('abort', onStop);
  }
}

async function sourceFor(cluster: Cluster, name: NodeName): Promise<NodeName> {
  const group = cluster.group(cluster.node(name).spec.group);
  const standbys = [...group.voters].filter(
    (one) => one !== name && one !== group.leader && !group.excluded.has(one),
  );
  for (const one of standbys) {
    if (!cluster.runs(one) || !cluster.reaches(one)) continue;
    if ((await streamsOrEnded(cluster, one).catch(() => undefined)) === true) return one;
  }
  return group.leader;
}
