/**
 * Writes each leader's clock into its group, so that every replica can prove how old it is. Frequent
 * while somebody reads with bounded staleness, rare otherwise: each beat is a flush on every server of
 * the group (docs/decisions/0003). A rare beat costs correctness nothing: a replica that cannot prove
 * its freshness sends the reader to the leader.
 *
 * The beat waits for the local flush alone: standbys are sent what is flushed, and losing the last
 * beat in a failover only makes replicas look older than they are.
 *
 * On the same connection, now and then, idempotency keys whose time is over are removed: a bounded
 * number at a time, so that no beat comes late; a range that had more is swept again at the next beat.
 */
import type { Cluster, ClusterGroup } from './cluster.ts';
import type { LeaderSessions } from './leader-session.ts';

/** How long one report of activity keeps the beats frequent. */
const ACTIVITY_MS = 5_000;
const SWEEP_INTERVAL_MS = 5_000;
/** Of each range, at once. */
const SWEEP_KEYS_MAX = 500;

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
    let sweepAt = 0;
    while (!stopped.signal.aborted) {
      await beat(sessions, group);
      if (clock.monotonicMs() >= sweepAt) {
        const full = await sweep(sessions, group);
        sweepAt = clock.monotonicMs() + (full ? 0 : SWEEP_INTERVAL_MS);
      }
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

/** True: there may be more to remove. */
async function sweep(sessions: LeaderSessions, group: ClusterGroup): Promise<boolean> {
  if (!group.open) return false;
  let removed = 0;
  await sessions
    .use(group, async (client) => {
      const { rows } = await client.query<{ count: string }>({
        name: 'sweep',
        text: 'SELECT meridian.expire_keys($1) AS count',
        values: [SWEEP_KEYS_MAX],
      });
      removed = Number(rows[0]?.count);
    })
    .catch(() => {});
  return removed >= SWEEP_KEYS_MAX;
}
