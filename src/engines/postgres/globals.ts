/**
 * Copies of the global tables and of the directory in every group's database, by logical replication
 * from the primary's group, so that the application's joins work everywhere.
 *
 * The subscription is made once and pointed at the publisher's present address at each start. Apply
 * runs with synchronous_commit off: a copy that loses its tail in a crash asks for it again. After a
 * failover of either side that is not enough (globals-era.ts): then the subscription is made anew, and
 * the copy is compared with the publisher.
 */
import type pg from 'pg';
import { waitUntil } from '../../kernel/clock.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';
import { eraOf, isWhole, slotOfEra } from './globals-era.ts';
import { makeWhole } from './globals-whole.ts';
import { subscriptionName } from './observe.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { DATABASE, GLOBAL_PUBLICATION, GLOBAL_SCHEMA, ROLE } from './roles.ts';
import { connectionInfo } from './settings.ts';
import { nodePaths } from './storage.ts';

/** Slot creation waits for running transactions of the publisher; a stuck one must not hold us. */
const CREATE_TIMEOUT_MS = 30_000;
const COPY_TIMEOUT_MS = 60_000;
const LOOK_TIMEOUT_MS = 5_000;

export interface SubscribeOptions {
  readonly group: string;
  readonly primaryGroup: string;
  readonly signal?: AbortSignal;
}

const underWay = new WeakMap<ClusterGroup, Promise<'done' | 'already-done'>>();

/** One at a time per group: who comes meanwhile gets the same answer. */
export function subscribeGlobals(
  cluster: Cluster,
  options: SubscribeOptions,
): Promise<'done' | 'already-done'> {
  const group = cluster.group(options.group);
  const begun = underWay.get(group);
  if (begun !== undefined) return begun;
  const running = subscribeOnce(cluster, options).finally(() => underWay.delete(group));
  underWay.set(group, running);
  return running;
}

async function subscribeOnce(
  cluster: Cluster,
  options: SubscribeOptions,
): Promise<'done' | 'already-done'> {
  const group = cluster.group(options.group);
  if (group.globals === 'subscribed') return 'already-done';
  const publisher = cluster.group(options.primaryGroup);
  const { leader } = group;
  const name = subscriptionName(options.group);
  const followed = await followedSlot(cluster, leader, name);
  if (
    followed !== undefined &&
    isWhole(publisher, group) &&
    !(await hasSlot(cluster, publisher.leader, followed))
  ) {
    await cluster.raiseGlobalsEra(options.group);
  }
  const era = eraOf(publisher, group);
  const check = unchanged(publisher, group, options.signal);
  const { passfile } = nodePaths(cluster.server.storage, leader);
  const connection = connectionInfo(await cluster.link(leader, publisher.leader), {
    ...{ user: ROLE.replication, passfile, dbname: DATABASE, application_name: name },
  });
  const whole = isWhole(publisher, group);
  if (!whole) {
    const slot = slotOfEra(options.group, era);
    const sides = { publisher: publisher.leader, subscriber: leader };
    await makeWhole(cluster, { name, connection, slot, ...sides, check });
  }
  await withAdmin(
    cluster.admin(leader),
    (client) =>
      whole && followed === undefined
        ? create(cluster, { client, publisher: publisher.leader, name, connection })
        : refresh(client, name, connection),
    { statementTimeoutMs: CREATE_TIMEOUT_MS },
  );
  await waitForCopies(cluster, { leader, name }, check);
  check();
  if (!whole) await cluster.keepGlobals(options.group, era);
  check();
  group.globals = 'subscribed';
  group.globalsFollowed = true;
  return 'done';
}

/** A change on either side makes what was begun worthless: it is begun again. */
function unchanged(
  publisher: ClusterGroup,
  group: ClusterGroup,
  signal: AbortSignal | undefined,
): () => void {
  const state = (): string =>
    [publisher, group]
      .map((one) => [one.leader, one.epoch, one.open, one.globalsEra].join(' '))
      .join(', ');
  const before = state();
  return () => {
    if (signal?.aborted === true) {
      throw new MeridianError('ERR_ABORTED', 'the refresh of the global tables was given up');
    }
    if (state() === before) return;
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `a leader changed while the global tables of ${group.spec.name} were refreshed`,
    );
  };
}

/** Of the subscription as it is: null when it has none, undefined when there is no subscription. */
async function followedSlot(
  cluster: Cluster,
  leader: string,
  name: string,
): Promise<string | null | undefined> {
  const { rows } = await withAdmin(
    cluster.admin(leader),
    (client) =>
      client.query<{ slot: string | null }>(
        'SELECT subslotname AS slot FROM pg_subscription WHERE subname = $1',
        [name],
      ),
    { statementTimeoutMs: LOOK_TIMEOUT_MS },
  );
  return rows[0]?.slot;
}

