/**
 * Rows of pinned accounts on servers outside their residency, as the servers themselves say, whatever the
 * directory says: in every range that a server has, on its way, left behind, or replayed from a leader.
 */
import type pg from 'pg';
import { residencyOf, type Residency } from '../topology/residency.ts';
import type { RoutingView } from '../topology/routing.ts';
import { KEY_TABLE } from '../engines/postgres/schema-idempotency.ts';
import type { Residents, Stray } from './history.ts';
import { TABLES } from './schema.ts';
import { watchServers, type Watch } from './servers.ts';
import type { Account } from './workloads/workload.ts';

/** Rows outside would be there for as long as a range is. */
const INTERVAL_MS = 1_000;

/** Who is looked for, and where. */
export interface Pinned extends Pick<Residents, 'residency' | 'groups' | 'accounts'> {
  readonly nodes: readonly string[];
}

/**
 * By what was declared and asked for, not by what came of it. Undefined: nothing was declared.
 */
export function pinnedOf(
  { groups }: Pick<RoutingView, 'groups'>,
  accounts: readonly Account[],
  declared: Residency | undefined,
): Pinned | undefined {
  if (declared === undefined) return undefined;
  const { name: residency, regions } = declared;
  const all = Object.values(groups);
  return {
    residency,
    groups: all.filter((group) => residencyOf(group) === residency).map(({ name }) => name),
    accounts: accounts.filter((account) => account.residency === residency).map(({ id }) => id),
    nodes: all
      .flatMap(({ nodes }) => nodes)
      .filter(({ locality }) => !regions.includes(locality.region))
      .map(({ name }) => name),
  };
}

/** Until the signal fires. */
export async function watchStrays(watch: Omit<Watch, 'nodes'>, pinned: Pinned): Promise<Residents> {
  const { residency, groups, accounts, nodes } = pinned;
  const seen = new Map<string, Stray>();
  let looks = 0;
  await watchServers({ ...watch, nodes }, INTERVAL_MS, async (node, client) => {
    const atMs = watch.nowMs();
    for (const account of await straysOn(client, accounts)) {
      const key = `${node} ${account}`;
      if (!seen.has(key)) seen.set(key, { account, node, atMs });
    }
    looks += 1;
  });
  return { residency, groups, accounts, servers: [], looks, strays: [...seen.values()] };
}

/** When all is over. Rejects when a server cannot be looked at. */
export async function lastLook(
  { servers, nowMs }: Pick<Watch, 'servers' | 'nowMs'>,
  { nodes, accounts }: Pinned,
  seen: Residents,
): Promise<Residents> {
  const atMs = nowMs();
  const found = await Promise.all(
    nodes.map((node) => servers.use(node, (client) => straysOn(client, accounts))),
  );
  const last = nodes.flatMap((node, at) =>
    (found[at] ?? [])
      .filter((account) => !seen.strays.some((o) => o.node === node && o.account === account))
      .map((account) => ({ account, node, atMs })),
  );
  return { ...seen, servers: nodes, strays: [...seen.strays, ...last] };
}

const TABLES_SQL = `
  SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
  WHERE tablename = ANY ($1) AND schemaname NOT IN ('pg_catalog', 'information_schema')`;

async function straysOn(client: pg.Client, accounts: readonly string[]): Promise<string[]> {
  const regional = Object.entries(TABLES).filter(([, { kind }]) => kind === 'regional');
  const names = [...regional.map(([name]) => name), KEY_TABLE];
  const tables = await client.query<{ name: string }>(TABLES_SQL, [names]);
  if (tables.rows.length === 0) return [];
  const each = tables.rows.map(
    ({ name }) => `SELECT account_id FROM ${name} WHERE account_id = ANY ($1)`,
  );
  const { rows } = await client.query<{ account_id: string }>(each.join(' UNION '), [accounts]);
  return rows.map(({ account_id: account }) => account);
}
