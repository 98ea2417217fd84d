/**
 * Copies of the global tables and of the directory in every group's database, by logical replication
 * from the primary's group, so that the application's joins work everywhere.
 *
 * The subscription is made once and pointed at the publisher's present address at each start. Apply
 * runs with synchronous_commit off: a copy that loses its tail in a crash asks for it again.
 */
import { waitUntil } from '../../kernel/clock.ts';
import type pg from 'pg';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import { subscriptionName } from './observe.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { DATABASE, GLOBAL_PUBLICATION, ROLE } from './roles.ts';
import { connectionInfo } from './settings.ts';
import { nodePaths } from './storage.ts';

/** Slot creation waits for running transactions of the publisher; a stuck one must not hold us. */
const CREATE_TIMEOUT_MS = 30_000;
const COPY_TIMEOUT_MS = 60_000;

export async function subscribeGlobals(
  cluster: Cluster,
  options: { readonly group: string; readonly primaryGroup: string },
): Promise<'done' | 'already-done'> {
  const group = cluster.group(options.group);
  if (group.globals === 'subscribed') return 'already-done';
  const publisher = cluster.group(options.primaryGroup);
  const address = await cluster.link(group.leader, publisher.leader);
  const { passfile } = nodePaths(cluster.server.storage, group.leader);
  const connection = connectionInfo(address, {
    user: ROLE.replication,
    passfile,
    dbname: DATABASE,
    application_name: subscriptionName(options.group),
  });
  const name = subscriptionName(options.group);
  await withAdmin(
    cluster.admin(group.leader),
    async (client) => {
      const made = await client.query('SELECT 1 FROM pg_subscription WHERE subname = $1', [name]);
      if (made.rows.length === 0) await dropLeftover(cluster, publisher.leader, name);
      await subscribe(client, name, connection);
    },
    { statementTimeoutMs: CREATE_TIMEOUT_MS },
  );
  await waitForCopies(cluster, group.leader);
  group.globals = 'subscribed';
  return 'done';
}

/** A start that died between the publisher's slot and the subscription leaves the slot behind. */
async function dropLeftover(cluster: Cluster, publisher: string, slot: string): Promise<void> {
  await withAdmin(cluster.admin(publisher), (client) =>
    client.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = $1 AND NOT active`,
      [slot],
    ),
  );
}

async function subscribe(client: pg.Client, name: string, connection: string): Promise<void> {
  const subscription = quoteIdentifier(name);
  const publication = quoteIdentifier(GLOBAL_PUBLICATION);
  const found = await client.query('SELECT 1 FROM pg_subscription WHERE subname = $1', [name]);
  if (found.rows.length === 0) {
    await client.query(
      `CREATE SUBSCRIPTION ${subscription} CONNECTION ${quoteLiteral(connection)}
       PUBLICATION ${publication}
       WITH (slot_name = ${quoteLiteral(name)}, binary = true, origin = none,
         synchronous_commit = 'off')`,
    );
    return;
  }
  await client.query(`ALTER SUBSCRIPTION ${subscription} CONNECTION ${quoteLiteral(connection)}`);
  await client.query(`ALTER SUBSCRIPTION ${subscription} ENABLE`);
  // Tables that a migration added since.
  await client.query(`ALTER SUBSCRIPTION ${subscription} REFRESH PUBLICATION`);
}

async function waitForCopies(cluster: Cluster, leader: string): Promise<void> {
  await waitUntil(
    cluster.services.clock,
    {
      what: `the global tables to be copied to ${leader}`,
      timeoutMs: COPY_TIMEOUT_MS,
      intervalMs: 100,
    },
    async () => {
      const result = await withAdmin(cluster.admin(leader), (client) =>
        client.query<{ waiting: string }>(
          `SELECT count(*) AS waiting FROM pg_subscription_rel WHERE srsubstate <> 'r'`,
        ),
      );
      return result.rows[0]?.waiting === '0' ? true : undefined;
    },
  );
}
