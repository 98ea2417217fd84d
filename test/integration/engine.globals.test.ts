/** Copies of the global tables that are not what they seem, made whole before readers' eyes. */
import { after, before, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectAdmin } from '../../src/engines/postgres/admin.ts';
import { Cluster } from '../../src/engines/postgres/cluster.ts';
import type { ClusterGroup } from '../../src/engines/postgres/cluster-state.ts';
import { subscribeGlobals } from '../../src/engines/postgres/globals.ts';
import { isWhole, repointGlobals } from '../../src/engines/postgres/globals-era.ts';
import {
  startGlobalsKeeper,
  type GlobalsKeeper,
} from '../../src/engines/postgres/globals-keeper.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { createLog } from '../../src/kernel/log.ts';
import { DESIRED } from '../unit/engine.fixtures.ts';
import { startEngineGroups, type EngineGroups } from '../support/engine-groups.ts';

const PRIMARY = 'us-east-1';
const OTHER = 'eu-west-1';
const PUBLISHER = 'us-east-1.a';
const SUBSCRIBER = 'eu-west-1.a';
const TWO_GROUPS = {
  ...DESIRED,
  groups: DESIRED.groups
    .filter((group) => [PRIMARY, OTHER].includes(group.name))
    .map((group) => ({ ...group, nodes: group.nodes.filter((node) => node.kind === 'voter') })),
  ranges: [],
};
const TABLES = ['global.currency', 'global.price', 'global.seat', 'meridian.account'];
const SCHEMA = `
SET ROLE meridian_owner;
CREATE TABLE global.currency (code text PRIMARY KEY, name text NOT NULL, "Rate %" numeric, raw bytea);
CREATE TABLE global.price (
  sku bigint GENERATED ALWAYS AS IDENTITY, valid date, cents int, note text[], twice int GENERATED ALWAYS AS (cents * 2) STORED,
  PRIMARY KEY (valid, sku));
CREATE TABLE global.seat (row_no int, seat text, holder int NOT NULL UNIQUE, PRIMARY KEY (row_no, seat))`;
const ROWS = `
INSERT INTO global.currency SELECT 'c' || i, 'Name, "quoted" \\ ' || i, i / 7.0, decode(md5(i::text), 'hex')
  FROM generate_series(1, 2500) i;
INSERT INTO global.price (valid, cents, note) SELECT date '2020-01-01' + i % 10, i,
  CASE WHEN i % 3 = 0 THEN NULL ELSE ARRAY['a,b', NULL, '{}'] END FROM generate_series(1, 1500) i;
INSERT INTO global.seat SELECT i / 10, chr(65 + i % 10), i FROM generate_series(1, 50) i;
INSERT INTO meridian.account (id, range) SELECT 'account-' || i, 'r0001' FROM generate_series(1, 3000) i`;
/** Of the subscriber, behind the replication's back: too few, too many, different, swapped. */
const SPOIL = `
SET session_replication_role = replica;
DELETE FROM global.currency WHERE code LIKE 'c1%';
INSERT INTO global.currency SELECT 'x' || i, 'never published' FROM generate_series(1, 40) i;
UPDATE global.currency SET "Rate %" = NULL, raw = '' WHERE code LIKE 'c2%';
UPDATE global.price SET cents = cents + 1, note = NULL WHERE cents % 5 = 0;
DELETE FROM global.price WHERE cents % 7 = 0;
UPDATE global.seat SET holder = holder + 1000;
UPDATE global.seat SET holder = 1051 - holder;
DELETE FROM meridian.account WHERE id LIKE '%7';
INSERT INTO meridian.account (id, range) VALUES ('ghost', 'r0009')`;