/** One whose log was removed from under it is as good as none. */
async function hasSlot(cluster: Cluster, publisher: string, slot: string | null): Promise<boolean> {
  if (slot === null) return false;
  const { rowCount } = await withAdmin(
    cluster.admin(publisher),
    (client) =>
      client.query(
        `SELECT FROM pg_replication_slots WHERE slot_name = $1 AND invalidation_reason IS NULL`,
        [slot],
      ),
    { statementTimeoutMs: LOOK_TIMEOUT_MS },
  );
  return rowCount === 1;
}

/**
 * Copying existing rows takes tens of round trips per table. Of a new cluster there are none to copy:
 * the publisher's tables are locked against writes and looked at while the slot is made, so that no row
 * can slip in between the look and the slot.
 */
async function create(
  cluster: Cluster,
  subscription: {
    readonly client: pg.Client;
    readonly publisher: string;
    readonly name: string;
    readonly connection: string;
  },
): Promise<void> {
  const { client, name, connection } = subscription;
  await withAdmin(cluster.admin(subscription.publisher), async (publisher) => {
    // A start that died between the slot and the subscription leaves the slot behind.
    await publisher.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = $1 AND NOT active`,
      [name],
    );
    await publisher.query('BEGIN');
    try {
      const rows = await lockAndLook(publisher);
      await client.query(
        `CREATE SUBSCRIPTION ${quoteIdentifier(name)} CONNECTION ${quoteLiteral(connection)}
         PUBLICATION ${quoteIdentifier(GLOBAL_PUBLICATION)}
         WITH (slot_name = ${quoteLiteral(name)}, copy_data = ${String(rows)}, binary = true,
           origin = none, synchronous_commit = 'off')`,
      );
    } finally {
      await publisher.query('ROLLBACK');
    }
  });
}

/** SHARE mode lets readers go on and takes no transaction id, for which the slot would wait. */
async function lockAndLook(publisher: pg.Client): Promise<boolean> {
  const tables = await publisher.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_publication_tables
     WHERE pubname = $1 ORDER BY 1`,
    [GLOBAL_PUBLICATION],
  );
  const names = tables.rows.map((row) => row.name);
  if (names.length === 0) return false;
  await publisher.query(`LOCK TABLE ${names.join(', ')} IN SHARE MODE`);
  const looks = names.map((table) => `EXISTS (SELECT FROM ${table})`).join(' OR ');
  const found = await publisher.query<{ rows: boolean }>(`SELECT ${looks} AS rows`);
  return found.rows[0]?.rows === true;
}

async function refresh(client: pg.Client, name: string, connection: string): Promise<void> {
  const subscription = quoteIdentifier(name);
  await client.query(`ALTER SUBSCRIPTION ${subscription} CONNECTION ${quoteLiteral(connection)}`);
  await client.query(`ALTER SUBSCRIPTION ${subscription} ENABLE`);
  // Tables that a migration added since. Asked of our own catalog first: the publisher is round trips away.
  const added = await client.query(
    `SELECT FROM pg_class c
     WHERE (c.relnamespace = $1::regnamespace OR c.oid = 'meridian.account'::regclass)
       AND c.relkind = 'r'
       AND NOT EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = c.oid) LIMIT 1`,
    [quoteIdentifier(GLOBAL_SCHEMA)],
  );
  if (added.rowCount === 0) return;
  await client.query(`ALTER SUBSCRIPTION ${subscription} REFRESH PUBLICATION`);
}

async function waitForCopies(
  cluster: Cluster,
  { leader, name }: { readonly leader: string; readonly name: string },
  check: () => void,
): Promise<void> {
  await waitUntil(
    cluster.services.clock,
    {
      what: `the global tables to be copied to ${leader}`,
      timeoutMs: COPY_TIMEOUT_MS,
      intervalMs: 100,
    },
    async () => {
      check();
      const result = await withAdmin(cluster.admin(leader), (client) =>
        client.query<{ waiting: string }>(
          `SELECT count(*) AS waiting FROM pg_subscription_rel r
           JOIN pg_subscription s ON s.oid = r.srsubid
           WHERE s.subname = $1 AND r.srsubstate <> 'r'`,
          [name],
        ),
      );
      return result.rows[0]?.waiting === '0' ? true : undefined;
    },
  );
}
