/**
 * Beats of each leader: writes its clock into its group, so that every replica can prove how old it is;
 * renews its lease in the same row; and shows the arbiter that it lives (arbiter/pulse.ts). Frequent
 * while somebody reads with bounded staleness, rare otherwise: each beat is a flush on every server of
 * the group (docs/decisions/0003). A rare beat costs correctness nothing: a replica that cannot prove
 * its freshness sends the reader to the leader.
 *
 * The beat waits for the local flush alone: standbys are sent what is flushed, and losing the last
 * beat in a failover only makes replicas look older than they are.
 *
 * On the same connection, now and then, idempotency keys whose time is over are removed: a bounded
 * number at a time; a range that had more is swept again soon. No beat waits for that: of a leader that
 * hangs meanwhile, too, it must be told in time.
 */
import { firstOf } from '../../kernel/signal.ts';
import { beatOn } from './arbiter/beat.ts';
import { beatTimeoutMs, STALL_MS, usualWith } from './arbiter/pulse.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';
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

  const pause = async (group: ClusterGroup): Promise<void> => {
    const active = clock.monotonicMs() < activeUntil || group.pulse.misses > 0;
    using either = firstOf(stopped.signal, active ? undefined : wake.signal);
    await clock.sleep(active ? activeMs : idleMs, either.signal).catch(() => {});
  };
  const loops = [...cluster.groups.values()].map(async (group) => {
    let sweepAt = 0;
    let sweeping: Promise<void> | undefined;
    while (!stopped.signal.aborted) {
      await beat({ cluster, sessions, stopped: stopped.signal }, group);
      if (sweeping === undefined && clock.monotonicMs() >= sweepAt) {
        sweeping = sweep(sessions, group).then((full) => {
          sweepAt = clock.monotonicMs() + (full ? 0 : SWEEP_INTERVAL_MS);
          sweeping = undefined;
        });
      }
      await pause(group);
    }
    await sweeping;
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

interface Beating {
  readonly cluster: Cluster;
  readonly sessions: LeaderSessions;
  readonly stopped: AbortSignal;
}

async function beat({ cluster, sessions, stopped }: Beating, group: ClusterGroup): Promise<void> {
  const { clock } = cluster.services;
  const { epoch, pulse } = group;
  if (!group.open) return;
  const startedAt = clock.monotonicMs();
  const timeoutMs = beatTimeoutMs(pulse);
  const overdue = new AbortController();
  const cancel = clock.schedule(timeoutMs, () => {
    overdue.abort();
  });
  using either = firstOf(overdue.signal, stopped);
  const answer = await Promise.race([
    sessions
      .use(group, (client) => beatOn(cluster, group, client))
      .catch(() =>
        // A partition is silent: what nobody can reach says nothing before the time is up.
        cluster.reaches(group.leader) ? undefined : new Promise<undefined>(() => {}),
      ),
    new Promise<undefined>((resolve) => {
      const ended = (): void => {
        resolve(undefined);
      };
      if (either.signal.aborted) ended();
      else either.signal.addEventListener('abort', ended);
    }),
  ]);
  cancel();
  const nowMs = clock.monotonicMs();
  // Another leader, or another life of this one, has begun meanwhile: this beat was of the one before.
  if (!group.open || group.epoch !== epoch || stopped.aborted) return;
  if (answer === undefined) {
    sessions.drop(group);
    const stalled = nowMs - startedAt > timeoutMs + STALL_MS;
    if (!stalled) pulse.misses += 1;
  } else {
    pulse.misses = 0;
    pulse.usual = usualWith(pulse.usual, nowMs - startedAt);
    if (answer.voters > 0) pulse.aloneSinceMs = undefined;
    else if (pulse.aloneSinceMs === undefined) {
      pulse.aloneSinceMs = nowMs;
      // Their keepers look at once what is the matter with them.
      for (const name of group.voters) cluster.node(name).bell.ring();
    }
  }
  if (pulse.misses > 0 || pulse.aloneSinceMs !== undefined) group.leadership?.bell.ring();
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
