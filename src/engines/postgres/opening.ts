/**
 * Opens a group for business: the engine's schema if it is new, replication slots, then the barrier.
 *
 * The barrier is one commit of the next epoch that waits for the quorum. Until it is through nobody is
 * let in, reads included: after a restart in place the leader shows its own log's tail, which no
 * standby may have; an answer built on that would be lost with this one disk. (Raft's no-op entry at
 * the start of a term has the same purpose.)
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import { waitUntil } from '../../kernel/clock.ts';
import { withAdmin } from './admin.ts';
import { beatOn } from './arbiter/beat.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';
import { publisherStatements, schemaStatements } from './schema.ts';
import { SCHEMA_VERSION, upgradesAfter } from './schema-upgrades.ts';
import { quorumCommit } from './quorum.ts';
import { writeAdmitted, writeHostAccess } from './server.ts';
import { ADMITTED_SETTING } from './settings.ts';
import { makeSlots } from './slots.ts';

const STREAMING_TIMEOUT_MS = 20_000;
const ADMIT_TIMEOUT_MS = 5_000;

/** Only its group's Leadership calls this: nobody else opens a leader. */
export async function openGroup(cluster: Cluster, name: string): Promise<void> {
  const group = cluster.group(name);
  const { process } = cluster.node(group.leader);
  /** Whoever asked goes on with its next life by itself. */
  const checkLives = (): void => {
    if (process?.exit === undefined && process === cluster.node(group.leader).process) return;
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${group.leader} ended while it was opened`);
  };
  await makeSlots(cluster, group);
  await withAdmin(cluster.admin(group.leader), async (client) => {
    const inDatabase = await ensureSchema(cluster, group, client);
    // The connection is to the process that was to be opened: an epoch of another life's would be raised beside
    // that life's own.
    checkLives();
    const epoch = await cluster.raiseEpoch(name, inDatabase);
    // The barrier.
    await quorumCommit(cluster, group, {
      client,
      text: 'UPDATE meridian.group_state SET epoch = $1',
      values: [epoch],
    });
    await firstLease(cluster, group, client);
    await admitApplication(cluster, group, client);
  });
  // The barrier may have been its last life's, and the present one makes its own.
  checkLives();
  group.open = true;
  cluster.services.onRoutes();
}

/** Two beats: the first tells the leader's clock, the second grants on it. */
async function firstLease(cluster: Cluster, group: ClusterGroup, client: pg.Client): Promise<void> {
  await client.query('SET synchronous_commit = local');
  await beatOn(cluster, group, client);
  await beatOn(cluster, group, client);
}

/** The epoch that the database knows; makes the schema, or brings it to this release's version. */
async function ensureSchema(
  cluster: Cluster,
  group: ClusterGroup,
  client: pg.Client,
): Promise<number> {
  const found = await client.query<{ state: string | null }>(
    `SELECT to_regclass('meridian.group_state')::text AS state`,
  );
  if (found.rows[0]?.state === null) await createSchema(cluster, group, client);
  const state = await client.query<{ epoch: string; schema_version: number }>(
    'SELECT epoch, schema_version FROM meridian.group_state',
  );
  const row = state.rows[0];
  if (row === undefined || row.schema_version > SCHEMA_VERSION) {
    throw new MeridianError(
      'ERR_DATA_VERSION',
      `the data of ${group.spec.name} has schema version ${String(row?.schema_version)}, this release writes ${String(SCHEMA_VERSION)}`,
    );
  }
  for (const upgrade of upgradesAfter(row.schema_version)) {
    await unconfirmed(client, async () => {
      await client.query(upgrade.statements);
      await client.query('UPDATE meridian.group_state SET schema_version = $1', [upgrade.version]);
    });
  }
  return Number(row.epoch);
}

async function createSchema(
  cluster: Cluster,
  group: ClusterGroup,
  client: pg.Client,
): Promise<void> {
  await unconfirmed(client, async () => {
    await client.query(schemaStatements(cluster.server.secrets));
    if (group.globals === 'publisher') await client.query(publisherStatements());
    await client.query(
      'INSERT INTO meridian.group_state (name, epoch, schema_version) VALUES ($1, 0, 1)',
      [group.spec.name],
    );
    await client.query('INSERT INTO meridian.heartbeat (at) VALUES (clock_timestamp())');
  });
}

/** One transaction. The standbys may not stream yet; the barrier that follows covers its commit. */
async function unconfirmed(client: pg.Client, run: () => Promise<void>): Promise<void> {
  await client.query('BEGIN; SET LOCAL synchronous_commit = local');
  await run();
  await client.query('COMMIT');
}

/**
 * A leader starts closed to the application's role (settings.ts): a client whose route is a life old
 * knows the epoch that the database still shows, and would be let in before the barrier.
 */
async function admitApplication(
  cluster: Cluster,
  group: ClusterGroup,
  client: pg.Client,
): Promise<void> {
  const { server } = cluster;
  const { epoch } = group;
  await writeHostAccess(server, group.leader, { application: true });
  await writeAdmitted(server, group.leader, epoch);
  await client.query('SELECT pg_reload_conf()');
  // The postmaster reads the settings, passes the reload on to its processes, reads who may connect, and
  // goes back to taking connections. So whoever connects once this session has read the setting is judged
  // by what was written before it; no connection has to be tried.
  await waitUntil(
    cluster.services.clock,
    { what: `${group.leader} to let clients in`, timeoutMs: ADMIT_TIMEOUT_MS, intervalMs: 2 },
    async () => {
      const { rows } = await client.query<{ epoch: string | null }>(
        `SELECT current_setting('${ADMITTED_SETTING}', true) AS epoch`,
      );
      return rows[0]?.epoch === String(epoch) ? true : undefined;
    },
  );
}

/**
 * All followers that run are connected; one that is down does not hold the group back. The group is open
 * before: a follower that is late holds back nobody's writes.
 */
export async function awaitStreaming(cluster: Cluster, name: string): Promise<void> {
  const group = cluster.group(name);
  const leader = cluster.node(group.leader).process;
  const followers = group.spec.nodes.filter((node) => node.name !== group.leader);
  await Promise.all(
    followers.map(async (node) => {
      try {
        await waitUntil(
          cluster.services.clock,
          {
            what: `${node.name} to stream`,
            timeoutMs: STREAMING_TIMEOUT_MS,
            intervalMs: 50,
          },
          () =>
            // With the leader gone there is nothing to stream from, and it must be brought back.
            leader?.exit !== undefined || !cluster.runs(node.name)
              ? true
              : streams(cluster, node.name),
        );
      } catch (error) {
        if (cluster.stopping) return;
        cluster.services.log.warn('a follower does not stream', { node: node.name, error });
      }
    }),
  );
}

async function streams(cluster: Cluster, node: string): Promise<true | undefined> {
  const result = await withAdmin(cluster.admin(node), (client) =>
    client.query(`SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'`),
  );
  return result.rows.length > 0 ? true : undefined;
}
