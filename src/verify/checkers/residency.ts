/**
 * Accounts that are pinned stay where they may be: no server outside has a row of them, under load or at
 * the end, and the directory never sends anybody elsewhere for them.
 */
import type { Checker, History, Violation } from '../history.ts';

export const residency: Checker = {
  name: 'residency',
  claims: 'no server outside the residency of an account has rows of it',
  applies: ({ residents }) => residents !== undefined,
  check: (history) => ({
    checker: residency.name,
    violations: [...strays(history), ...elsewhere(history)],
    covered: {
      accounts: history.residents?.accounts.length ?? 0,
      servers: history.residents?.servers.length ?? 0,
      looks: history.residents?.looks ?? 0,
    },
  }),
};

function strays({ residents }: History): Violation[] {
  return (residents?.strays ?? []).map(({ account, node, atMs }) => ({
    what: `${node} had rows of ${account} at ${atMs.toFixed(0)} ms, which is pinned to ${residents?.residency ?? ''}`,
    operations: [],
  }));
}

function elsewhere({ residents, final }: History): Violation[] {
  return final.homes
    .filter(({ account }) => residents?.accounts.includes(account) === true)
    .filter(({ told }) => residents?.groups.includes(told.split(' in ')[1] ?? '') === false)
    .map(({ account, told }) => ({
      what: `${account} is said to be in ${told}, and is pinned to ${residents?.residency ?? ''}`,
      operations: [],
    }));
}
