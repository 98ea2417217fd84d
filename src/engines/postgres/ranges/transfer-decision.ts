/**
 * What to do next for accounts that are to be in other ranges. Pure: from where they are, one act. Each act
 * leaves a picture in which the next one is decided, so whoever dies in between loses nothing but time:
 * the next life looks where the accounts are, and goes on.
 *
 *   split:  make a range ─► accounts into it, some at a time
 *   merge:  accounts into the other, some at a time ─► the empty range goes
 *   rehome: in each group that they leave, make a carrier ─► accounts into it ─► the carrier moves
 *           ─► accounts into a range of the group that they came to ─► the empty carrier goes
 *
 * Accounts of a range go together: rows are moved within one database by one transaction, which takes as
 * long as there are rows; whole ranges move between groups with a pause that does not depend on their size.
 */
import type { GroupName } from '../../../topology/position.ts';
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import type { TransferGoal } from '../places.ts';

export interface TransferPicture {
  readonly goal: TransferGoal;
  readonly cancelled: boolean;
  /** Where they are, as the directory's primary says; those that do not exist any more are left out. */
  readonly accounts: ReadonlyMap<RangeName, readonly AccountId[]>;
  readonly groupOf: (range: RangeName) => GroupName | undefined;
  /** Made for this transfer. */
  readonly carriers: readonly RangeName[];
  /** Those whose accounts can't be put beside others, or that can't be removed: they stay what they are. */
  readonly kept: ReadonlySet<RangeName>;
  /** The range of a group that takes those who come; undefined: it has none of its own. */
  readonly receiving: (group: GroupName) => RangeName | undefined;
}

export type TransferAct =
  | { readonly kind: 'name-carrier'; readonly group: GroupName }
  | {
      readonly kind: 'carry';
      readonly from: RangeName;
      readonly into: RangeName;
      readonly accounts: readonly AccountId[];
    }
  | { readonly kind: 'move'; readonly range: RangeName; readonly to: GroupName }
  | { readonly kind: 'remove'; readonly range: RangeName }
  | { readonly kind: 'end' };

/** Writers of the range they leave wait while so many accounts' rows are rewritten. */
export const BATCH_ACCOUNTS = 200;

export function nextAct(picture: TransferPicture): TransferAct {
  const { goal } = picture;
  switch (goal.kind) {
    case 'split':
      return split(picture, goal.from);
    case 'merge':
      return merge(picture, goal);
    case 'rehome':
      return rehome(picture, goal.to);
  }
}

const END: TransferAct = { kind: 'end' };

function split(picture: TransferPicture, from: RangeName): TransferAct {
  const [carrier] = picture.carriers;
  if (carrier === undefined) {
    const group = picture.groupOf(from);
    return picture.cancelled || group === undefined ? END : { kind: 'name-carrier', group };
  }
  if (picture.groupOf(carrier) === undefined) return END;
  if (!picture.cancelled) return carry(picture, from, carrier) ?? END;
  return carry(picture, carrier, from) ?? removal(picture, carrier) ?? END;
}

/** One that has rows of which nobody knows whose they are stays. */
function removal({ kept }: TransferPicture, range: RangeName): TransferAct | undefined {
  return kept.has(range) ? undefined : { kind: 'remove', range };
}

function merge(
  picture: TransferPicture,
  { from, into }: { readonly from: RangeName; readonly into: RangeName },
): TransferAct {
  if (picture.groupOf(from) === undefined) return END;
  if (picture.cancelled) return carry(picture, into, from) ?? END;
  return carry(picture, from, into) ?? { kind: 'remove', range: from };
}

function rehome(picture: TransferPicture, to: GroupName): TransferAct {
  const leaving = picture.cancelled ? undefined : nextLeaving(picture, to);
  if (leaving !== undefined) return leaving;
  for (const carrier of picture.carriers) {
    const group = picture.groupOf(carrier);
    if (group === undefined) continue;
    const held = picture.accounts.get(carrier) ?? [];
    if (held.length === 0) {
      const removed = removal(picture, carrier);
      if (removed !== undefined) return removed;
      continue;
    }
    if (group !== to && !picture.cancelled) return { kind: 'move', range: carrier, to };
    const into = picture.receiving(group);
    if (into === undefined || picture.kept.has(carrier)) continue;
    const act = carry(picture, carrier, into);
    if (act !== undefined) return act;
  }
  return END;
}

/** Accounts that have not left the group that they are to leave. */
function nextLeaving(picture: TransferPicture, to: GroupName): TransferAct | undefined {
  const { carriers } = picture;
  for (const range of [...picture.accounts.keys()].sort()) {
    const group = picture.groupOf(range);
    if (group === undefined || group === to || carriers.includes(range)) continue;
    // One that has left already takes nobody along any more: those who are late get another.
    const carrier = carriers.find((one) => picture.groupOf(one) === group);
    return carrier === undefined ? { kind: 'name-carrier', group } : carry(picture, range, carrier);
  }
  return undefined;
}

function carry(
  { accounts }: TransferPicture,
  from: RangeName,
  into: RangeName,
): TransferAct | undefined {
  const there = accounts.get(from) ?? [];
  if (there.length === 0) return undefined;
  return { kind: 'carry', from, into, accounts: there.slice(0, BATCH_ACCOUNTS) };
}

/** How many are where they are to be. */
export function arrived(picture: TransferPicture): number {
  const { goal, accounts, groupOf, carriers, kept } = picture;
  let count = 0;
  for (const [range, there] of accounts) {
    const done =
      goal.kind === 'split'
        ? range === carriers[0]
        : goal.kind === 'merge'
          ? range === goal.into
          : groupOf(range) === goal.to && (!carriers.includes(range) || kept.has(range));
    if (done) count += there.length;
  }
  return count;
}
