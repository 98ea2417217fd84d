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
    const wanted = { ...role, ...change };
    const text = JSON.stringify(wanted);
    if (node.roleFiles.written === text) return;
    node.roleFiles.written = undefined;
    await writeRole(cluster.server, node.spec, wanted);
    node.roleFiles.written = text;
  });
  node.roleWrites = written.catch(() => {});
  return written;
}

/** A follower that waits to connect again does so at once. */
export function reloadRole(cluster: Cluster, name: NodeName): void {
  const node = cluster.node(name);
  const { process, roleFiles } = node;
  process?.signal('SIGHUP');
  roleFiles.read =
    roleFiles.written === undefined ? undefined : { process, text: roleFiles.written };
}

/** Each reload is read by every process of the server: only where there is something to read. */
export async function writeAndReload(cluster: Cluster, name: NodeName): Promise<void> {
  await writeRoleOf(cluster, name);
  const { process, roleFiles } = cluster.node(name);
  const { read, written } = roleFiles;
  if (read?.process !== process || read?.text !== written) reloadRole(cluster, name);
}
