/**
 * Requests with an idempotency key take effect once, however often they are sent, and every answer that
 * was given for a key is the same. Several operations may share a key: one that was answered well
 * speaks for all of them.
 */
import type { Action, Checker, History, Operation, Violation } from '../history.ts';

type Transfer = Extract<Action, { kind: 'transfer' }>;

interface Keyed {
  readonly key: string;
  readonly sent: readonly { readonly operation: Operation; readonly transfer: Transfer }[];
}

export const idempotentOnce: Checker = {
  name: 'idempotent-once',
  claims: 'a request with an idempotency key is applied once and has one answer',
  check: (history) => {
    const keyed = keysOf(history);
    return {
      checker: idempotentOnce.name,
      violations: keyed.flatMap((item) => [...appliedWrongly(item, history), ...answers(item)]),
      covered: {
        keys: keyed.length,
        answers: keyed.reduce((sum, item) => sum + answersOf(item).length, 0),
        repeated: keyed.filter((item) => answersOf(item).length > 1).length,
      },
    };
  },
};

function keysOf({ operations }: History): Keyed[] {
  const byKey = new Map<string, { operation: Operation; transfer: Transfer }[]>();
  for (const operation of operations) {
    const { action: transfer } = operation;
    if (transfer.kind !== 'transfer' || transfer.key === undefined) continue;
    const known = byKey.get(transfer.key);
    if (known === undefined) byKey.set(transfer.key, [{ operation, transfer }]);
    else known.push({ operation, transfer });
  }
  return [...byKey].map(([key, sent]) => ({ key, sent }));
}

function appliedWrongly({ key, sent }: Keyed, { final }: History): Violation[] {
  const ids = new Set(sent.map(({ transfer }) => transfer.id));
  const times = [...ids].reduce((sum, id) => sum + (final.transfers[id] ?? 0), 0);
  const outcomes = sent.map(({ operation }) => operation.outcome);
  const least = outcomes.includes('ok') ? 1 : 0;
  const most = outcomes.every((outcome) => outcome === 'failed') ? 0 : 1;
  if (times >= least && times <= most) return [];
  const what = `key ${key} (${outcomes.join(', ')}) was applied ${times} times`;
  return [{ what, operations: sent.map(({ operation }) => operation.index) }];
}

const answersOf = ({ sent }: Keyed): string[] =>
  sent.flatMap(({ transfer }) => transfer.answers ?? []);

function answers(item: Keyed): Violation[] {
  const different = new Set(answersOf(item));
  if (different.size <= 1) return [];
  const what = `key ${item.key} was answered in ${different.size} different ways`;
  return [{ what, operations: item.sent.map(({ operation }) => operation.index) }];
}
