/**
 * Starts of servers, one at a time for each: the arbiter and the node's keeper may want the same at the
 * same moment, and both get the same start. In which role it starts is decided when it starts.
 */
import { MeridianError } from '../../../kernel/errors.ts';
import { waitForServer } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterNode } from '../cluster-state.ts';
import { readMarker } from '../initialise.ts';
import { logTail, saysReady, startServer } from '../server.ts';
import { nodePaths } from '../storage.ts';

/**
 * Resolves when it runs and answers. Rejects with why it does not: ERR_HOST_DOWN when its machine is
 * down, ERR_PROCESS_FAILED with the end of its log when it ended again.
 */
export async function ensureRunning(
  cluster: Cluster,
  name: string,
  options: { readonly patienceMs?: number } = {},
): Promise<void> {
  const node = cluster.node(name);
  cluster.notStopping();
  if (cluster.runs(name) && node.launching === undefined) return;
  if (node.launching === undefined) {
    const launching = launch(cluster, node).finally(() => {
      node.launching = undefined;
      cluster.launches.delete(launching);
    });
    // A stop that begins meanwhile waits for it, and then ends what it started.
    launching.catch(() => {});
    node.launching = launching;
    cluster.launches.add(launching);
  }
  await patiently(cluster, node, options.patienceMs);
}

/** Whoever has no more patience leaves; the start goes on for others. */
async function patiently(
  cluster: Cluster,
  node: ClusterNode,
  patienceMs: number | undefined,
): Promise<void> {
  const { launching } = node;
  if (launching === undefined || patienceMs === undefined) return launching;
  const { clock } = cluster.services;
  let cancel = (): void => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.schedule(patienceMs, () => {
      const waited = `${node.spec.name} was not up after ${String(patienceMs)} ms`;
      reject(new MeridianError('ERR_START_TIMEOUT', waited));
    });
  });
  await Promise.race([launching, late]).finally(cancel);
}

async function launch(cluster: Cluster, node: ClusterNode): Promise<void> {
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
  const { name, group } = node.spec;
  const { connectionsMax, excluded, settled, voters } = cluster.group(group);
  cluster.notStopping();
  // What it holds may have forked from what its group has agreed on since.
  if (excluded.has(name)) {
    throw new MeridianError('ERR_INTERNAL', `${name} is excluded and must be cloned first`);
  }
  if (settled && (await readMarker(cluster.server.storage, name)) === undefined) {
    throw new MeridianError('ERR_PROCESS_FAILED', `the data of ${name} is gone`);
  }
  const start = { port: node.port, role: await cluster.roleOf(name), connectionsMax };
  node.process = await startServer(cluster.server, node.spec, start);
  // What others wrote meanwhile may have been written over.
  node.roleFiles.written = undefined;
  node.waitsFor = voters;
  void node.process.exited.then(() => {
    node.bell.ring();
    cluster.group(group).leadership?.bell.ring();
  });
  // A stop that began while the process was being made has not seen it.
  if (cluster.stopping) node.process.signal('SIGQUIT');
}

function awaitReady(cluster: Cluster, node: ClusterNode): Promise<void> {
  const { process } = node;
  return waitForServer(cluster.admin(node.spec.name), {
    clock: cluster.services.clock,
    timeoutMs: cluster.server.options.startTimeoutMs,
    saysReady: () => saysReady(cluster.server.storage, node.spec.name),
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
