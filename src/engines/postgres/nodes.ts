/**
 * Starts a node's process, and brings it back in place when it ends unasked. A leader that came back
 * is opened again at the next epoch (opening.ts): what it alone had written becomes visible on
 * restart, and only the barrier makes it safe to answer from.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { HostedProcess } from '../../kernel/host.ts';
import { backoffMs } from '../../kernel/retry.ts';
import { waitForServer } from './admin.ts';
import type { Cluster, ClusterNode } from './cluster.ts';
import { openGroup } from './opening.ts';
import { logTail, startServer } from './server.ts';
import { nodePaths } from './storage.ts';

const RESTART_BACKOFF = { baseMs: 100, maxMs: 5_000 };
/** Restarts without a minute of life in between, after which the node is given up. */
const RESTARTS_MAX = 6;
const STABLE_MS = 60_000;

export async function startNode(cluster: Cluster, name: string): Promise<'done' | 'already-done'> {
  const node = cluster.node(name);
  if (node.process !== undefined && node.process.exit === undefined) return 'already-done';
  await launch(cluster, node);
  supervise(cluster, node);
  return 'done';
}

async function launch(cluster: Cluster, node: ClusterNode): Promise<void> {
  cluster.notStopping();
  await cluster.assignPorts();
  const role = await cluster.roleOf(node.spec.name);
  const { connectionsMax } = cluster.group(node.spec.group);
  const start = (): Promise<HostedProcess> =>
    startServer(cluster.server, node.spec, { port: node.port, role, connectionsMax });
  node.process = await start();
  try {
    await awaitReady(cluster, node);
  } catch (error) {
    if (!(await portWasTaken(cluster, node))) throw error;
    // Somebody took the port between the probe and the start: another one, and the links follow.
    const old = { host: '127.0.0.1', port: node.port };
    node.port = await cluster.services.host.freePort();
    await cluster.services.links.retarget(old, { host: '127.0.0.1', port: node.port });
    node.process = await start();
    await awaitReady(cluster, node);
    cluster.services.onRoutes();
  }
}

function awaitReady(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { process } = node;
  return waitForServer(cluster.admin(node.spec.name), {
    clock: cluster.services.clock,
    timeoutMs: cluster.server.options.startTimeoutMs,
    ended: () => (process?.exit === undefined ? undefined : endedEarly(cluster, node)),
  });
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
  const watch = (process = node.process): void => {
    void process?.exited.then(() => {
      if (!cluster.stopping) void bringBack(cluster, node).then(watch, () => {});
    });
  };
  watch();
}

/** Resolves when the node runs again and, if it leads, its group is open. */
async function bringBack(cluster: Cluster, node: ClusterNode): Promise<undefined> {
  const { clock, random, log, onRoutes, onFailure } = cluster.services;
  const group = cluster.group(node.spec.group);
  const leads = group.leader === node.spec.name;
  if (leads) {
    group.open = false;
    onRoutes();
  }
  log.warn('a server ended unasked; restarting it in place', { node: node.spec.name });
  for (let attempt = 1; ; attempt += 1) {
    const startedAt = clock.monotonicMs();
    try {
      await launch(cluster, node);
      if (leads) await openGroup(cluster, group.spec.name);
      log.info('the server is back', { node: node.spec.name, epoch: group.epoch });
      return undefined;
    } catch (error) {
      if (cluster.stopping) throw error;
      if (clock.monotonicMs() - startedAt > STABLE_MS) attempt = 1;
      if (attempt >= RESTARTS_MAX) {
        log.error('the server does not come back', { node: node.spec.name });
        onFailure(error as Error);
        throw error;
      }
      await clock.sleep(backoffMs(attempt, random, RESTART_BACKOFF));
    }
  }
}
