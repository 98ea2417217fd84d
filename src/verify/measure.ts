/** What a history says about service: counts, times, and pauses. Pure. */
import type { Action, Operation } from './history.ts';
import { isRead } from './outcome.ts';
import { listAccount } from './actions.ts';

export interface WorkloadCounts {
  readonly name: string;
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  /** Of those that were answered; null when none was. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

export function countsOf(
  name: string,
  actions: readonly Action['kind'][],
  operations: readonly Operation[],
): WorkloadCounts {
  const own = operations.filter(({ action }) => actions.includes(action.kind));
  const count = (outcome: Operation['outcome']): number =>
    own.filter((operation) => operation.outcome === outcome).length;
  const times = own
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ startedAtMs, endedAtMs }) => endedAtMs - startedAtMs)
    .toSorted((a, b) => a - b);
  return {
    name,
    ok: count('ok'),
    failed: count('failed'),
    unknown: count('unknown'),
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: quantile(times, 1),
  };
}

function quantile(sorted: readonly number[], share: number): number | null {
  const found = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return found === undefined ? null : Math.round(found);
}

export interface Pause {
  readonly group: string;
  /** The longest time in which no write of the group was acknowledged. */
  readonly longestMs: number;
  readonly fromMs: number;
}

/** Of each group, between the begin and the end of the load. */
export function pausesOf(
  operations: readonly Operation[],
  groups: ReadonlyMap<string, string>,
  load: { readonly fromMs: number; readonly untilMs: number },
): readonly Pause[] {
  const acknowledged = new Map<string, number[]>();
  for (const group of new Set(groups.values())) acknowledged.set(group, []);
  for (const { action, outcome, endedAtMs } of operations) {
    if (outcome !== 'ok' || isRead(action) || endedAtMs > load.untilMs) continue;
    for (const account of accountsOf(action)) {
      const group = groups.get(account);
      if (group !== undefined) acknowledged.get(group)?.push(endedAtMs);
    }
  }
  return [...acknowledged].map(([group, times]) => {
    let last = load.fromMs;
    let longest: Pause = { group, longestMs: 0, fromMs: load.fromMs };
    for (const at of [...times.toSorted((a, b) => a - b), load.untilMs]) {
      if (at - last > longest.longestMs) {
        longest = { group, longestMs: Math.round(at - last), fromMs: Math.round(last) };
      }
      last = Math.max(last, at);
    }
    return longest;
  });
}

function accountsOf(action: Action): readonly string[] {
  switch (action.kind) {
    case 'register-read':
    case 'register-write':
      return [action.register];
    // One that found another value wrote nothing.
    case 'register-swap':
      return action.swapped === true ? [action.register] : [];
    case 'list':
      return action.steps.flatMap(({ kind, key }) => (kind === 'append' ? [listAccount(key)] : []));
    case 'transfer':
      return [action.from, action.to];
    case 'balances':
      return [];
    case 'insert':
      return [action.account];
  }
}
