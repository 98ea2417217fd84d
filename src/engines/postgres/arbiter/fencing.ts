/**
 * Fences a voting standby: from the moment this is done it receives nothing more from the old leader,
 * so it confirms nothing more, and its position is final. Durable: the fence is in the standby's own
 * files, and a start of the server keeps it.
 *
 * It is done when three things are seen, in this order of causes:
 *   - the replication password is gone (server.ts), so a receiver started from here on gets nowhere;
 *   - no receiver process exists, connected or on its way;
 *   - the startup process waits for more: all that was received has been replayed, so the replayed
 *     position is the end of what this server has. (`pg_last_wal_receive_lsn` is no help: it starts
 *     anew with each receiver.)
 */
import { waitUntil } from '../../../kernel/clock.ts';
import { unreachableNode } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import { reloadRole, writeAndReload, writeRoleOf } from './role-files.ts';
import { ensureRunning } from './running.ts';

/** With everything well it takes 20 ms; a restart of a standby that was down is within it too. */
const FENCE_TIMEOUT_MS = 2_500;
const POLL_MS = 5;

/** The end of what the standby has. Rejects when it cannot be fenced in time: see `Leading.patience`. */
export async function fenceStandby(cluster: Cluster, name: string, patience = 1): Promise<bigint> {
  const timeoutMs = FENCE_TIMEOUT_MS * patience;
  const node = cluster.node(name);
  const admin = cluster.admin(name);
  if (!cluster.reaches(name)) throw unreachableNode(name);
  node.fenced = true;
  // One that is down starts fenced; one that is just starting may have read its files already.
  await writeRoleOf(cluster, name);
  await ensureRunning(cluster, name, { patienceMs: timeoutMs });
  // Its start may have been decided before, and have written what it was then.
  await writeRoleOf(cluster, name);
  reloadRole(cluster, name);
  return cluster.looks.look(
    admin,
    (client) =>
      waitUntil(
        cluster.services.clock,
        {
          what: `${name} to be fenced`,
          timeoutMs,
          intervalMs: POLL_MS,
          signal: cluster.stopSignal,
        },
        async () => {
          const { rows } = await client.query<{ at: string | null }>(FENCED_AT);
          const at = rows[0]?.at;
          return typeof at === 'string' ? BigInt(at) : undefined;
        },
      ),
    { connectTimeoutMs: timeoutMs },
  );
}

/** Null while it is not fenced. Only a server in recovery has a startup process. */
const FENCED_AT = `
  SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::text AS at
  WHERE pg_is_in_recovery()
    AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver')
    AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
      AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval'))`;

/** Lets it follow whom it should by now. */
export async function follow(cluster: Cluster, name: string): Promise<void> {
  cluster.node(name).fenced = false;
  await applyRole(cluster, name);
}

/**
 * Writes down what it is and has it read that. Only of what runs and can be reached: others read their
 * files when they start.
 */
export async function applyRole(cluster: Cluster, name: string): Promise<void> {
  const { spec } = cluster.node(name);
  if (!cluster.reaches(name) || cluster.group(spec.group).excluded.has(name)) return;
  if (!cluster.runs(name)) return;
  await writeAndReload(cluster, name);
}