describe('copies of the global tables after a change of leader', () => {
  let groups: EngineGroups;
  let keeper: GlobalsKeeper | undefined;
  let other: ClusterGroup;
  const told: string[] = [];

  before(async () => {
    const log = createLog({
      clock: systemClock,
      level: 'debug',
      write: (line) => told.push(line),
    });
    groups = await startEngineGroups(TWO_GROUPS, { log });
    other = groups.cluster.group(OTHER);
    for (const node of [PUBLISHER, SUBSCRIBER]) await groups.sql(node, SCHEMA);
    await groups.sql(PUBLISHER, ROWS);
    await subscribeGlobals(groups.cluster, { group: OTHER, primaryGroup: PRIMARY });
    await assertEqual();
    keeper = startGlobalsKeeper(groups.cluster, PRIMARY);
  });
  after(async () => {
    await keeper?.stop();
    await groups[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    told.length = 0;
  });

  /** As a failover of the group does, and any change of the publisher's leader. */
  const beginEra = async (name: string): Promise<void> => {
    await groups.cluster.raiseGlobalsEra(name);
    repointGlobals(groups.cluster, name);
  };
  const sums = async (node: string): Promise<unknown[]> =>
    groups.sql(
      node,
      TABLES.map(
        (table) =>
          `SELECT '${table}' AS name, count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM ${table} t`,
      ).join(' UNION ALL '),
    );
  const assertEqual = async (): Promise<void> => {
    assert.deepEqual(await sums(SUBSCRIBER), await sums(PUBLISHER));
  };
  const followed = (): Promise<true> =>
    waitUntil(
      systemClock,
      { what: 'the copy to be followed again', timeoutMs: 30_000, intervalMs: 20 },
      () => (other.globals === 'subscribed' ? true : undefined),
    );
  const slots = async (): Promise<string[]> => {
    const rows = await groups.sql<{ slot: string }>(
      PUBLISHER,
      `SELECT slot_name AS slot FROM pg_replication_slots WHERE slot_type = 'logical' ORDER BY 1`,
    );
    return rows.map(({ slot }) => slot);
  };
  /** Its follower is told to let go first: it would come back at once. */
  const dropSlot = async (): Promise<void> => {
    await groups.sql(SUBSCRIBER, 'ALTER SUBSCRIPTION meridian_global_eu_west_1 DISABLE');
    await waitUntil(systemClock, { what: 'the slot to go', timeoutMs: 10_000 }, async () => {
      await groups.sql(
        PUBLISHER,
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
         WHERE slot_type = 'logical' AND NOT active`,
      );
      return (await slots()).length === 0 ? true : undefined;
    });
  };
  /** Rows written at the publisher arrive: the subscription is alive, and begins where it should. */
  const assertFlows = async (code: string): Promise<void> => {
    await groups.sql(PUBLISHER, `INSERT INTO global.currency VALUES ($1, 'later')`, [code]);
    await waitUntil(systemClock, { what: `${code} to arrive`, timeoutMs: 20_000 }, async () => {
      const rows = await groups.sql(SUBSCRIBER, 'SELECT FROM global.currency WHERE code = $1', [
        code,
      ]);
      return rows.length === 1 ? true : undefined;
    });
    await assertEqual();
  };
  /** Reads the copy again and again until told to stop; the fewest rows that it ever saw of each table. */
  const watchFewest = (stop: AbortSignal): Promise<Record<string, number>> =>
    (async () => {
      const client = await connectAdmin(groups.cluster.admin(SUBSCRIBER));
      const fewest: Record<string, number> = {};
      let looks = 0;
      while (!stop.aborted) {
        for (const table of TABLES) {
          const { rows } = await client.query<{ n: number }>(
            `SELECT count(*)::int AS n FROM ${table}`,
          );
          fewest[table] = Math.min(fewest[table] ?? Infinity, rows[0]?.n ?? 0);
        }
        looks += 1;
      }
      await client.end();
      assert.ok(looks > 5, 'it looked while the copy was made whole');
      return fewest;
    })();

  test('a spoilt copy and a lost slot: equal again, and never empty meanwhile', async () => {
    await dropSlot();
    await groups.sql(SUBSCRIBER, SPOIL);
    const [few] = await groups.sql<Record<string, number>>(
      SUBSCRIBER,
      `SELECT ${TABLES.map((table) => `(SELECT count(*)::int FROM ${table}) AS "${table}"`).join(', ')}`,
    );
    const stop = new AbortController();
    const watching = watchFewest(stop.signal);
    // While the copy is compared, rows come and go at the publisher: they belong to the slot.
    const writer = await connectAdmin(groups.cluster.admin(PUBLISHER));
    let writes = 0;
    const writing = (async () => {
      for (; !stop.signal.aborted; writes += 1) {
        await writer.query(`INSERT INTO global.currency VALUES ($1, 'meanwhile')`, [
          `w${String(writes)}`,
        ]);
        await writer.query('UPDATE global.price SET cents = cents + 1 WHERE sku = $1', [
          1 + (writes % 900),
        ]);
      }
      await writer.end();
    })();
    await beginEra(OTHER);
    await followed();
    stop.abort();
    await writing;
    assert.ok(writes > 5);
    for (const [table, fewest] of Object.entries(await watching)) {
      assert.ok(fewest >= (few?.[table] ?? 1), `${table} was once at ${String(fewest)} rows`);
      assert.ok(fewest > 0);
    }
    await assertFlows('after-1');
    assert.deepEqual(await slots(), ['meridian_global_eu_west_1__e0_1']);
    assert.ok(isWhole(groups.cluster.group(PRIMARY), other));
  });

  test("a new era of the publisher: what followed its last one's slot is sent away", async () => {
    await groups.sql(SUBSCRIBER, `SET session_replication_role = replica; DELETE FROM global.seat`);
    await beginEra(PRIMARY);
    assert.equal(other.globals, 'none');
    await followed();
    await assertFlows('after-2');
    assert.deepEqual(await slots(), ['meridian_global_eu_west_1__e1_1']);
  });

  test('only pointed at again, nothing is compared; a slot that is gone is noticed', async () => {
    repointGlobals(groups.cluster, OTHER);
    await followed();
    assert.deepEqual(await slots(), ['meridian_global_eu_west_1__e1_1']);
    assert.ok(!told.some((line) => line.includes('was compared')));
    await dropSlot();
    await groups.sql(SUBSCRIBER, `SET session_replication_role = replica; DELETE FROM global.seat`);
    repointGlobals(groups.cluster, OTHER);
    await followed();
    await assertFlows('after-3');
    assert.deepEqual(await slots(), ['meridian_global_eu_west_1__e1_2']);
  });

  test('a prepared transaction holds it up; an epoch that rises meanwhile begins it again', async () => {
    await groups.sql(
      PUBLISHER,
      `BEGIN; INSERT INTO global.currency VALUES ('prepared', 'it'); PREPARE TRANSACTION 'held'`,
    );
    await beginEra(OTHER);
    await waitUntil(systemClock, { what: 'a slot half made', timeoutMs: 10_000 }, async () =>
      (await slots()).includes('meridian_global_eu_west_1__e1_3') ? true : undefined,
    );
    assert.equal(other.globals, 'none');
    other.epoch += 1;
    await groups.sql(PUBLISHER, `COMMIT PREPARED 'held'`);
    await followed();
    assert.ok(told.some((line) => /a leader changed while/.test(line)));
    await assertFlows('after-4');
  });

  test('a supervisor that died before the copy was whole knows it at its next start', async () => {
    await keeper?.stop();
    await beginEra(PRIMARY);
    await groups.sql(SUBSCRIBER, SPOIL);
    const next = new Cluster(groups.server, groups.cluster.services);
    next.adopt(TWO_GROUPS);
    assert.equal(isWhole(next.group(PRIMARY), next.group(OTHER)), false);
    for (const name of [PUBLISHER, SUBSCRIBER])
      next.node(name).port = groups.cluster.node(name).port;
    await subscribeGlobals(next, { group: OTHER, primaryGroup: PRIMARY });
    await assertFlows('after-5');
    const after = new Cluster(groups.server, groups.cluster.services);
    after.adopt(TWO_GROUPS);
    assert.ok(isWhole(after.group(PRIMARY), after.group(OTHER)));
  });
});
