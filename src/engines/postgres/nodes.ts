/**
 * Starts a node's process, and brings it back in place when it ends unasked. A leader that came back
 * is opened again at the next epoch (opening.ts): what it alone had written becomes visible on
 * restart, and only the barrier makes it safe to answer from.
 */
import { waitUntil } from '../../kernel/clock.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { backoffMs } from '../../kernel/retry.ts';
import { waitForServer } from './admin.ts';
import type { Cluster, ClusterNode } from './cluster.ts';
import { makeSlotsOn, openGroup } from './opening.ts';
import { logTail, startServer } from './server.ts';
import { nodePaths } from './storage.ts';

const RESTART_BACKOFF = { baseMs: 100, maxMs: 5_000 };
/** Starts that fail in a row, after which the node is given up. */
const START_FAILURES_MAX = 6;
/** A life shorter than this makes the next restart wait, so that a server that keeps ending is not hot. */
const STABLE_MS = 60_000;

export async function startNode(cluster: Cluster, name: string): Promise<'done' | 'already-done'> {
  const node = cluster.node(name);
  const runs = (): boolean => node.process !== undefined && node.process.exit === undefined;
  if (runs()) return 'already-done';
  if (node.supervised) {
    const timeoutMs = cluster.server.options.startTimeoutMs;
    const wait = { what: `${name} to come back`, timeoutMs, signal: cluster.stopSignal };
    await waitUntil(cluster.services.clock, wait, () => runs() || undefined);
    return 'done';
  }
  await launch(cluster, node);
  supervise(cluster, node);
  return 'done';
}

/** Registered, so that a stop that begins meanwhile waits for it, and then ends what it started. */
async function launch(cluster: Cluster, node: ClusterNode): Promise<void> {
  cluster.notStopping();
  const launching = launchOnce(cluster, node);
  cluster.launches.add(launching);
  try {
    await launching;
  } finally {
    cluster.launches.delete(launching);
  }
}

async function launchOnce(cluster: Cluster, node: ClusterNode): Promise<void> {
  await cluster.assignPorts();
  await spawn(cluster, node);
  try {
    await awaitReady(cluster, node);
  } catch (error) {
    if (!(await portWasTaken(cluster, node))) throw error;
    // Somebody took the port between the probe and the start: another one, and the links follow.
    const old = { host: '127.0.0.1', port: node.port };
    node.port = await cluster.services.host.freePort();
    await cluster.services.links.retarget(old, { host: '127.0.0.1', port: node.port });
    await spawn(cluster, node);
    await awaitReady(cluster, node);
    cluster.services.onRoutes();
  }
}

async function spawn(cluster: Cluster, node: ClusterNode): Promise<void> {
  const role = await cluster.roleOf(node.spec.name);
  const { connectionsMax } = cluster.group(node.spec.group);
  cluster.notStopping();
  const start = { port: node.port, role, connectionsMax };
  node.process = await startServer(cluster.server, node.spec, start);
  // A stop that began while the process was being made has not seen it.
  if (cluster.stopping) node.process.signal('SIGQUIT');
}

function awaitReady(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { process } = node;
  return waitForServer(cluster.admin(node.spec.name), {
    clock: cluster.services.clock,
    timeoutMs: cluster.server.options.startTimeoutMs,
    ended: () => {
      if (cluster.stopping) return Promise.resolve(stoppedEarly(node));
      return process?.exit === undefined ? undefined : endedEarly(cluster, node);
    },
  });
}

function stoppedEarly(node: ClusterNode): MeridianError {
  return new MeridianError('ERR_ENGINE_CLOSED', `stopped while ${node.spec.name} was starting`);
}

async function endedEarly(cluster: Cluster, node: ClusterNode): Promise<MeridianError> {
  const { log } = nodePaths(cluster.server.storage, node.spec.name);
  return new MeridianError(
    'ERR_PROCESS_FAILED',
    `${node.spec.name} ended while starting; the end of ${log}:\n${await logTail(log)}`,
  );
}

async function portWasTaken(cluster: Cluster, node: ClusterNode): Promise<boolean> {
  if (node.process?.exit === undefined) return false;
  const tail = await logTail(nodePaths(cluster.server.storage, node.spec.name).log, 8);
  return /Address already in use|could not bind/.test(tail);
}

function supervise(cluster: Cluster, node: ClusterNode): void {
  const watch = async (): Promise<void> => {
    const { clock } = cluster.services;
    for (let quickEnds = 0; ;) {
      const since = clock.monotonicMs();
      await node.process?.exited;
      if (cluster.stopping) return;
      quickEnds = clock.monotonicMs() - since < STABLE_MS ? quickEnds + 1 : 0;
      await bringBack(cluster, node, quickEnds);
    }
  };
  node.supervised = true;
  // It ends by stopping, or has told of its failure.
  watch()
    .catch(() => {})
    .finally(() => {
      node.supervised = false;
    });
}

/** Resolves when the node runs again and, if it leads, its group is open. */
async function bringBack(cluster: Cluster, node: ClusterNode, quickEnds: number): Promise<void> {
  const { clock, random, log, onRoutes, onFailure } = cluster.services;
  const group = cluster.group(node.spec.group);
  const leads = group.leader === node.spec.name;
  if (leads) {
    group.open = false;
    onRoutes();
  }
  log.warn('a server ended unasked; restarting it in place', { node: node.spec.name });
  // The first time at once: most often the machine is fine and the server is missed.
  let waits = quickEnds - 1;
  for (let failures = 0; ; waits += 1) {
    if (waits > 0) {
      await clock.sleep(backoffMs(waits, random, RESTART_BACKOFF), cluster.stopSignal);
    }
    try {
      await launch(cluster, node);
      if (leads) await openGroup(cluster, group.spec.name);
      else await makeFollowerSlots(cluster, node.spec.name);
      log.info('the server is back', { node: node.spec.name, epoch: group.epoch });
      return;
    } catch (error) {
      if (cluster.stopping) throw error;
      failures += 1;
      if (failures >= START_FAILURES_MAX) {
        log.error('the server does not come back', { node: node.spec.name });
        onFailure(error as Error);
        throw error;
      }
    }
  }
}

/** Those that stream from it may have come up while it was down, and then have no slot on it yet. */
async function makeFollowerSlots(cluster: Cluster, name: string): Promise<void> {
  const { nodes } = cluster.group(cluster.node(name).spec.group).spec;
  const followers = nodes.map((one) => one.name).filter((one) => cluster.upstreamOf(one) === name);
  if (followers.length > 0) await makeSlotsOn(cluster, name, followers);
}
