/** Physical replication slots: each follower has one on its upstream, and on nobody else. */
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';
import { slotName } from './settings.ts';
import type { NodeName } from '../../topology/node.ts';

/**
 * Every follower has a slot on its upstream, which keeps the log that it has not received. A follower
 * that is down gets its followers' slots when it is back; the leader's must be there.
 */
export async function makeSlots(cluster: Cluster, group: ClusterGroup): Promise<void> {
  const byUpstream = new Map<string, string[]>();
  for (const { name } of group.spec.nodes) {
    const upstream = cluster.upstreamOf(name);
    if (upstream !== undefined)
      byUpstream.set(upstream, [...(byUpstream.get(upstream) ?? []), name]);
  }
  await Promise.all(
    [...byUpstream].map(async ([upstream, followers]) => {
      try {
        await makeSlotsOn(cluster, upstream, followers);
      } catch (error) {
        if (upstream === group.leader) throw error;
        cluster.services.log.warn('no slots on a follower that is down', { node: upstream });
      }
    }),
  );
}

/** Also when a node that others stream from comes back. */
export async function makeSlotsOn(
  cluster: Cluster,
  upstream: string,
  followers: readonly string[],
): Promise<void> {
  await cluster.looks.look(cluster.admin(upstream), (client) =>
    client.query(
      `SELECT pg_create_physical_replication_slot(name) FROM unnest($1::text[]) AS name
       WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = name)`,
      [followers.map(slotName)],
    ),
  );
}

/** For a follower that is about to be cloned: from now on the upstream keeps what it will ask for. */
export async function remakeSlot(
  cluster: Cluster,
  upstream: string,
  follower: string,
): Promise<void> {
  await withAdmin(cluster.admin(upstream), async (client) => {
    await client.query(
      `SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots
       WHERE slot_name = $1 AND active`,
      [slotName(follower)],
    );
    await client.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`,
      [slotName(follower)],
    );
    await client.query('SELECT pg_create_physical_replication_slot($1, true)', [
      slotName(follower),
    ]);
  });
}

/** Of a follower that is gone: a slot that nobody uses keeps its log. Throws unless none is left. */
export async function dropSlotsOf(
  cluster: Cluster,
  group: ClusterGroup,
  follower: NodeName,
): Promise<void> {
  await Promise.all(
    group.spec.nodes.map(({ name }) =>
      withAdmin(cluster.admin(name), (client) =>
        client.query(
          `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
           WHERE slot_type = 'physical' AND slot_name = $1`,
          [slotName(follower)],
        ),
      ),
    ),
  );
}
