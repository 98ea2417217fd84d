/**
 * What a server is, in its files: one write after the other for each server, each from what is decided by
 * then. So an older role never replaces a newer one, whoever writes them at the same time.
 */
import type { NodeName } from '../../../topology/node.ts';
import type { Cluster } from '../cluster.ts';
import { writeRole, type ServerRole } from '../server.ts';

/** Written; a reload or the next start applies it. */
export function writeRoleOf(
  cluster: Cluster,
  name: NodeName,
  change: Partial<ServerRole> = {},
): Promise<void> {
  const node = cluster.node(name);
  const written = node.roleWrites.then(async () => {
    const role = await cluster.roleOf(name);
    await writeRole(cluster.server, node.spec, { ...role, ...change });
  });
  node.roleWrites = written.catch(() => {});
  return written;
}
