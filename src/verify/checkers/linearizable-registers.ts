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
  const partOf = (operations: readonly Operation[], end: number | null | undefined): RegisterLog =>
    judgeable(log, registerLog(log.register, operations, end));
  const shown =
    attempts.find((attempt) => isImpossible(partOf(attempt.operations, attempt.last))) ??
    ({ operations: strong, last } as const);
  const take = (part: readonly number[]): RegisterLog =>
    partOf(operationsAt(shown.operations, part), shown.last);
  const all = shown.operations.map(({ index }) => index);
  const found = take(shrink(all, (part) => isImpossible(take(part))));
  const operations = found.operations.map(({ index }) => index);
  const end = shown.last === undefined ? '' : ` and a last value of ${String(shown.last)}`;
  const what = `${log.register}: no order of ${operations.length} operations explains their answers${end}`;
  return { what, operations };
}

function isImpossible(part: RegisterLog): boolean {
  const versions = versionsOf(part, 'strong');
  return versions.faults.length === 0 && linearize(part, versions).kind === 'impossible';
}

/**
 * What remains of a part once everything is left out that its missing operations alone make
 * impossible; so if the rest is impossible, the whole is. Reads need their write. A refused swap is
 * explained by any write since the value that it expected, so it needs all of those. A swap that worked
 * without the one it followed is still a write.
 */
function judgeable(whole: RegisterLog, part: RegisterLog): RegisterLog {
  const kept = new Set(part.operations);
  const written = new Set(part.writes.map(({ value }) => value));
  const isWritten = (value: number | null | undefined): boolean =>
    typeof value !== 'number' || written.has(value);
  const reads = part.reads.filter(({ value }) => isWritten(value));
  const refusals = part.refusals.filter(({ expected, endMs }) => {
    const write = whole.writes.find(({ value }) => value === expected);
    if (expected !== null && write === undefined) return true;
    const since = write?.startMs ?? -Infinity;
    return whole.writes.every(
      (other) => other.startMs > endMs || other.endMs < since || kept.has(other.operation),
    );
  });
  const left = new Set<Operation | undefined>([
    ...part.writes.map(({ operation }) => operation),
    ...reads.map(({ operation }) => operation),
    ...refusals.map(({ operation }) => operation),
  ]);
  return {
    ...part,
    reads,
    refusals,
    writes: part.writes.map((write) =>
      isWritten(write.expected) ? write : { ...write, expected: undefined },
    ),
    operations: part.operations.filter((operation) => left.has(operation)),
  };
}
