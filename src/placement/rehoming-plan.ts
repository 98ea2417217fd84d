/**
 * Which accounts are given another home now, within what may be moved. Pure.
 *
 * The most saved for the least moved comes first. What finds no place in the budget is not forgotten: it is
 * judged again next time, and its turn comes when there is room.
 */
import type { Distances } from './preference.ts';
import { judgeHome, type AccountFacts, type Judgement } from './rehoming.ts';
import type { RehomingPolicy } from './rehoming-policy.ts';

export interface RehomingFacts<Id> {
  readonly accounts: Iterable<readonly [id: Id, facts: AccountFacts]>;
  readonly distances: Distances;
  /** Of every account there is, also of those that are not among these. */
  readonly totalBytes: number;
  /** In the cycle that ends now. */
  readonly moved: { readonly bytes: number; readonly accounts: number };
}

export type Move<Id> = Extract<Judgement, { kind: 'move' }> & {
  readonly account: Id;
  readonly from: number;
  readonly bytes: number;
};

export interface RehomingPlan<Id> {
  /** Best first. */
  readonly moves: readonly Move<Id>[];
  /** Would be moved, and must wait for the budget. */
  readonly postponed: readonly Move<Id>[];
}

export function planRehoming<Id>(
  facts: RehomingFacts<Id>,
  policy: RehomingPolicy,
): RehomingPlan<Id> {
  const wanted: Move<Id>[] = [];
  for (const [account, one] of facts.accounts) {
    const judgement = judgeHome(one, facts.distances, policy);
    if (judgement.kind === 'stay') continue;
    wanted.push({ ...judgement, account, from: one.home, bytes: one.bytes });
  }
  const worth = ({ savedMsPerCycle, bytes }: Move<Id>): number =>
    savedMsPerCycle / Math.max(1, bytes);
  wanted.sort((a, b) => worth(b) - worth(a));
  let bytesLeft = policy.bytesShareMax * facts.totalBytes - facts.moved.bytes;
  let movesLeft = policy.movesMax - facts.moved.accounts;
  const moves: Move<Id>[] = [];
  const postponed: Move<Id>[] = [];
  for (const move of wanted) {
    if (movesLeft < 1 || move.bytes > bytesLeft) {
      postponed.push(move);
      continue;
    }
    moves.push(move);
    movesLeft -= 1;
    bytesLeft -= move.bytes;
  }
  return { moves, postponed };
}
