/**
 * Each register, by itself, behaves as if its strong operations had happened one at a time, each at
 * some moment between call and answer. The last read of all counts as one of them, so that what was
 * acknowledged and is gone at the end does not pass.
 */
import type { Checker, Operation, Violation } from '../history.ts';
import { linearize } from '../linearizer.ts';
import { operationsAt, shrink } from '../minimal.ts';
import { registerLog, registersOf, type RegisterLog } from '../registers.ts';
import { versionsOf } from '../versions.ts';

/** Of one register: more would say the same again. */
const FAULTS_MAX = 5;

export const linearizableRegisters: Checker = {
  name: 'linearizable-registers',
  claims: 'registers behave as if their strong operations had happened one after the other',
  check: (history) => {
    const logs = registersOf(history);
    const judged = logs.map((log) => judge(log, history.final.registers[log.register] ?? null));
    return {
      checker: linearizableRegisters.name,
      violations: judged.flatMap((result) => (result === 'undecided' ? [] : result)),
      covered: {
        registers: logs.length,
        operations: logs.reduce((sum, log) => sum + log.operations.filter(isCovered).length, 0),
        undecided: judged.filter((result) => result === 'undecided').length,
      },
    };
  },
};

function isCovered({ action, outcome }: Operation): boolean {
  if (action.kind !== 'register-read') return outcome !== 'failed';
  return outcome === 'ok' && action.asked.kind === 'strong';
}

function judge(log: RegisterLog, last: number | null): readonly Violation[] | 'undecided' {
  if (!log.unique) return 'undecided';
  const versions = versionsOf(log, 'strong');
  if (versions.faults.length > 0) return versions.faults.slice(0, FAULTS_MAX);
  const result = linearize(log, versions);
  if (result.kind === 'undecided') return 'undecided';
  return result.kind === 'linearizable' ? [] : [minimal(log, last)];
}

/** The fewest operations that no order explains, with or without the last read. */
function minimal(log: RegisterLog, last: number | null): Violation {
  const strong = log.operations.filter(isCovered);
  const unrefused = strong.filter(
    ({ action }) => action.kind !== 'register-swap' || action.swapped !== false,
  );
  // Refused swaps make every other write count: the smaller histories are those without.
  const attempts = [
    { operations: unrefused, last: undefined },
    { operations: unrefused, last },
    { operations: strong, last: undefined },
    { operations: strong, last },
  ];
  const shown =
    attempts.find((attempt) => isImpossible(log, attempt.operations, attempt.last)) ??
    ({ operations: strong, last } as const);
  const indexes = shrink(
    shown.operations.map(({ index }) => index),
    (part) => isImpossible(log, operationsAt(shown.operations, part), shown.last),
  );
  const end = shown.last === undefined ? '' : ` and a last value of ${String(shown.last)}`;
  const what = `${log.register}: no order of ${indexes.length} operations explains their answers${end}`;
  return { what, operations: indexes };
}

/** Whether a part of a register's history, judged by itself, is impossible: then so is the whole. */
function isImpossible(
  whole: RegisterLog,
  operations: readonly Operation[],
  last: number | null | undefined,
): boolean {
  const part = registerLog(whole.register, operations, last);
  const versions = versionsOf(part, 'strong');
  if (versions.faults.length > 0 || !keepsWhatExplains(whole, part)) return false;
  return linearize(part, versions).kind === 'impossible';
}

/**
 * A part may do without a read, but a refused swap is explained by any write since the value that it
 * expected: a part without one of those would be impossible without the whole being so.
 */
function keepsWhatExplains(whole: RegisterLog, part: RegisterLog): boolean {
  const kept = new Set(part.operations);
  return part.refusals.every(({ expected, endMs }) => {
    const write = whole.writes.find(({ value }) => value === expected);
    if (expected !== null && write === undefined) return true;
    const since = write?.startMs ?? -Infinity;
    return whole.writes.every(
      (other) => other.startMs > endMs || other.endMs < since || kept.has(other.operation),
    );
  });
}
