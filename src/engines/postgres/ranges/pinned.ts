/** What is pinned to a residency leaves its groups by a person's word alone. */
import { MeridianError } from '../../../kernel/errors.ts';
import { residencyOf } from '../../../topology/residency.ts';
import type { GroupName } from '../../../topology/position.ts';
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import type { Cluster } from '../cluster.ts';

/**
 * @param what "alice", "r0005"
 * @throws ERR_OPERATION_REFUSED unless both groups are of one residency, or of none
 */
export function checkResidency(
  { groups }: Cluster,
  what: string,
  { from, to }: { readonly from: GroupName; readonly to: GroupName },
): void {
  const [has, gets] = [from, to].map((group) => residencyOf(groups.get(group)?.spec));
  if (has === gets) return;
  const pinned = (name: string | null | undefined): string =>
    name === null || name === undefined ? 'to no residency' : `to ${name}`;
  throw new MeridianError(
    'ERR_OPERATION_REFUSED',
    `${what} is pinned ${pinned(has)}, and would be pinned ${pinned(gets)} in ${to}`,
    {
      remedy:
        'Accounts stay where they are pinned to, or are pinned anew: meridian rehome --residency says to what (none: to nothing).',
    },
  );
}

/**
 * Of accounts, by the range that they are in.
 *
 * @throws as checkResidency
 */
export function checkResidencies(
  cluster: Cluster,
  homes: ReadonlyMap<RangeName, readonly AccountId[]>,
  to: GroupName,
): void {
  for (const [range, [account = '']] of homes) {
    const from = cluster.register.placeOf(range);
    if (from !== undefined) checkResidency(cluster, account, { from, to });
  }
}
