/**
 * The tenant fence: whatever an application's SQL gets wrong, it sees and changes rows of the account it
 * opened and no others. The same attempts run first with the fence off, where each of them leaks: so
 * what keeps them out afterwards is the fence, which was put around existing tables by a restart.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import pg from 'pg';
import { postgres } from '../../src/config/parts.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { applyFence } from '../../src/engines/postgres/fence.ts';
import { KEY_TABLE, KEY_TABLE_LOCALITY } from '../../src/engines/postgres/schema-idempotency.ts';
import { regional, global } from '../../src/topology/locality.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { ATTEMPTS, TENANT_SCHEMA, type Attempt } from '../support/tenants.ts';

const by = { by: 'account_id' };
const LEADER = 'us-east-1.a';
const ROWS = ['anna', 'bert', '1', '01'];

describe('the tenant fence', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let eu: TestClient;
  /** Superuser at the leader, of one life of the platform: past every fence. */
  let admin: pg.Client;

  const connect = async (): Promise<void> => {
    const limits = { connectionsPerNodeMax: 1 };
    us = await cluster.connect('us-east', { limits });
    eu = await cluster.connect('eu-west', { limits });
    admin = await cluster.superuserClient(LEADER);
  };

  before(async () => {
    cluster = await startTestPlatform({
      schema: TENANT_SCHEMA,
      changes: () => ({
        regions: { 'us-east': {}, 'eu-west': {} },
        gateway: { ports: { 'us-east': 0, 'eu-west': 0 } },
        latency: 'off',
        engine: postgres({ fsync: false }),
        rangesPerRegion: 2,
        tenantFence: false,
        tables: {
          colour: global(),
          ...{ purse: regional(by), note: regional(by), visit: regional(by), badge: regional(by) },
        },
      }),
    });
    const place = (id: string, range: string): string =>
      `INSERT INTO meridian.account VALUES ('${id}', '${range}');`;
    await connect();
    await admin.query(ROWS.map((id) => place(id, 'r0001')).join('') + place('dora', 'r0003'));
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    await admin.end();
  });

  /** Everybody's rows as they should be. */
  const plant = (): Promise<unknown> =>
    admin.query(
      ['r0001', 'r0003']
        .map((range) => {
          const ids = range === 'r0001' ? ['anna', 'bert'] : ['dora-like-bert'];
          const each = (row: (id: string) => string): string => ids.map(row).join(', ');
          return `SET search_path = ${range}; DELETE FROM purse; DELETE FROM note; DELETE FROM visit;
            INSERT INTO purse VALUES ${each((id) => `('${id}', 10)`)};
            INSERT INTO note VALUES ${each((id) => `('${id}', 1, 'of ${id}')`)};
            INSERT INTO visit VALUES ${each((id) => `('${id}', 1)`)};
            REFRESH MATERIALIZED VIEW census;`;
        })
        .join('\n'),
    );
  const rows = async (): Promise<{ readonly all: string; readonly others: string }> => {
    const { rows: found } = await admin.query<{ account_id: string }>(
      `SELECT account_id, 'coins' AS what, coins::text AS value FROM r0001.purse
       UNION ALL SELECT account_id, id::text, body FROM r0001.note
       UNION ALL SELECT account_id, 'visit', at::text FROM r0001.visit
       ORDER BY 1, 2, 3`,
    );
    const others = found.filter((row) => row.account_id !== 'anna');
    return { all: JSON.stringify(found), others: JSON.stringify(others) };
  };

  /** What leaked, or undefined. */
  const leakOf = async (attempt: Attempt): Promise<string | undefined> => {
    const before = await rows();
    const answer = await attempt.run({ us, eu }).then(
      (value) => JSON.stringify(value),
      (error: unknown) => {
        assert.ok(isMeridianError(error), String(error));
        assert.ok(
          ['ERR_ENGINE_PERMISSION', 'ERR_ENGINE_STATEMENT'].includes(error.code),
          `${attempt.name}: ${error.message}`,
        );
        return '';
      },
    );
    const later = await rows();
    if (later.all !== before.all) await plant();
    if (answer.includes('bert')) return answer;
    return later.others === before.others ? undefined : later.others;
  };

  test('off: every attempt leaks, so each of them can fail', async () => {
    await plant();
    const kept: string[] = [];
    for (const attempt of ATTEMPTS) {
      const leaked = await leakOf(attempt);
      if ((leaked === undefined) !== (attempt.neverAllowed === true)) kept.push(attempt.name);
    }
    assert.deepEqual(kept, []);
  });

  test('switched on by a restart, on existing tables: none does', async () => {
    // A table that the declaration does not know, as a hand or a forgotten declaration leaves one.
    await admin.query(
      `CREATE TABLE r0001.stray AS SELECT 'bert'::text AS account_id;
       GRANT SELECT ON r0001.stray TO meridian_app`,
    );
    await admin.end();
    await cluster.restart({ tenantFence: true });
    await connect();
    const leaks: string[] = [];
    for (const attempt of ATTEMPTS) {
      const leaked = await leakOf(attempt);
      if (leaked !== undefined) leaks.push(`${attempt.name}: ${leaked}`);
    }
    assert.deepEqual(leaks, []);
  });

  const asAnna = (text: string, values: readonly unknown[] = []): Promise<readonly object[]> =>
    us
      .account('anna')
      .transaction((tx) => tx.query(text, values))
      .then((done) => done.value.rows);

  test("an account's own rows are read and written as before", async () => {
    await plant();
    assert.equal((await asAnna('SELECT * FROM purse')).length, 1);
    await asAnna("INSERT INTO note VALUES ('anna', 2, 'mine')");
    await asAnna('UPDATE purse SET coins = coins + 1');
    await asAnna('INSERT INTO visit VALUES ($1, 2)', ['anna']);
    assert.deepEqual(await asAnna('SELECT coins FROM rich'), [{ coins: '11' }]);
    assert.equal((await asAnna('SELECT * FROM visit')).length, 2);
    await asAnna('DELETE FROM note');
    assert.equal((await asAnna('SELECT * FROM note')).length, 0);
  });

  test('a table that nobody declared is closed', async () => {
    assert.deepEqual(await asAnna('SELECT * FROM stray'), []);
  });

  test('two accounts whose names are one number are two accounts', async () => {
    await us
      .account('1')
      .transaction((tx) => tx.query("INSERT INTO badge VALUES (1, 'the account 1')"));
    const seen = await us.account('01').transaction((tx) => tx.query('SELECT * FROM badge'));
    assert.deepEqual(seen.value.rows, []);
    await assert.rejects(
      us.account('01').transaction((tx) => tx.query("INSERT INTO badge VALUES (1, 'forged')")),
      { code: 'ERR_ENGINE_PERMISSION' },
    );
  });

  test('an unset, empty or NULL account is nobody, on leaders and replicas', async () => {
    await plant();
    const { database } = us.control.hello;
    const nodes = us.control.view.groups['us-east-1']?.nodes ?? [];
    for (const node of nodes.filter(({ name }) => /\.(a|eu-west)$/.test(name))) {
      const client = new pg.Client({ ...node.address, ...database });
      await client.connect();
      const copied: Buffer[] = [];
      const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
      connection.on('copyData', (message: { chunk: Buffer }) => copied.push(message.chunk));
      try {
        const look = async (): Promise<unknown[]> =>
          (await client.query('SELECT * FROM r0001.purse')).rows as unknown[];
        assert.deepEqual(await look(), [], 'unset');
        for (const value of ["''", 'NULL', "' '", "'nobody'"]) {
          await client.query(`SELECT set_config('meridian.account', ${value}, false)`);
          assert.deepEqual(await look(), [], value);
        }
        await client.query(`SELECT set_config('meridian.account', 'anna', false)`);
        assert.equal((await look()).length, 1);
        await client.query('COPY r0001.purse TO STDOUT');
        assert.equal(Buffer.concat(copied).toString(), 'anna\t10\n');
        await client.query('RESET ALL');
        assert.deepEqual(await look(), [], 'RESET ALL');
        await assert.rejects(
          client.query('SET row_security = off; SELECT * FROM r0001.purse'),
          /row-level security/,
        );
      } finally {
        await client.end();
      }
    }
  });

  test('what a statement leaves on its connection meets no other transaction', async () => {
    const settled = async (): Promise<unknown> => {
      const [row] = await asAnna(
        `SELECT current_setting('work_mem') AS memory, current_user = session_user AS self,
           (SELECT count(*) FROM pg_cursors)::int + (SELECT count(*) FROM pg_listening_channels())::int
           + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')::int AS left`,
      );
      return row;
    };
    const before = await settled();
    const soiling = [
      'SET work_mem = 4321',
      "SELECT set_config('work_mem', '4321', false)",
      "DO $$ BEGIN EXECUTE 'SET ROLE meridian_global_writer'; END $$",
      'LISTEN news',
      'DECLARE held CURSOR WITH HOLD FOR SELECT 1',
      'SELECT pg_advisory_lock(7)',
      'PREPARE mine AS SELECT 1',
    ];
    for (const text of soiling) {
      await us.account('bert').transaction((tx) => tx.query(text));
      assert.deepEqual(await settled(), before, text);
      assert.deepEqual(await asAnna('SELECT 1 AS one WHERE $1', [true]), [{ one: 1 }], text);
    }
    // Undone with the transaction, or by it: the connection stays.
    const pid = await asAnna('SELECT pg_backend_pid()');
    await asAnna('SET LOCAL work_mem = 4321; SAVEPOINT s; ROLLBACK TO s');
    assert.deepEqual(await asAnna('SELECT pg_backend_pid()'), pid);
  });

  test("a transaction's own SQL cannot end it nor set whose rows it sees", async () => {
    await plant();
    const refused = [
      'COMMIT',
      'SELECT 1; ROLLBACK; SELECT * FROM purse',
      "SET LOCAL meridian.account = 'bert'",
      "SELECT set_config('meridian.account', 'bert', true)",
      "SELECT meridian.use_scope('r0001', 'bert')",
      'SET ROLE meridian_global_writer',
      'SET search_path = r0003',
    ];
    for (const text of refused) {
      await assert.rejects(asAnna(text), { code: 'ERR_STATEMENT_REFUSED' }, text);
    }
    const seen = await us.account('anna').transaction(async (tx) => {
      await tx.query('UPDATE purse SET coins = 77');
      // Refused before it is sent: the transaction goes on, and ends as its function says.
      await tx.query('ROLLBACK').catch(() => undefined);
      await tx.query('RESET ALL');
      return tx.query('SELECT * FROM purse');
    });
    assert.deepEqual(seen.value.rows, [{ account_id: 'anna', coins: '77' }]);
    const { all } = await rows();
    assert.match(all, /"anna","what":"coins","value":"77"/);
  });

  test('the database refuses another group, and a connection left with another role', async () => {
    const { database } = us.control.hello;
    const leader = us.control.view.groups['us-east-1'];
    const node = leader?.nodes.find(({ name }) => name === leader.leader);
    const client = new pg.Client({ ...node?.address, ...database });
    await client.connect();
    const enter = (group: string): Promise<unknown> =>
      client.query('SELECT meridian.enter($1, $2, $3, 1, $4)', [
        group,
        leader?.epoch,
        'r0001',
        'anna',
      ]);
    try {
      await enter('us-east-1');
      await assert.rejects(enter('eu-west-1'), { code: 'MR001' });
      await client.query('SET ROLE meridian_global_writer');
      await assert.rejects(enter('us-east-1'), { code: 'MR003' });
    } finally {
      await client.end();
    }
  });

  test('a start mends a fence that was altered, and leaves others alone', async () => {
    const policies = async (): Promise<{ name: string; oid: string }[]> => {
      const { rows: found } = await admin.query<{ name: string; oid: string }>(
        `SELECT polrelid::regclass::text AS name, oid::text FROM pg_policy
         WHERE polname = 'meridian_fence' ORDER BY 1`,
      );
      return found;
    };
    const before = await policies();
    await admin.query(
      `ALTER POLICY meridian_fence ON r0001.purse USING (true);
       ALTER TABLE r0001.note DISABLE ROW LEVEL SECURITY;
       CREATE POLICY mine ON r0001.visit USING (true)`,
    );
    // What each start does with each range, as the restart above has shown.
    await admin.query('BEGIN');
    const tables = { ...cluster.config.tables, [KEY_TABLE]: KEY_TABLE_LOCALITY };
    await applyFence(admin, 'r0001', { enabled: true, tables });
    await admin.query('COMMIT');
    await plant();
    const names = ['purse', 'note', 'visit'];
    for (const table of names) {
      assert.deepEqual(
        (await asAnna(`SELECT DISTINCT account_id FROM ${table}`)).map(
          (row): unknown => (row as { account_id: string }).account_id,
        ),
        ['anna'],
        table,
      );
    }
    const after = await policies();
    const made = after.filter(({ oid }) => !before.some((one) => one.oid === oid));
    assert.deepEqual(made.map((one) => one.name).sort(), ['r0001.note', 'r0001.purse']);
  });

  test('whatever copies tables bypasses the fence', async () => {
    const { rows: roles } = await admin.query<{ rolname: string; rolbypassrls: boolean }>(
      `SELECT rolname, rolbypassrls FROM pg_roles
       WHERE rolname IN ('meridian_app', 'meridian_replication', 'meridian_global_writer') ORDER BY 1`,
    );
    assert.deepEqual(
      roles.map((role) => role.rolbypassrls),
      [false, false, true],
    );
  });
});
