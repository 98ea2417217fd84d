/**
 * Where accounts are, made certain. Their rows and the word of it (`departed`) go in one transaction of the group's;
 * the directory is written after that. Whoever dies in between leaves it behind: it would lead to a range that does not
 * have the rows any more, and the next to act on it would carry nothing, or lose sight of them.
 */
import { MeridianError } from '../../../kernel/errors.ts';
import type { GroupName } from '../../../topology/position.ts';
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import { quorumCommit } from '../quorum.ts';
import type { Carrying } from './carried-tables.ts';
import { homesOf, rewriteHomes } from './homes.ts';

type Homes = ReadonlyMap<RangeName, readonly AccountId[]>;

/** From range to range to range: more than anything leaves behind. */
const STEPS_MAX = 8;
const STATEMENT_TIMEOUT_MS = 30_000;

/** By range, as the directory says once it has been put right. */
export async function settledHomes(
  cluster: Cluster,
  accounts: readonly AccountId[],
): Promise<Homes> {
  for (let step = 0; step < STEPS_MAX; step += 1) {
    const homes = await homesOf(cluster, accounts);
    const behind = await departures(cluster, homes);
    if (behind.length === 0) return homes;
    for (const carried of behind) {
      cluster.services.log.warn('the directory was behind', {
        ...{ from: carried.from, into: carried.into, accounts: carried.accounts.length },
      });
      await rewriteHomes(cluster, carried);
    }
  }
  throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the directory does not come to rest');
}

/** Those that have left the range that the directory leads to. */
async function departures(cluster: Cluster, homes: Homes): Promise<readonly Carrying[]> {
  const byGroup = new Map<GroupName, RangeName[]>();
  for (const range of homes.keys()) {
    const group = cluster.register.placeOf(range);
    if (group !== undefined) byGroup.set(group, [...(byGroup.get(group) ?? []), range]);
  }
  const found: Carrying[] = [];
  for (const [group, ranges] of byGroup) {
    const asked = new Map(ranges.map((range) => [range, homes.get(range) ?? []]));
    found.push(...(await departuresIn(cluster, group, asked)));
  }
  return found;
}

async function departuresIn(
  cluster: Cluster,
  name: GroupName,
  asked: Homes,
): Promise<readonly Carrying[]> {
  const group = cluster.group(name);
  if (!group.open || !cluster.reaches(group.leader)) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${name} is not open`);
  }
  const pairs = [...asked].flatMap(([range, accounts]) =>
    accounts.map((account) => ({ range, account })),
  );
  return withAdmin(
    cluster.admin(group.leader),
    async (client) => {
      const { rows } = await client.query<{ range: string; into: string; accounts: string[] }>(
        `SELECT range, into_range AS into, array_agg(account ORDER BY account) AS accounts
         FROM meridian.departed JOIN unnest($1::text[], $2::text[]) AS a (range, account)
           USING (range, account)
         GROUP BY range, into_range ORDER BY range, into_range`,
        [pairs.map(({ range }) => range), pairs.map(({ account }) => account)],
      );
      const behind = rows.filter(({ into }) => cluster.register.placeOf(into) !== undefined);
      if (behind.length > 0) {
        // What one disk has may be lost with it: the directory may not know of it before.
        await quorumCommit(cluster, group, {
          client,
          text: 'UPDATE meridian.group_state SET epoch = epoch',
          values: [],
        });
      }
      return behind.map(({ range: from, into, accounts }) => ({ from, into, accounts }));
    },
    { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
  );
}
