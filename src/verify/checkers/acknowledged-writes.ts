/** Rows: what was acknowledged is there once, what failed is not, and nothing came from nowhere. */
import type { Checker, History, Operation, Violation } from '../history.ts';

export const acknowledgedWrites: Checker = {
  name: 'acknowledged-writes',
  claims: 'every row that was acknowledged is there exactly once, and none that was refused',
  check: (history) => {
    const inserts = history.operations.filter(({ action }) => action.kind === 'insert');
    const counts = countsOf(history);
    return {
      checker: acknowledgedWrites.name,
      violations: [...inserts.flatMap((insert) => judge(insert, counts)), ...strangers(history)],
      covered: {
        acknowledged: inserts.filter(({ outcome }) => outcome === 'ok').length,
        rows: Object.values(history.final.rows).reduce((sum, ids) => sum + ids.length, 0),
      },
    };
  },
};

/** By account: how often each row is there. */
type Counts = ReadonlyMap<string, ReadonlyMap<string, number>>;

function countsOf({ final }: History): Counts {
  return new Map(
    Object.entries(final.rows).map(([account, ids]) => {
      const counted = new Map<string, number>();
      for (const id of ids) counted.set(id, (counted.get(id) ?? 0) + 1);
      return [account, counted];
    }),
  );
}

function judge({ action, index, outcome }: Operation, counts: Counts): Violation[] {
  if (action.kind !== 'insert') return [];
  const { account, id } = action;
  const times = counts.get(account)?.get(id) ?? 0;
  const say = (what: string): Violation[] => [{ what, operations: [index] }];
  if (outcome === 'ok' && times === 0)
    return say(`lost: ${account}'s acknowledged row ${id} is gone`);
  if (outcome === 'failed' && times > 0)
    return say(`${account}'s row ${id} is there, but it failed`);
  if (times > 1) return say(`${account}'s row ${id} is there ${times} times`);
  return [];
}

/** Rows that nobody inserted, or that are in another account than they were inserted in. */
function strangers({ operations, final }: History): Violation[] {
  const asked = new Set(
    operations.flatMap(({ action }) =>
      action.kind === 'insert' ? [`${action.account} ${action.id}`] : [],
    ),
  );
  return Object.entries(final.rows).flatMap(([account, ids]) =>
    [...new Set(ids)]
      .filter((id) => !asked.has(`${account} ${id}`))
      .map((id) => ({ what: `${account} has a row ${id} that nobody inserted`, operations: [] })),
  );
}
