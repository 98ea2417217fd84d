/**
 * The supervisor's part of recovery: looks at every open leader for transactions that lost their
 * caller, and finishes them by ../recovery.ts. It starts with the engine, so that a migration or a
 * slot that waits for such a transaction during a start gets on.
 *
 * Now and then it also deletes decisions that nobody can need any more (decisions.ts).
 */
import type pg from 'pg';
import { isMeridianError, MeridianError } from '../../kernel/errors.ts';
import { recover, type RecoveryPort } from '../recovery.ts';
import { DECISION_KEPT_MS, IN_DOUBT_AFTER_MS, SWEEP_PERIOD_MS } from '../two-phase.ts';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import { collectDecisions } from './decisions.ts';
import type { LeaderSessions } from './leader-session.ts';
import { finishOn, preparedOn, settleOn } from './two-phase.ts';

/** A group that does not answer is asked again in the next round. */
const STEP_TIMEOUT_MS = 5_000;
const STOP_WAIT_MS = 300;
const COLLECT_PERIOD_MS = 60_000;

export interface InDoubtSweep {
  /** Waits a moment for a round under way; the end of its server ends one that hangs. */
  stop(): Promise<void>;
}

export function startInDoubtSweep(cluster: Cluster, sessions: LeaderSessions): InDoubtSweep {
  const { clock, log } = cluster.services;
  const stopped = new AbortController();
  const port = recoveryPort(cluster, sessions);
  const round = async (): Promise<void> => {
    const known = new Set(cluster.groups.keys());
    const groups = [...cluster.groups.values()].filter((group) => group.open);
    const names = groups.map((group) => group.spec.name);
    const options = { groups: names, known, olderThanMs: IN_DOUBT_AFTER_MS };
    for (const { gid, decision } of await recover(port, options)) {
      log.warn('a transaction in doubt was finished', { gid, decision });
    }
  };
  const loop = async (): Promise<void> => {
    let collectAtMs = clock.monotonicMs() + COLLECT_PERIOD_MS;
    for (;;) {
      await clock.sleep(SWEEP_PERIOD_MS, stopped.signal).catch(() => {});
      if (stopped.signal.aborted) return;
      try {
        await round();
        if (clock.monotonicMs() >= collectAtMs) {
          collectAtMs = clock.monotonicMs() + COLLECT_PERIOD_MS;
          await collect(cluster);
        }
      } catch (error) {
        // A group that cannot be asked has its own supervision; the next round asks again.
        if (!stopped.signal.aborted && !isMeridianError(error))
          log.error('the sweep for transactions in doubt failed', { error });
      }
    }
  };
  const running = loop();
  return {
    stop: () => {
      stopped.abort();
      return Promise.race([running, clock.sleep(STOP_WAIT_MS)]);
    },
  };
}

function recoveryPort(cluster: Cluster, sessions: LeaderSessions): RecoveryPort {
  const options = { statementTimeoutMs: STEP_TIMEOUT_MS };
  const onLeader = (name: string): ReturnType<Cluster['admin']> => {
    const group = cluster.group(name);
    // Before its barrier a leader may show what only its own disk has.
    if (!group.open) {
      throw new MeridianError(
        'ERR_ENGINE_NO_NODE',
        `group ${name} has no leader open for business`,
      );
    }
    return cluster.admin(group.leader);
  };
  return {
    prepared: (name) => sessions.use(cluster.group(name), preparedOn),
    settle: async (name, gid) => {
      const done = await withAdmin(
        onLeader(name),
        (client) => settleOn(client, name, gid),
        options,
      );
      return done.decision;
    },
    finish: async (name, gid, decision) => {
      await withAdmin(onLeader(name), (client) => finishOn(client, gid, decision), options);
    },
  };
}

/** With one group closed there is nothing to be sure of. */
async function collect(cluster: Cluster): Promise<void> {
  const groups = [...cluster.groups.values()];
  const epochs = groups.map((group) => group.epoch);
  const unchanged = (): boolean =>
    groups.every((group, index) => group.open && group.epoch === epochs[index]);
  if (!unchanged()) return;
  const leaders = groups.map((group) => ({
    group: group.spec.name,
    use: <T>(run: (client: pg.Client) => Promise<T>) =>
      withAdmin(cluster.admin(group.leader), run, { statementTimeoutMs: STEP_TIMEOUT_MS }),
  }));
  await collectDecisions(leaders, { keptMs: DECISION_KEPT_MS, unchanged });
}
