/**
 * Transactions over lists are strictly serializable, group by group. Lists that only grow show which
 * transactions came before which, so that an order of all of them is not searched for: it exists if
 * and only if what the lists show has no cycle (the method of Elle).
 */
import { cyclesOf } from '../append/cycles.ts';
import { dependenciesOf } from '../append/dependencies.ts';
import { ordersOf, type KeyOrder } from '../append/orders.ts';
import {
  groupsOf,
  indexesOf,
  internalFaults,
  isPrefix,
  transactionsOf,
  type Group,
  type Transaction,
} from '../append/transactions.ts';
import type { Checker, History, Violation } from '../history.ts';

/** Of one kind and group: more would say the same again. */
const FAULTS_MAX = 10;

export const listAppend: Checker = {
  name: 'list-append',
  claims: 'transactions over lists behave as if they had happened one after the other',
  check: (history) => {
    const transactions = transactionsOf(history);
    const keys = Object.keys(history.final.lists);
    const judged = groupsOf(transactions, keys).map((group) => judge(group, history));
    const read = transactions.filter(
      ({ operation, found }) => operation.outcome === 'ok' && found.size > 0,
    );
    const undecided = judged.filter((result) => result === 'undecided').length;
    return {
      checker: listAppend.name,
      violations: judged.flatMap((result) => (result === 'undecided' ? [] : result)),
      covered: {
        groups: judged.length,
        transactions: transactions.filter(({ committed }) => committed).length,
        readers: read.length,
        undecided,
      },
    };
  },
};

function judge(group: Group, history: History): Violation[] | 'undecided' {
  const { byKey, faults, unique } = ordersOf(group, history.final.lists);
  if (!unique) return 'undecided';
  const dependencies = dependenciesOf(group, byKey);
  const updates = lostUpdates(dependencies.transactions, byKey);
  const told = new Set(updates.flatMap(({ operations }) => operations));
  const known = new Set(
    dependencies.transactions.flatMap(({ operation }, node) =>
      told.has(operation.index) ? [node] : [],
    ),
  );
  return [
    ...faults.slice(0, FAULTS_MAX),
    ...group.transactions.flatMap(internalFaults).slice(0, FAULTS_MAX),
    ...updates.slice(0, FAULTS_MAX),
    ...cyclesOf(dependencies, known),
  ];
}

/** Two transactions found the same list and both added to it: one did not know of the other. */
function lostUpdates(
  transactions: readonly Transaction[],
  orders: ReadonlyMap<string, KeyOrder>,
): Violation[] {
  const violations: Violation[] = [];
  const first = new Map<string, Transaction>();
  for (const transaction of transactions) {
    if (transaction.operation.outcome !== 'ok') continue;
    for (const [key, found] of transaction.found) {
      if (!transaction.appended.has(key)) continue;
      if (!isPrefix(found, orders.get(key)?.values ?? [])) continue;
      const base = `${key} ${found.length}`;
      const rival = first.get(base);
      if (rival === undefined) first.set(base, transaction);
      else {
        const what = `lost update: two transactions found ${key} with ${found.length} elements and added to it`;
        violations.push({ what, operations: indexesOf(rival, transaction) });
      }
    }
  }
  return violations;
}
