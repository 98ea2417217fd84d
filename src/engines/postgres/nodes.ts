/** Starts a node's process, and sees to it that somebody looks after it from then on. */
import type { Cluster } from './cluster.ts';
import { messageOf } from '../../kernel/errors.ts';
import { keep } from './arbiter/keeper.ts';
import { ensureRunning } from './arbiter/running.ts';

/**
 * A follower that does not come up holds up nobody: it is tried again, and cloned in the end. Only a
 * group that has never been complete needs all of its servers.
 */
export async function startNode(cluster: Cluster, name: string): Promise<'done' | 'already-done'> {
  const node = cluster.node(name);
  const ran = cluster.runs(name) && node.launching === undefined;
  const group = cluster.group(node.spec.group);
  const needed = !group.settled;
  if (!ran) {
    await ensureRunning(cluster, name).catch((error: unknown) => {
      if (needed || cluster.stopping) throw error;
      cluster.services.log.warn('a server does not start', { node: name, error: messageOf(error) });
    });
  }
  keep(cluster, name);
  return ran ? 'already-done' : 'done';
}
