/**
 * The order of the elements of each key: that of the longest list that was seen, of which every other
 * must be the beginning. And what no list may show: elements twice, of nobody, of a transaction that
 * failed (G1a), of the midst of another transaction (G1b); or lack: what was acknowledged.
 */
import type { Violation } from '../history.ts';
import { indexesOf, isPrefix, type Group, type Seen, type Transaction } from './transactions.ts';

export interface KeyOrder {
  readonly key: string;
  readonly values: readonly number[];
  /** Who appended what, failed transactions included. */
  readonly writerOf: ReadonlyMap<number, Transaction>;
}

export interface Orders {
  readonly byKey: ReadonlyMap<string, KeyOrder>;
  readonly faults: readonly Violation[];
  /** Values of every key are appended once in the whole history; else nothing can be said. */
  readonly unique: boolean;
}

export function ordersOf(group: Group, final: Readonly<Record<string, readonly number[]>>): Orders {
  const byKey = new Map<string, KeyOrder>();
  const faults: Violation[] = [];
  const writers = new Map(group.keys.map((key) => [key, new Map<number, Transaction>()]));
  let unique = true;
  for (const transaction of group.transactions) {
    for (const step of transaction.steps) {
      const of = writers.get(step.key);
      if (step.kind !== 'append' || of === undefined) continue;
      unique &&= !of.has(step.value);
      of.set(step.value, transaction);
    }
  }
  const lists = listsByKey(group, final);
  for (const key of group.keys) {
    const writerOf = writers.get(key) ?? new Map<number, Transaction>();
    const seen = lists.get(key) ?? [];
    const longest = seen.reduce((a, b) => (b.values.length > a.values.length ? b : a));
    byKey.set(key, { key, values: longest.values, writerOf });
    const wrong = seen.flatMap((list) => [
      ...incompatible(list, longest),
      ...elementFaults(list, writerOf),
    ]);
    faults.push(...firstOfEach(wrong), ...lost(key, { writerOf, final: final[key] ?? [] }));
  }
  return { byKey, faults, unique };
}

function listsByKey(
  group: Group,
  final: Readonly<Record<string, readonly number[]>>,
): ReadonlyMap<string, readonly Seen[]> {
  const lists = new Map<string, Seen[]>(
    group.keys.map((key) => [key, [{ key, values: final[key] ?? [], by: undefined }]]),
  );
  for (const by of group.transactions) {
    if (by.operation.outcome !== 'ok') continue;
    for (const step of by.steps) {
      if (step.kind === 'read' && step.values !== undefined) {
        lists.get(step.key)?.push({ key: step.key, values: step.values, by });
      }
    }
  }
  return lists;
}

function incompatible(list: Seen, longest: Seen): Violation[] {
  if (isPrefix(list.values, longest.values)) return [];
  const what = `incompatible order: ${list.key} was seen with its elements in two different orders`;
  return [{ what, operations: indexesOf(list.by, longest.by) }];
}

function elementFaults(
  { key, values, by }: Seen,
  writerOf: ReadonlyMap<number, Transaction>,
): Violation[] {
  const faults: Violation[] = [];
  const known = new Set<number>();
  for (const value of values) {
    const writer = writerOf.get(value);
    const add = (what: string): number =>
      faults.push({ what: `${what} (${key}: ${value})`, operations: indexesOf(writer, by) });
    if (known.has(value)) add('duplicate element: a list shows one append twice');
    known.add(value);
    if (writer === undefined) add('element of nobody: a list shows what was never appended');
    else if (writer.operation.outcome === 'failed') add('G1a: a list shows an append that failed');
  }
  const last = values.at(-1);
  const writer = last === undefined ? undefined : writerOf.get(last);
  if (last !== undefined && writer !== undefined && writer !== by) {
    if (writer.appended.get(key)?.at(-1) !== last) {
      const what = `G1b: a list shows another transaction half-way (${key}: ${last})`;
      faults.push({ what, operations: indexesOf(writer, by) });
    }
  }
  return faults;
}

/** Whatever was acknowledged, or seen in part, is there at the end. */
function lost(
  key: string,
  of: { writerOf: ReadonlyMap<number, Transaction>; final: readonly number[] },
): Violation[] {
  const there = new Set(of.final);
  return [...of.writerOf].flatMap(([value, writer]): Violation[] => {
    if (!writer.committed || there.has(value)) return [];
    const acknowledged = writer.operation.outcome === 'ok';
    const was = acknowledged
      ? 'an acknowledged append'
      : 'an append of a transaction that was seen';
    const what = `lost write: ${was} is missing at the end (${key}: ${value})`;
    return [{ what, operations: indexesOf(writer) }];
  });
}

/** One violation of each name and element: every later reader sees it again. */
function firstOfEach(violations: readonly Violation[]): Violation[] {
  return [...new Map(violations.toReversed().map((item) => [item.what, item])).values()].reverse();
}
