/**
 * Writes each leader's clock into its group, so that every replica can prove how old it is. Frequent
 * while somebody reads with bounded staleness, rare otherwise: each beat is a flush on every server of
 * the group (docs/decisions/0003). A rare beat costs correctness nothing: a replica that cannot prove
 * its freshness sends the reader to the leader.
 *
 * The beat waits for the local flush alone: standbys are sent what is flushed, and losing the last
 * beat in a failover only makes replicas look older than they are.
 */
import type pg from 'pg';
import { connectAdmin } from './admin.ts';
import type { Cluster, ClusterGroup } from './cluster.ts';

/** How long one report of activity keeps the beats frequent. */
const ACTIVITY_MS = 5_000;
const BEAT_TIMEOUT_MS = 5_000;

export interface Heartbeats {
  noteActivity(): void;
  stop(): Promise<void>;
}

export function startHeartbeats(cluster: Cluster): Heartbeats {
  const { clock } = cluster.services;
  const { activeMs, idleMs } = cluster.server.options.heartbeat;
  const stopped = new AbortController();
  let activeUntil = 0;
  let wake = new AbortController();

  const pause = async (): Promise<void> => {
    const active = clock.monotonicMs() < activeUntil;
    const signal = AbortSignal.any([stopped.signal, ...(active ? [] : [wake.signal])]);
    await clock.sleep(active ? activeMs : idleMs, signal).catch(() => {});
  };
  const beats = [...cluster.groups.values()].map((group) => beatOf(cluster, group));
  const loops = beats.map(async (beat) => {
    while (!stopped.signal.aborted) {
      await beat.once();
      await pause();
    }
    beat.close();
  });
  return {
    noteActivity: () => {
      const idle = clock.monotonicMs() >= activeUntil;
      activeUntil = clock.monotonicMs() + ACTIVITY_MS;
      if (!idle) return;
      const sleeping = wake;
      wake = new AbortController();
      sleeping.abort();
    },
    stop: async () => {
      stopped.abort();
      // A beat that hangs on a stuck server ends with its connection.
      for (const beat of beats) beat.close();
      await Promise.all(loops);
    },
  };
}

function beatOf(
  cluster: Cluster,
  group: ClusterGroup,
): { once: () => Promise<void>; close: () => void } {
  let client: pg.Client | undefined;
  let connectedTo = -1;
  const close = (): void => {
    void client?.end().catch(() => {});
    client = undefined;
  };
  const once = async (): Promise<void> => {
    if (!group.open) return;
    try {
      if (client === undefined || connectedTo !== group.epoch) {
        close();
        client = await connectAdmin(cluster.admin(group.leader), {
          statementTimeoutMs: BEAT_TIMEOUT_MS,
        });
        await client.query('SET synchronous_commit = local');
        connectedTo = group.epoch;
      }
      await client.query({
        name: 'beat',
        text: 'UPDATE meridian.heartbeat SET at = clock_timestamp()',
      });
    } catch {
      // The leader is restarting or gone; its own supervision tells that. Replicas age meanwhile.
      close();
    }
  };
  return { once, close };
}
