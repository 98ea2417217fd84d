/** Performing plans: in the order that steps name, one after the other or as parallel as they allow. */
import type { DesiredState, Engine, EngineStep } from '../engines/engine.ts';
import { must } from './verdict.ts';

/** Each step behind those it waits for. */
export function inOrder(steps: readonly EngineStep[]): EngineStep[] {
  const sorted: EngineStep[] = [];
  const placed = new Set<string>();
  while (sorted.length < steps.length) {
    const next = steps.filter(
      (step) => !placed.has(step.id) && step.after.every((id) => placed.has(id)),
    );
    must(next.length > 0, 'Steps wait for each other, or for steps that are not of the plan.');
    for (const step of next) placed.add(step.id);
    sorted.push(...next);
  }
  return sorted;
}

export async function performAll(
  engine: Engine,
  desired: DesiredState,
  steps: readonly EngineStep[],
): Promise<void> {
  const done = new Map<string, Promise<unknown>>();
  for (const step of inOrder(steps)) {
    const before = Promise.all(step.after.map(async (id) => done.get(id)));
    done.set(
      step.id,
      before.then(() => engine.perform(step, desired)),
    );
  }
  const results = await Promise.allSettled(done.values());
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason as Error;
}

/** A plan that does not run empty after this many rounds does not converge. */
export const ROUNDS_MAX = 4;

export async function converge(engine: Engine, desired: DesiredState): Promise<void> {
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    const steps = engine.plan(desired, await engine.observe({}));
    if (steps.length === 0) return;
    await performAll(engine, desired, steps);
  }
  const left = engine.plan(desired, await engine.observe({}));
  must(left.length === 0, `The plan never runs empty: ${left.map((step) => step.id).join(', ')}.`);
}
