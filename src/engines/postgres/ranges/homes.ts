/** The directory as transfers see it: at the primary, whose word counts. */
import type pg from 'pg';
import { waitUntil } from '../../../kernel/clock.ts';
import { MeridianError } from '../../../kernel/errors.ts';
import type { GroupName } from '../../../topology/position.ts';
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import type { AccountFacts, RangeFacts } from '../../engine.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import { quorumCommit } from '../quorum.ts';

const STATEMENT_TIMEOUT_MS = 30_000;
/** Copies follow within a round trip; one that cannot is no reason to keep an empty range for ever. */
const COPIES_TIMEOUT_MS = 10_000;
const LOOK_MS = 100;

/** By range, in the order of their names; accounts that do not exist are left out. */
export async function homesOf(
  cluster: Cluster,
  accounts: readonly AccountId[],
): Promise<ReadonlyMap<RangeName, readonly AccountId[]>> {
  return byRange(
    await onPrimary(cluster, (client) =>
      client.query<Home>('SELECT id, range FROM meridian.account WHERE id = ANY ($1) ORDER BY id', [
        accounts,
      ]),
    ),
  );
}

/** Everybody who is in a range. */
export async function accountsIn(
  cluster: Cluster,
  range: RangeName,
): Promise<readonly AccountId[]> {
  const { rows } = await onPrimary(cluster, (client) =>
    client.query<Home>('SELECT id, range FROM meridian.account WHERE range = $1 ORDER BY id', [
      range,
    ]),
  );
  return rows.map(({ id }) => id);
}

/** The one of these ranges that has the fewest; undefined for none. */
export async function emptiestOf(
  cluster: Cluster,
  ranges: readonly RangeName[],
): Promise<RangeName | undefined> {
  if (ranges.length < 2) return ranges[0];
  const { rows } = await onPrimary(cluster, (client) =>
    client.query<{ range: string; count: string }>(
      'SELECT range, count(*) AS count FROM meridian.account WHERE range = ANY ($1) GROUP BY range',
      [ranges],
    ),
  );
  const held = (range: RangeName): number =>
    Number(rows.find((row) => row.range === range)?.count ?? 0);
  return ranges.toSorted((a, b) => held(a) - held(b) || (a < b ? -1 : 1))[0];
}

/** Those of them that are in `from` are in the other one from now on; a quorum has it. */
export async function rewriteHomes(
  cluster: Cluster,
  homes: {
    readonly from: RangeName;
    readonly into: RangeName;
    readonly accounts: readonly AccountId[];
  },
): Promise<void> {
  await onPrimary(cluster, (client, primary) =>
    quorumCommit(cluster, primary, {
      client,
      text: 'UPDATE meridian.account SET range = $2 WHERE range = $1 AND id = ANY ($3)',
      values: [homes.from, homes.into, homes.accounts],
    }),
  );
}

/**
 * No copy of the directory leads to the range any more, at the leaders; replicas follow within their lag.
 * Whoever is led there all the same asks the primary. Gives the groups that do not say so in time.
 */
export async function forgottenEverywhere(
  cluster: Cluster,
  range: RangeName,
): Promise<readonly GroupName[]> {
  const late = new Set(cluster.groups.keys());
  await waitUntil(
    cluster.services.clock,
    { what: `no directory to lead to ${range}`, timeoutMs: COPIES_TIMEOUT_MS, intervalMs: LOOK_MS },
    async () => {
      cluster.notStopping();
      for (const name of [...late]) {
        const { open, leader } = cluster.group(name);
        if (!open || !cluster.reaches(leader)) continue;
        const led = await withAdmin(cluster.admin(leader), (client) =>
          client.query('SELECT FROM meridian.account WHERE range = $1 LIMIT 1', [range]),
        ).catch(() => undefined);
        if (led?.rowCount === 0) late.delete(name);
      }
      return late.size === 0 ? true : undefined;
    },
  ).catch(() => {
    cluster.notStopping();
  });
  return [...late];
}

/** Where they are, and what an account of each range weighs on average. */
export async function accountFacts(
  cluster: Cluster,
  accounts: readonly AccountId[],
): Promise<AccountFacts> {
  const homes = new Map<AccountId, { range: RangeName; group: GroupName }>();
  for (const [range, there] of await homesOf(cluster, accounts)) {
    const group = cluster.register.placeOf(range);
    if (group === undefined) continue;
    for (const account of there) homes.set(account, { range, group });
  }
  const facts = await rangeFacts(cluster);
  const bytesPerAccount = Object.fromEntries(
    facts.map(({ range, accounts: count, bytes }) => [
      range,
      count === 0 ? 0 : Math.ceil(bytes / count),
    ]),
  );
  return { homes, bytesPerAccount, totalBytes: facts.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Of every range: how many accounts it has, and what its tables hold. All groups must be open. */
export async function rangeFacts(cluster: Cluster): Promise<readonly RangeFacts[]> {
  const counted = await onPrimary(cluster, (client) =>
    client.query<{ range: string; count: string }>(
      'SELECT range, count(*) AS count FROM meridian.account GROUP BY range',
    ),
  );
  const counts = new Map(counted.rows.map(({ range, count }) => [range, Number(count)]));
  return (await weights(cluster)).map((range) => ({
    ...range,
    made: cluster.register.isMade(range.range),
    accounts: counts.get(range.range) ?? 0,
  }));
}

async function weights(
  cluster: Cluster,
): Promise<readonly Omit<RangeFacts, 'accounts' | 'made'>[]> {
  const found: Omit<RangeFacts, 'accounts' | 'made'>[] = [];
  for (const { spec, open, leader } of cluster.groups.values()) {
    if (!open || !cluster.reaches(leader)) {
      throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${spec.name} is not open`);
    }
    const { rows } = await withAdmin(
      cluster.admin(leader),
      (client) =>
        client.query<{ range: string; bytes: string }>(
          `SELECT r.name AS range, coalesce(sum(pg_table_size(c.oid)), 0) AS bytes
           FROM meridian.range r JOIN pg_namespace n ON n.nspname = r.name
           LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'
           WHERE r.state = 'open' GROUP BY r.name`,
        ),
      { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
    );
    found.push(
      ...rows.map(({ range, bytes }) => ({ range, group: spec.name, bytes: Number(bytes) })),
    );
  }
  return found;
}

interface Home {
  readonly id: string;
  readonly range: string;
}

function byRange({ rows }: pg.QueryResult<Home>): Map<RangeName, AccountId[]> {
  const homes = new Map<RangeName, AccountId[]>();
  for (const { id, range } of rows) {
    const there = homes.get(range) ?? [];
    there.push(id);
    homes.set(range, there);
  }
  return homes;
}

export async function onPrimary<T>(
  cluster: Cluster,
  run: (client: pg.Client, primary: ClusterGroup) => Promise<T>,
): Promise<T> {
  const primary = [...cluster.groups.values()].find(({ globals }) => globals === 'publisher');
  if (primary?.open !== true || !cluster.reaches(primary.leader)) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the primary group is not open');
  }
  return withAdmin(cluster.admin(primary.leader), (client) => run(client, primary), {
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
}
