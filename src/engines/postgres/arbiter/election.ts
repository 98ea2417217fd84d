/**
 * Who may lead next. Pure.
 *
 * A commit is acknowledged when the leader and one of the other voters have it on disk. So whoever is
 * sure to have every acknowledged commit is the most advanced of *all* other voters that could have
 * confirmed one; with one of them missing from the comparison nobody is sure, and nobody is elected.
 *
 * An excluded voter confirms nothing: it does not run until it has been cloned, and it was excluded
 * only after another voter had everything (see `ClusterGroup.excluded`). An exclusion that a failover
 * has just made is not that certain before its barrier is committed: until then it is a missing voter.
 */
import type { NodeName } from '../../../topology/node.ts';

export interface Candidate {
  readonly node: NodeName;
  /** Undefined: it could not be fenced, so its position is not final. */
  readonly position: bigint | undefined;
  /** 'unconfirmed': by an election whose leader's barrier has not been committed. */
  readonly excluded: 'no' | 'confirmed' | 'unconfirmed';
}

export type Election =
  | { readonly kind: 'elected'; readonly winner: NodeName; readonly rest: readonly NodeName[] }
  | { readonly kind: 'not-elected'; readonly missing: readonly NodeName[]; readonly why: string };

/** Of the voters without the leader, those first that are preferred among equally advanced ones. */
export function elect(others: readonly Candidate[]): Election {
  const voting = others.filter((one) => one.excluded !== 'confirmed');
  const missing = voting
    .filter((one) => one.excluded === 'unconfirmed' || one.position === undefined)
    .map((one) => one.node);
  if (missing.length > 0) {
    return { kind: 'not-elected', missing, why: `${missing.join(' and ')} cannot be asked` };
  }
  const [winner, ...rest] = voting.toSorted((a, b) =>
    descending(a.position ?? 0n, b.position ?? 0n),
  );
  if (winner === undefined) {
    return { kind: 'not-elected', missing: [], why: 'no other voter is whole' };
  }
  return { kind: 'elected', winner: winner.node, rest: rest.map((one) => one.node) };
}

/** Not by their difference: a position may be beyond what a double can hold. */
function descending(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}
