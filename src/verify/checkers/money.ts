/**
 * Money moves and is neither made nor lost: at the end in all, per account where the openings are
 * known, and in each read of a group's accounts under load.
 *
 * A read of accounts can be judged if no transfer leads from one of them to an account outside: then
 * their total never changes, and is what it is at the end. Others are counted as skipped.
 */
import type { Checker, History, Operation, Violation } from '../history.ts';

export const money: Checker = {
  name: 'money',
  claims: 'money is conserved: at the end, and in every read of a group under load',
  check: (history) => {
    const reads = history.operations.filter(
      ({ action, outcome }) =>
        action.kind === 'balances' && outcome === 'ok' && action.balances !== undefined,
    );
    const isClosed = closedSets(history);
    const judged = reads.filter((read) => isClosed(accountsOf(read)));
    return {
      checker: money.name,
      violations: [
        ...inAll(history),
        ...perAccount(history),
        ...applied(history),
        ...judged.flatMap((read) => judge(read, history)),
      ],
      covered: {
        accounts: Object.keys(history.final.balances).length,
        transfers: transfersOf(history).filter(({ outcome }) => outcome === 'ok').length,
        reads: judged.length,
        skipped: reads.length - judged.length,
      },
    };
  },
};

const total = (balances: readonly number[]): number =>
  balances.reduce((sum, item) => sum + item, 0);

const transfersOf = ({ operations }: History): Operation[] =>
  operations.filter(({ action }) => action.kind === 'transfer');

function accountsOf({ action }: Operation): ReadonlySet<string> {
  return new Set(action.kind === 'balances' ? Object.keys(action.balances ?? {}) : []);
}

function inAll({ final, openedWith }: History): Violation[] {
  const sum = total(Object.values(final.balances));
  if (sum === openedWith) return [];
  const what = `accounts were opened with ${openedWith} in all and hold ${sum} at the end`;
  return [{ what, operations: [] }];
}

/** Each balance is its opening and the transfers that were applied. */
function perAccount(history: History): Violation[] {
  const { final, opened } = history;
  if (opened === undefined) return [];
  const expected = new Map(Object.entries(opened));
  const move = (account: string, amount: number): Map<string, number> =>
    expected.set(account, (expected.get(account) ?? 0) + amount);
  for (const { action } of transfersOf(history)) {
    if (action.kind !== 'transfer') continue;
    const amount = action.amount * (final.transfers[action.id] ?? 0);
    move(action.from, -amount);
    move(action.to, amount);
  }
  const accounts = new Set([...expected.keys(), ...Object.keys(final.balances)]);
  return [...accounts].flatMap((account): Violation[] => {
    const [due, is] = [expected.get(account) ?? 0, final.balances[account] ?? 0];
    if (due === is) return [];
    const what = `${account} holds ${is}; with the transfers that were applied it should be ${due}`;
    return [{ what, operations: [] }];
  });
}

/** Transfers without a key; those with one are the business of idempotent-once. */
function applied(history: History): Violation[] {
  const transfers = transfersOf(history);
  const asked = new Set<string>();
  const violations: Violation[] = [];
  for (const { action, outcome, index } of transfers) {
    if (action.kind !== 'transfer') continue;
    asked.add(action.id);
    if (action.key !== undefined) continue;
    const times = history.final.transfers[action.id] ?? 0;
    const right = outcome === 'ok' ? times === 1 : outcome === 'failed' ? times === 0 : times <= 1;
    if (right) continue;
    const what = `transfer ${action.id} (${outcome}) was applied ${times} times`;
    violations.push({ what, operations: [index] });
  }
  for (const id of Object.keys(history.final.transfers)) {
    if (asked.has(id)) continue;
    violations.push({
      what: `transfer ${id} was applied, and nobody asked for it`,
      operations: [],
    });
  }
  return violations;
}

/** Is it certain that no transfer crossed the border of these accounts? Remembers what it found. */
function closedSets(history: History): (accounts: ReadonlySet<string>) => boolean {
  const known = new Map<string, boolean>();
  const happened = transfersOf(history).flatMap(({ action, outcome }) => {
    if (action.kind !== 'transfer') return [];
    const undone = outcome === 'failed' && (history.final.transfers[action.id] ?? 0) === 0;
    return undone ? [] : [action];
  });
  return (accounts) => {
    const key = JSON.stringify([...accounts].sort());
    let closed = known.get(key);
    if (closed === undefined) {
      closed = happened.every(({ from, to }) => accounts.has(from) === accounts.has(to));
      known.set(key, closed);
    }
    return closed;
  };
}

function judge({ action, index }: Operation, { final }: History): Violation[] {
  if (action.kind !== 'balances' || action.balances === undefined) return [];
  const seen = total(Object.values(action.balances));
  const due = total(Object.keys(action.balances).map((account) => final.balances[account] ?? 0));
  if (seen === due) return [];
  const what = `a read of ${action.group} found ${seen} in accounts that always hold ${due} together`;
  return [{ what, operations: [index] }];
}
