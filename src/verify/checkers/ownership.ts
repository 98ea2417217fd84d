/**
 * A range is served by one server at a time, and an account's rows are in one range.
 *
 * All servers are asked all the while which ranges they would serve (tenures.ts). Nobody sees two of them
 * at once, but epochs rise whenever a range or group changes hands: who serves a range before and after
 * another one did, at the same epochs, served it meanwhile too.
 */
import { grouped } from '../grouped.ts';
import type { AccountHomes, Checker, Tenure, Violation } from '../history.ts';

export const ownership: Checker = {
  name: 'ownership',
  claims: 'no two servers serve a range at once, and each account is in one range, as it is told',
  check: ({ tenures, final }) => ({
    checker: ownership.name,
    violations: [...rivalries(tenures), ...final.homes.flatMap(misplaced)],
    covered: { tenures: tenures.length, accounts: final.homes.length },
  }),
};

function rivalries(tenures: readonly Tenure[]): Violation[] {
  return [...grouped(tenures, ({ range }) => range).values()].flatMap((list) =>
    list.flatMap((one, at) =>
      list
        .slice(at + 1)
        .filter((other) => other.node !== one.node && (within(one, other) || within(other, one)))
        .map((other) => ({
          what: `${one.range} was served by two servers at once: ${said(one)}, and ${said(other)}`,
          operations: [],
        })),
    ),
  );
}

/** One of the inner's looks, the first or the last, was begun and ended between two of the outer's. */
function within(inner: Tenure, outer: Tenure): boolean {
  return [inner.first, inner.last].some(
    (look) => look.fromMs >= outer.first.untilMs && look.untilMs <= outer.last.fromMs,
  );
}

function said({ node, group, groupEpoch, rangeEpoch, first, last }: Tenure): string {
  const at = `${first.untilMs.toFixed(0)} to ${last.fromMs.toFixed(0)} ms`;
  return `${node} of ${group} at epochs ${String(groupEpoch)} and ${String(rangeEpoch)} from ${at}`;
}

function misplaced({ account, found, told }: AccountHomes): Violation[] {
  if (found.length === 0 || (found.length === 1 && found[0] === told)) return [];
  const what = `${account} is said to be in ${told}, and its rows are in ${found.join(' and ')}`;
  return [{ what, operations: [] }];
}
