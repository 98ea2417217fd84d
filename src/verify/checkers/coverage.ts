/**
 * Why a run proves nothing, although no checker found a violation: nothing ran, nothing was hit, or
 * somebody looked at nothing.
 */
import { grouped } from '../grouped.ts';
import type { History, Injected, Operation, Verdict } from '../history.ts';

/** How long a fault without an end (a kill) is taken to be felt. */
const AFTERMATH_MS = 10_000;
/** An operation is slow if it took so many times as long as half of its kind. */
const SLOW_FACTOR = 3;
/** Counters of a verdict that may be zero. */
const MAY_BE_ZERO: ReadonlySet<string> = new Set(['undecided', 'skipped']);

/** `faults: false`: none were asked for. */
export function coverageFaults(
  history: History,
  verdicts: readonly Verdict[],
  { faults }: { readonly faults: boolean } = { faults: true },
): string[] {
  return [
    ...unacknowledged(history),
    ...(faults ? harmless(history) : []),
    ...verdicts.flatMap(unlooked),
  ];
}

function unacknowledged({ operations }: History): string[] {
  if (operations.length === 0) return ['no operation was run'];
  const acknowledged = new Map<string, boolean>();
  for (const operation of operations) {
    const kind = kindOf(operation);
    const before = acknowledged.get(kind) ?? false;
    acknowledged.set(kind, before || operation.outcome === 'ok');
  }
  return [...acknowledged]
    .filter(([, any]) => !any)
    .map(([kind]) => `no operation of kind ${kind} was acknowledged`);
}

function harmless({ injected, operations }: History): string[] {
  if (injected.length === 0) return ['no fault was injected'];
  const slowAtMs = slowLimits(operations);
  const suffered = operations.filter(
    (operation) =>
      operation.outcome !== 'ok' ||
      operation.endedAtMs - operation.startedAtMs > (slowAtMs.get(kindOf(operation)) ?? Infinity),
  );
  const felt = injected.some(
    (fault) => fault.struck.length > 0 && suffered.some((operation) => overlaps(operation, fault)),
  );
  return felt
    ? []
    : ['no fault struck a group while an operation was in flight: nothing failed or slowed down'];
}

function overlaps({ startedAtMs, endedAtMs }: Operation, { atMs, healedAtMs }: Injected): boolean {
  return endedAtMs >= atMs && startedAtMs <= (healedAtMs ?? atMs + AFTERMATH_MS);
}

function slowLimits(operations: readonly Operation[]): ReadonlyMap<string, number> {
  const acknowledged = operations.filter(({ outcome }) => outcome === 'ok');
  return new Map(
    [...grouped(acknowledged, kindOf)].map(([kind, list]) => {
      const tookMs = list
        .map(({ startedAtMs, endedAtMs }) => endedAtMs - startedAtMs)
        .sort((a, b) => a - b);
      return [kind, SLOW_FACTOR * (tookMs[tookMs.length >> 1] ?? Infinity)];
    }),
  );
}

function kindOf({ action }: Operation): string {
  return action.kind === 'register-read' ? `${action.kind} ${action.asked.kind}` : action.kind;
}

function unlooked({ checker, covered }: Verdict): string[] {
  const undecided = covered['undecided'] ?? 0;
  const counters = Object.entries(covered).filter(([name]) => !MAY_BE_ZERO.has(name));
  return [
    ...counters.filter(([, count]) => count === 0).map(([name]) => `${checker} covered no ${name}`),
    ...(counters.length === 0 ? [`${checker} covered nothing`] : []),
    ...(undecided > 0 ? [`${checker} left ${undecided} undecided`] : []),
  ];
}
