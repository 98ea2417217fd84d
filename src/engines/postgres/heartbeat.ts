/**
 * Writes each leader's clock into its group, so that every replica can prove how old it is. Frequent
 * while somebody reads with bounded staleness, rare otherwise: each beat is a flush on every server of
 * the group (docs/decisions/0003). A rare beat costs correctness nothing: a replica that cannot prove
 * its freshness sends the reader to the leader.
 *
 * The beat waits for the local flush alone: standbys are sent what is flushed, and losing the last
 * beat in a failover only makes replicas look older than they are.
 */
import type { Cluster, ClusterGroup } from './cluster.ts';
import type { LeaderSessions } from './leader-session.ts';

/** How long one report of activity keeps the beats frequent. */
const ACTIVITY_MS = 5_000;

export interface Heartbeats {
  noteActivity(): void;
  /** A beat that hangs on a stuck server ends with its session. */
  stop(): Promise<void>;
}

export function startHeartbeats(cluster: Cluster, sessions: LeaderSessions): Heartbeats {
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
  const loops = [...cluster.groups.values()].map(async (group) => {
    while (!stopped.signal.aborted) {
      await beat(sessions, group);
      await pause();
    }
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
      await Promise.all(loops);
    },
  };
}

async function beat(sessions: LeaderSessions, group: ClusterGroup): Promise<void> {
  if (!group.open) return;
  // The leader is restarting or gone; its own supervision tells that. Replicas age meanwhile.
  await sessions
    .use(group, (client) =>
      client.query({
        name: 'beat',
        text: 'UPDATE meridian.heartbeat SET at = clock_timestamp()',
      }),
    )
    .catch(() => {});
}
