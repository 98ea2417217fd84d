/**
 * One beat of a leader: its clock goes into the heartbeat row, the lease is renewed there, and the
 * answer says how many voting standbys stream from it. Its commit may wait for the local flush alone.
 */
import type pg from 'pg';
import type { Cluster } from '../cluster.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import { granted, granting } from './lease.ts';

export async function beatOn(
  cluster: Cluster,
  group: ClusterGroup,
  client: pg.Client,
): Promise<{ readonly voters: number }> {
  const { clock } = cluster.services;
  const terms = cluster.server.options;
  const { epoch } = group;
  // Before it is sent: from here on it may be in force.
  group.lease = granting(group.lease, terms);
  const { holder, base } = group.lease;
  const { rows } = await client.query<{ clock: string; voters: string }>({
    name: 'beat',
    text: 'SELECT clock, voters FROM meridian.beat($1, $2, $3)',
    values: [holder, base ?? null, terms.leaseMs],
  });
  const row = rows[0];
  // An answer of the epoch before says nothing about the present holder.
  if (row !== undefined && group.epoch === epoch && group.lease.holder === holder) {
    const answer = { clock: row.clock, nowMs: clock.monotonicMs() };
    group.lease = granted(group.lease, answer, terms);
  }
  return { voters: Number(row?.voters) };
}
