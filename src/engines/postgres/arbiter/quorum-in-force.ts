/**
 * Before a server is promoted: its commits will wait for the other voters of now, from the first one on.
 *
 * A server has the names of the other voters from its start, and they are in force from its first instant as
 * a leader. But a recovery by force, and the switchover that ends it, give the vote to servers that were
 * started with other names or with none. There a reload alone is no proof: whether commits wait at all is a
 * flag that the checkpointer sets when it comes to its signals, and a commit before that would not wait.
 *
 * So, while it is in recovery and nobody can commit: the names go into its file, and it reloads; a new
 * connection that shows them was made after the signal had been passed on to all processes; then two
 * checkpoints. The checkpointer handles its signals before it takes up a request. The first request may
 * have been taken up in the moment in between; the second was not.
 */
import { waitUntil } from '../../../kernel/clock.ts';
import type { NodeName } from '../../../topology/node.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import { synchronousNames } from '../settings.ts';
import { reloadRole, writeRoleOf } from './role-files.ts';

const RELOAD_TIMEOUT_MS = 3_000;
const POLL_MS = 5;

/** At no cost for a server that was started with these voters. Rejects when it is not certain. */
export async function putQuorumInForce(cluster: Cluster, name: NodeName): Promise<void> {
  const node = cluster.node(name);
  const { voters } = cluster.group(node.spec.group);
  const { process } = node;
  if (node.waitsFor === voters) return;
  await writeRoleOf(cluster, name);
  reloadRole(cluster, name);
  const wanted = synchronousNames([...voters].filter((one) => one !== name));
  const wait = { timeoutMs: RELOAD_TIMEOUT_MS, intervalMs: POLL_MS, signal: cluster.stopSignal };
  await waitUntil(
    cluster.services.clock,
    { what: `${name} to know the other voters`, ...wait },
    () =>
      withAdmin(cluster.admin(name), async (client) => {
        const { rows } = await client.query<{ names: string }>(
          `SELECT current_setting('synchronous_standby_names') AS names`,
        );
        return rows[0]?.names === wanted ? true : undefined;
      }),
  );
  await withAdmin(cluster.admin(name), async (client) => {
    await client.query('CHECKPOINT');
    await client.query('CHECKPOINT');
  });
  // Another process has started from its files, and noted what it found there.
  if (node.process === process) node.waitsFor = voters;
}
