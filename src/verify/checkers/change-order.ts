/**
 * Rows of an account are numbered by a sequence of its range, as an application would number what happens
 * to an account. Whatever moves, and whoever leads: who inserts after another has been answered gets a
 * higher number, so that reading the rows by number tells what happened in the order in which it did.
 */
import { grouped } from '../grouped.ts';
import type { Checker, History, Operation, Violation } from '../history.ts';

/** Of one account: more would say the same again. */
const FAULTS_MAX = 3;

export const changeOrder: Checker = {
  name: 'change-order',
  claims: "an account's rows are numbered in the order in which they were acknowledged",
  check: (history) => {
    const inserts = history.operations.filter(
      ({ action, outcome }) => action.kind === 'insert' && outcome === 'ok',
    );
    const byAccount = grouped(inserts, ({ action }) =>
      action.kind === 'insert' ? action.account : '',
    );
    return {
      checker: changeOrder.name,
      violations: [...byAccount].flatMap(([account, list]) => judge(account, list, history)),
      covered: { accounts: byAccount.size, rows: inserts.length },
    };
  },
};

interface Numbered {
  readonly operation: Operation;
  readonly id: string;
  /** Its place among the account's rows, by number. */
  readonly place: number;
}

/** In the order of starts, beside what had ended by then and has the highest place. */
function judge(account: string, inserts: readonly Operation[], { final }: History): Violation[] {
  const places = new Map((final.rows[account] ?? []).map((id, place) => [id, place]));
  const rows = inserts.flatMap((operation): Numbered[] => {
    const { action } = operation;
    const place = action.kind === 'insert' ? places.get(action.id) : undefined;
    // A row that is gone is told by another checker.
    return action.kind !== 'insert' || place === undefined
      ? []
      : [{ operation, id: action.id, place }];
  });
  const ended = rows.toSorted((a, b) => a.operation.endedAtMs - b.operation.endedAtMs);
  const violations: Violation[] = [];
  let [next, highest]: [number, Numbered | undefined] = [0, undefined];
  for (const row of rows.toSorted((a, b) => a.operation.startedAtMs - b.operation.startedAtMs)) {
    for (let one = ended[next]; one !== undefined; one = ended[next]) {
      if (one.operation.endedAtMs >= row.operation.startedAtMs) break;
      if (highest === undefined || one.place > highest.place) highest = one;
      next += 1;
    }
    if (highest === undefined || highest.place < row.place) continue;
    const what = `${account}'s row ${row.id} has a number before that of ${highest.id}, which was acknowledged before it was begun`;
    violations.push({ what, operations: [highest.operation.index, row.operation.index] });
    if (violations.length === FAULTS_MAX) break;
  }
  return violations;
}
