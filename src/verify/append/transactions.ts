/**
 * A history of list appends as transactions over keys. A list shows its whole past: whoever reads it
 * sees which transactions came before, and in which order. What nobody may see shows here already,
 * read by read; order between transactions is for dependencies.ts.
 */
import type { History, ListStep, Operation, Violation } from '../history.ts';

export interface Transaction {
  readonly operation: Operation;
  readonly steps: readonly ListStep[];
  /** Acknowledged, or of unknown outcome while something of it was seen. */
  readonly committed: boolean;
  /** Per key: what was there before its own appends, if it read it. */
  readonly found: ReadonlyMap<string, readonly number[]>;
  /** Per key, in order. */
  readonly appended: ReadonlyMap<string, readonly number[]>;
}

/** Keys that some transaction used together, directly or by way of others. */
export interface Group {
  readonly keys: readonly string[];
  readonly transactions: readonly Transaction[];
}

/** One list as it was seen: by a transaction, or at the end of all. */
export interface Seen {
  readonly key: string;
  readonly values: readonly number[];
  readonly by: Transaction | undefined;
}

export function transactionsOf(history: History): Transaction[] {
  const seen = new Set<string>();
  const see = (key: string, values: readonly number[] = []): void =>
    values.forEach((value) => seen.add(`${key} ${value}`));
  for (const [key, values] of Object.entries(history.final.lists)) see(key, values);
  for (const { action, outcome } of history.operations) {
    if (action.kind !== 'list' || outcome !== 'ok') continue;
    for (const step of action.steps) if (step.kind === 'read') see(step.key, step.values);
  }
  return history.operations.flatMap((operation) => {
    const { action, outcome } = operation;
    if (action.kind !== 'list') return [];
    const { steps } = action;
    const wasSeen = (step: ListStep): boolean =>
      step.kind === 'append' && seen.has(`${step.key} ${step.value}`);
    const committed = outcome === 'ok' || (outcome === 'unknown' && steps.some(wasSeen));
    return [{ operation, steps, committed, ...within(steps) }];
  });
}

/** What a transaction found and added, per key. */
function within(steps: readonly ListStep[]): Pick<Transaction, 'found' | 'appended'> {
  const found = new Map<string, readonly number[]>();
  const appended = new Map<string, number[]>();
  for (const step of steps) {
    const own = appended.get(step.key) ?? [];
    if (step.kind === 'append') appended.set(step.key, [...own, step.value]);
    else if (step.values !== undefined && !found.has(step.key)) {
      found.set(step.key, step.values.slice(0, Math.max(0, step.values.length - own.length)));
    }
  }
  return { found, appended };
}

export function groupsOf(transactions: readonly Transaction[], keys: readonly string[]): Group[] {
  const parent = new Map<string, string>();
  const rootOf = (key: string): string => {
    let root = key;
    for (let up = parent.get(root); up !== undefined && up !== root; up = parent.get(root))
      root = up;
    parent.set(key, root);
    return root;
  };
  for (const key of keys) parent.set(key, key);
  for (const { steps } of transactions) {
    for (const { key } of steps) parent.set(rootOf(key), rootOf(steps[0]?.key ?? key));
  }
  const groups = new Map<string, { keys: string[]; transactions: Transaction[] }>();
  for (const key of parent.keys()) {
    const root = rootOf(key);
    const group = groups.get(root) ?? { keys: [], transactions: [] };
    group.keys.push(key);
    groups.set(root, group);
  }
  for (const transaction of transactions) {
    const [first] = transaction.steps;
    if (first !== undefined) groups.get(rootOf(first.key))?.transactions.push(transaction);
  }
  return [...groups.values()];
}

/** A transaction sees its own appends, and between two of its reads nothing else changes. */
export function internalFaults({ operation, steps }: Transaction): Violation[] {
  if (operation.outcome !== 'ok') return [];
  const expected = new Map<string, readonly number[]>();
  const own = new Map<string, readonly number[]>();
  return steps.flatMap((step): Violation[] => {
    const mine = own.get(step.key) ?? [];
    const known = expected.get(step.key);
    if (step.kind === 'append') {
      own.set(step.key, [...mine, step.value]);
      if (known !== undefined) expected.set(step.key, [...known, step.value]);
      return [];
    }
    if (step.values === undefined) return [];
    expected.set(step.key, step.values);
    const fits =
      known !== undefined
        ? isEqual(known, step.values)
        : isEqual(mine, mine.length === 0 ? [] : step.values.slice(-mine.length));
    if (fits) return [];
    const what = `internal: a transaction read ${step.key} otherwise than it had left it`;
    return [{ what, operations: [operation.index] }];
  });
}

export const isEqual = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && isPrefix(a, b);

export const isPrefix = (a: readonly number[], b: readonly number[]): boolean =>
  a.length <= b.length && a.every((value, at) => value === b[at]);

export const indexesOf = (...of: readonly (Transaction | undefined)[]): number[] =>
  [...new Set(of.flatMap((item) => (item === undefined ? [] : [item.operation.index])))].sort(
    (a, b) => a - b,
  );
