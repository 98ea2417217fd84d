/**
 * An orderly stop, downstream last: leaders first, which ship everything to their followers before
 * they end; then the voting followers, which ship to the non-voters; then those. A server that does
 * not end in time is stopped at once, which the next start recovers from.
 */
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-state.ts';

/** Three stages within five seconds of Ctrl-C, with room for the rest of the platform. */
const STAGE_TIMEOUT_MS = 1_000;
const QUIT_TIMEOUT_MS = 500;
const LOOPS_TIMEOUT_MS = 300;

export async function stopServers(cluster: Cluster): Promise<void> {
  // What is being started ends by itself (nodes.ts): after this every process is known.
  await Promise.allSettled(cluster.launches);
  // An effect that waits for a server ends with that server at the latest.
  const loops = [...cluster.groups.values()].map((group) => group.leadership?.ended());
  for (const node of cluster.nodes.values()) node.bell.ring();
  const ended = Promise.allSettled([...loops, ...cluster.keepers]);
  await Promise.race([ended, cluster.services.clock.sleep(LOOPS_TIMEOUT_MS)]);
  const nodes = [...cluster.nodes.values()];
  const leads = (node: ClusterNode): boolean =>
    cluster.group(node.spec.group).leader === node.spec.name;
  await stopStage(cluster, nodes.filter(leads));
  await stopStage(
    cluster,
    nodes.filter((node) => !leads(node) && node.spec.kind === 'voter'),
  );
  await stopStage(
    cluster,
    nodes.filter((node) => node.spec.kind === 'non-voter'),
  );
}

async function stopStage(cluster: Cluster, nodes: readonly ClusterNode[]): Promise<void> {
  await Promise.all(
    nodes.map(async ({ process }) => {
      if (process === undefined || process.exit !== undefined) return;
      const within = (ms: number): Promise<boolean> =>
        Promise.race([
          process.exited.then(() => true),
          cluster.services.clock.sleep(ms).then(() => false),
        ]);
      process.signal('SIGINT');
      if (await within(STAGE_TIMEOUT_MS)) return;
      process.signal('SIGQUIT');
      if (await within(QUIT_TIMEOUT_MS)) return;
      process.signal('SIGKILL');
      await process.exited;
    }),
  );
}
