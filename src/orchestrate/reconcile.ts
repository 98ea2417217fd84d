/**
 * Observe, plan, perform, again, until nothing is left to do. Steps of one plan run as soon as the
 * steps they name are done, in parallel otherwise. Level-triggered: after a crash the next run
 * observes anew and goes on; steps are idempotent, so none needs to know how far the last run came.
 */
import type { DesiredState, Engine, EngineStep } from '../engines/engine.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Clock } from '../kernel/clock.ts';

export interface ReconcileOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Told of each finished step. */
  readonly onStep?: (step: EngineStep, tookMs: number) => void;
  readonly signal: AbortSignal;
}

/** Each round removes differences; needing more than this many means that one does not go away. */
const ROUNDS_MAX = 4;
/** Rounds that may end early: a leader that changes while others are still being set up is no reason to give up. */
const PASSING_MAX = 2;

export async function reconcile(
  engine: Engine,
  desired: DesiredState,
  options: ReconcileOptions,
): Promise<void> {
  engine.adopt(desired);
  let steps: readonly EngineStep[] = [];
  let passing = 0;
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    steps = engine.plan(desired, await engine.observe({ signal: options.signal }));
    if (steps.length === 0) return;
    try {
      await performAll(engine, desired, { steps, ...options });
    } catch (error) {
      if (options.signal.aborted || !isMeridianError(error, 'ERR_ENGINE_UNAVAILABLE')) throw error;
      passing += 1;
      if (passing > PASSING_MAX) throw error;
      options.log.warn('looking again at what is left to do', { reason: error.message });
    }
  }
  throw new MeridianError(
    'ERR_INTERNAL',
    `these steps remain after being performed: ${steps.map((step) => step.id).join(', ')}`,
  );
}

async function performAll(
  engine: Engine,
  desired: DesiredState,
  run: ReconcileOptions & { readonly steps: readonly EngineStep[] },
): Promise<void> {
  const done = new Map<string, Promise<void>>();
  const failed = new AbortController();
  const perform = async (step: EngineStep): Promise<void> => {
    await Promise.all(step.after.map((id) => done.get(id) ?? Promise.resolve()));
    if (failed.signal.aborted || run.signal.aborted) {
      throw new MeridianError('ERR_ABORTED', `${step.id} was not begun`);
    }
    const startedAt = run.clock.monotonicMs();
    try {
      await engine.perform(step, desired);
    } catch (error) {
      failed.abort();
      run.log.error('a step failed', { step: step.id });
      throw error;
    }
    const tookMs = Math.round(run.clock.monotonicMs() - startedAt);
    run.log.debug('step done', { step: step.id, tookMs });
    run.onStep?.(step, tookMs);
  };
  // Plans list a step after the ones it waits for, or name none that is later: see checkOrder.
  for (const step of checkOrder(run.steps)) {
    done.set(
      step.id,
      Promise.resolve().then(() => perform(step)),
    );
  }
  const results = await Promise.allSettled(done.values());
  const reasons = results.flatMap((result): unknown[] =>
    result.status === 'rejected' ? [result.reason] : [],
  );
  // The first real failure; those that were not begun because of it say nothing new.
  const first =
    reasons.find((reason) => (reason as { code?: unknown }).code !== 'ERR_ABORTED') ?? reasons[0];
  if (first !== undefined) throw first as Error;
}

/** Sorted so that every step stands behind those it waits for; a cycle is a planner's bug. */
export function checkOrder(steps: readonly EngineStep[]): EngineStep[] {
  const left = new Map(steps.map((step) => [step.id, step]));
  const sorted: EngineStep[] = [];
  const placed = new Set<string>();
  while (left.size > 0) {
    const ready = [...left.values()].filter((step) =>
      step.after.every((id) => placed.has(id) || !left.has(id)),
    );
    if (ready.length === 0) {
      throw new MeridianError(
        'ERR_INTERNAL',
        `steps wait for each other: ${[...left.keys()].join(', ')}`,
      );
    }
    for (const step of ready) {
      sorted.push(step);
      placed.add(step.id);
      left.delete(step.id);
    }
  }
  return sorted;
}
