/**
 * Puts the copies of the global tables right while the platform runs: those that were followed in this
 * run, and are not any more since a leader changed. One after the other, each with a pause of its own
 * that grows with its failures. Before the first time it is the start's own step that makes a copy
 * (plan.ts): the tables may still be missing.
 */
import { backoffMs } from '../../kernel/retry.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';
import { subscribeGlobals } from './globals.ts';

const PERIOD_MS = 500;
const STOP_WAIT_MS = 300;
const BACKOFF = { baseMs: 500, maxMs: 10_000 };

export interface GlobalsKeeper {
  /** Waits a moment for a refresh under way; the end of its servers ends one that hangs. */
  stop(): Promise<void>;
}

export function startGlobalsKeeper(cluster: Cluster, primaryGroup: string): GlobalsKeeper {
  const { clock, random, log } = cluster.services;
  const stopped = new AbortController();
  const waits = new Map<string, { readonly failures: number; readonly untilMs: number }>();

  const keep = async (group: ClusterGroup): Promise<void> => {
    const { name } = group.spec;
    try {
      await subscribeGlobals(cluster, { group: name, primaryGroup, signal: stopped.signal });
      waits.delete(name);
      log.info('the global tables are followed again', { group: name });
    } catch (error) {
      if (stopped.signal.aborted) return;
      const failures = (waits.get(name)?.failures ?? 0) + 1;
      const untilMs = clock.monotonicMs() + backoffMs(failures, random, BACKOFF);
      waits.set(name, { failures, untilMs });
      log.warn('the global tables are not followed yet; trying again', { group: name, error });
    }
  };
  const loop = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(PERIOD_MS, stopped.signal).catch(() => {});
      for (const group of cluster.groups.values()) {
        if (stopped.signal.aborted) return;
        const due = (waits.get(group.spec.name)?.untilMs ?? 0) <= clock.monotonicMs();
        if (due && isWanted(cluster, group, primaryGroup)) await keep(group);
      }
      if (stopped.signal.aborted) return;
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

/** Both ends are open, and within reach of the control side. */
function isWanted(cluster: Cluster, group: ClusterGroup, primaryGroup: string): boolean {
  const publisher = cluster.groups.get(primaryGroup);
  if (publisher?.open !== true || !group.open) return false;
  if (group.globals !== 'none' || !group.globalsFollowed) return false;
  return [publisher, group].every(
    (one) => cluster.services.reaches?.(cluster.node(one.leader).spec.locality) ?? true,
  );
}
