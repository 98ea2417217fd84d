/**
 * SQL tools on the library's pools, unchanged: Kysely, Drizzle and programs written for `pg`, on real
 * servers, with the migrations that the tools themselves generate.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { and, desc, eq, sql as drizzleSql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { sql } from 'kysely';
import pg from 'pg';
import type { SqlPool } from '../../src/index.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { refusalIn, refusalOf } from '../support/refusals.ts';
import { country, customer, EVERY_TYPE, order, SHOP_SCHEMA, SHOP_TABLES } from '../support/shop.ts';
import { kyselyOn, visitByDrizzle, visitByKysely } from '../support/shop-visits.ts';

describe('SQL tools', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let eu: TestClient;
  let narrow: TestClient;

  before(async () => {
    cluster = await startTestPlatform({
      schema: SHOP_SCHEMA,
      changes: () => ({ tables: SHOP_TABLES, rangesPerRegion: 2 }),
    });
    [us, eu, narrow] = await Promise.all([
      cluster.connect('us-east'),
      cluster.connect('eu-west'),
      cluster.connect('us-east', { limits: { connectionsPerNodeMax: 1 } }),
    ]);
    await drizzle(us.global.pool()).insert(country).values({ code: 'IE', name: 'Ireland' });
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const open = async (id: string, region = 'us-east'): Promise<string> => {
    await us.createAccount({ region, id });
    await us
      .account(id)
      .pool()
      .query('INSERT INTO customer (account_id, email) VALUES ($1, $2)', [id, `${id}@example.org`]);
    return id;
  };
  const visitsOf = async (id: string): Promise<unknown> =>
    (await us.account(id).pool().query('SELECT visits FROM customer WHERE account_id = $1', [id]))
      .rows[0]?.visits;

  test('Kysely: joins, RETURNING, upserts and raw SQL', async () => {
    const id = await open('kate');
    const db = kyselyOn(us.account(id).pool());
    const placed = await db
      .insertInto('order')
      .values({ account_id: id, total: '12.50' })
      .returning(['id', 'status', 'total'])
      .executeTakeFirstOrThrow();
    assert.deepEqual([placed.status, placed.total], ['open', '12.50']);
    const add = (quantity: number) =>
      db
        .insertInto('item')
        .values({ account_id: id, sku: 'tea', quantity })
        .onConflict((conflict) =>
          conflict
            .columns(['account_id', 'sku'])
            .doUpdateSet({ quantity: sql<number>`item.quantity + excluded.quantity` }),
        )
        .executeTakeFirst();
    assert.equal((await add(2)).numInsertedOrUpdatedRows, 1n);
    await add(3);
    const joined = await db
      .selectFrom('customer')
      .where('customer.account_id', '=', id)
      .innerJoin('order', 'order.account_id', 'customer.account_id')
      .innerJoin('item', 'item.account_id', 'customer.account_id')
      .select(['customer.email', 'order.total', 'item.quantity'])
      .execute();
    assert.deepEqual(joined, [{ email: 'kate@example.org', total: '12.50', quantity: 5 }]);
    const raw = await sql<{
      n: string;
    }>`SELECT count(*) AS n FROM item WHERE sku = ${'tea'}`.execute(db);
    assert.deepEqual(raw.rows, [{ n: '1' }]);
    const deleted = await db.deleteFrom('item').where('account_id', '=', id).executeTakeFirst();
    assert.equal(deleted.numDeletedRows, 1n);
    await db.destroy();
    await assert.rejects(db.selectFrom('item').selectAll().execute());
  });

  test('Kysely: a transaction that throws leaves nothing, and a savepoint forgives', async () => {
    const id = await open('karl');
    const db = kyselyOn(us.account(id).pool());
    const boom = new Error('changed my mind');
    const undone = db.transaction().execute(async (trx) => {
      await trx.updateTable('customer').where('account_id', '=', id).set({ visits: 7 }).execute();
      throw boom;
    });
    await assert.rejects(undone, boom);
    assert.equal(await visitsOf(id), 0);

    const trx = await db.startTransaction().setIsolationLevel('read committed').execute();
    await trx.updateTable('customer').where('account_id', '=', id).set({ visits: 1 }).execute();
    const marked = await trx.savepoint('try').execute();
    const twice = { account_id: id, email: 'second@example.org' };
    const refused = await refusalOf(marked.insertInto('customer').values(twice).execute());
    assert.equal(refused.code, '23505');
    assert.equal(refused.constraint, 'customer_pkey');
    assert.equal(refused.detail, undefined, 'it holds values of rows');
    assert.ok(isMeridianError((refused as Error).cause, 'ERR_ENGINE_STATEMENT'));
    // Refused until the savepoint, as PostgreSQL does.
    assert.equal(
      (await refusalOf(marked.selectFrom('customer').selectAll().execute())).code,
      '25P02',
    );
    const back = await marked.rollbackToSavepoint('try').execute();
    // The names of the range are found again: the setting was undone with the rest.
    await back
      .updateTable('customer')
      .where('account_id', '=', id)
      .set({ visits: sql`visits + 1` })
      .execute();
    await back.releaseSavepoint('try').execute();
    await trx.commit().execute();
    assert.equal(await visitsOf(id), 2);
  });

  test('Drizzle: inserts, upserts, joins, and transactions within transactions', async () => {
    const id = await open('dora');
    const db = drizzle(us.account(id).pool(), { schema: { customer, order } });
    const seal = Buffer.from([0, 255, 7]);
    const [placed] = await db
      .insert(order)
      .values({ accountId: id, total: '9.99', tags: ['a', 'b c'], note: { gift: true }, seal })
      .returning();
    assert.ok(placed?.placedAt instanceof Date);
    assert.deepEqual(
      [placed.tags, placed.note, placed.seal, placed.status],
      [['a', 'b c'], { gift: true }, seal, 'open'],
    );
    await db
      .insert(customer)
      .values({ accountId: id, email: 'x', country: 'IE' })
      .onConflictDoUpdate({ target: customer.accountId, set: { country: 'IE' } });
    const joined = await db
      .select({ country: country.name, total: order.total })
      .from(order)
      .innerJoin(customer, eq(order.accountId, customer.accountId))
      .innerJoin(country, eq(customer.country, country.code))
      .where(and(eq(order.accountId, id)))
      .orderBy(desc(order.placedAt));
    assert.deepEqual(joined, [{ country: 'Ireland', total: '9.99' }]);
    const mine = await db.query.order.findMany({ where: eq(order.accountId, id) });
    assert.equal(mine.length, 1);

    await db.transaction(
      async (tx) => {
        await tx.update(customer).set({ visits: 3 }).where(eq(customer.accountId, id));
        await assert.rejects(
          tx.transaction(async (inner) => {
            await inner.update(customer).set({ visits: 99 }).where(eq(customer.accountId, id));
            inner.rollback();
          }),
        );
        await tx.execute(
          drizzleSql`UPDATE customer SET visits = visits + ${1} WHERE account_id = ${id}`,
        );
      },
      { isolationLevel: 'repeatable read', accessMode: 'read write' },
    );
    assert.equal(await visitsOf(id), 4);
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.update(customer).set({ visits: 50 }).where(eq(customer.accountId, id));
        tx.rollback();
      }),
    );
    assert.equal(await visitsOf(id), 4);
    const refused = await refusalOf(
      db.insert(customer).values({ accountId: id, email: 'dora@example.org' }),
    );
    assert.equal(refused.code, '23505');
  });

  test('a tool inside the library’s transaction is run again with it until all are in', async () => {
    const id = await open('rita');
    const add = async (use: (pool: SqlPool, id: string) => Promise<unknown>): Promise<number> => {
      const done = await us.account(id).transaction((tx) => use(tx.pool(), id));
      return done.attempts;
    };
    const attempts = await Promise.all(
      Array.from({ length: 12 }, (_, turn) => add(turn % 2 === 0 ? visitByKysely : visitByDrizzle)),
    );
    assert.equal(await visitsOf(id), 12);
    assert.ok(Math.max(...attempts) > 1, 'some of them had conflicts');
  });

  test('conflicts of a tool’s own transactions are 40001, and single statements are run again', async () => {
    const id = await open('sven');
    const pool = us.account(id).pool();
    let conflicts = 0;
    const untilDone = async (): Promise<void> => {
      for (let tries = 0; tries < 100; tries += 1) {
        try {
          await visitByDrizzle(pool, id);
          return;
        } catch (error) {
          assert.equal(refusalIn(error).code, '40001');
          conflicts += 1;
        }
      }
      assert.fail('never got through');
    };
    await Promise.all(Array.from({ length: 6 }, untilDone));
    assert.ok(conflicts > 0, 'they did conflict');
    await Promise.all(
      Array.from({ length: 10 }, () =>
        pool.query('UPDATE customer SET visits = visits + 1 WHERE account_id = $1', [id]),
      ),
    );
    assert.equal(await visitsOf(id), 16);
  });

  test('values arrive as they do through pg, by name, as arrays and with parsers of one’s own', async () => {
    const id = await open('tess');
    const [node] = await cluster.platform
      .status()
      .then(({ groups }) => groups.map((g) => g.leader));
    const [expected] = await cluster.sql<Record<string, unknown>>(node ?? '', EVERY_TYPE);
    const pool = us.account(id).pool();
    const named = await pool.query(EVERY_TYPE);
    assert.deepEqual(named.rows, [expected]);
    assert.deepEqual([named.command, named.rowCount], ['SELECT', 1]);
    assert.deepEqual(named.fields[0]?.dataTypeID, pg.types.builtins.INT8);
    const arrays = await pool.query({ text: EVERY_TYPE, rowMode: 'array' });
    assert.equal(arrays.rows[0]?.length, 16);
    const types = { getTypeParser: () => (value: string) => `<${value}>` } as never;
    const own = await pool.query({ text: 'SELECT $1::int AS n', values: [5], types });
    assert.deepEqual(own.rows, [{ n: '<5>' }]);
    const several = (await pool.query('SELECT 1 AS a; SELECT 2 AS b')) as unknown;
    assert.deepEqual(
      (several as readonly { readonly rows: unknown }[]).map(({ rows }) => rows),
      [[{ a: 1 }], [{ b: 2 }]],
    );
    const called = await new Promise((resolve) => {
      pool.query('SELECT $1::text AS t', ['x'], (_: Error | null, result) => {
        resolve(result.rows as unknown);
      });
    });
    assert.deepEqual(called, [{ t: 'x' }]);
  });

  test('a statement’s name means another one in each range, on one connection', async () => {
    const ids: string[] = [];
    const ranges = new Set<string>();
    for (let n = 0; ranges.size < 2 && n < 40; n += 1) {
      const id = await open(`named-${String(n)}`);
      const { range } = await narrow.locate(id);
      if (!ranges.has(range)) ids.push(id);
      ranges.add(range);
    }
    const [one = '', two = ''] = ids;
    assert.equal(ranges.size, 2);
    const named = { name: 'mine', text: 'SELECT account_id FROM customer WHERE account_id = $1' };
    for (const id of [one, two, one, two]) {
      const found = await narrow
        .account(id)
        .pool()
        .query({ ...named, values: [id] });
      assert.deepEqual(found.rows, [{ account_id: id }], 'its own range’s row');
    }
    // The same, prepared by Drizzle, and both ranges in one transaction.
    await narrow.transaction([one, two], async (handles) => {
      for (const id of [one, two, one]) {
        const prepared = drizzle(handles[id]?.pool() as SqlPool)
          .select({ id: customer.accountId })
          .from(customer)
          .where(eq(customer.accountId, drizzleSql.placeholder('id')))
          .prepare('mine');
        assert.deepEqual(await prepared.execute({ id }), [{ id }]);
      }
    });
  });

  test('reads through a pool are as fresh as asked, on replicas, and cannot write', async () => {
    const id = await open('fred');
    const pool = us.account(id).pool();
    await kyselyOn(pool)
      .updateTable('customer')
      .where('account_id', '=', id)
      .set({ visits: 5 })
      .execute();
    assert.notEqual(pool.token(), '');
    const before = eu.counters().readsOnReplica;
    const near = eu.account(id).readPool({ token: pool.token() });
    const seen = await kyselyOn(near)
      .selectFrom('customer')
      .where('account_id', '=', id)
      .select('visits')
      .execute();
    assert.deepEqual(seen, [{ visits: 5 }]);
    const inOne = await drizzle(near).transaction((tx) =>
      tx.select().from(customer).where(eq(customer.accountId, id)),
    );
    assert.equal(inOne[0]?.visits, 5);
    assert.ok(eu.counters().readsOnReplica > before);
    const strong = us.account(id).readPool();
    for (const refusing of [near, strong]) {
      const refused = await refusalOf(refusing.query('UPDATE customer SET visits = 0'));
      assert.equal(refused.code, '25006');
    }
    const writing = kyselyOn(near).transaction().setAccessMode('read write');
    assert.equal((await refusalOf(writing.execute(async () => {}))).code, '25006');
    const readOnly = drizzle(pool).transaction(
      async (tx) => tx.update(customer).set({ visits: 0 }).where(eq(customer.accountId, id)),
      {
        accessMode: 'read only',
      },
    );
    assert.equal((await refusalOf(readOnly)).code, '25006');
    assert.equal(await visitsOf(id), 5);
  });

  test('what cannot be done is refused, and nothing is acknowledged that was not committed', async () => {
    const id = await open('gwen');
    const pool = us.account(id).pool();
    const unsupported = { code: 'ERR_ENGINE_UNSUPPORTED' };
    const client = await pool.connect();
    assert.throws(() => client.query({ submit: () => {} } as never), unsupported);
    assert.throws(() => client.copyFrom('COPY customer FROM STDIN'), unsupported);
    for (const text of ['BEGIN', '/* a tool */ savepoint x']) {
      assert.equal((await refusalOf(pool.query(text))).code, '0A000', text);
    }
    for (const text of ['BEGIN; SELECT 1; COMMIT', "PREPARE TRANSACTION 'x'", 'COMMIT AND CHAIN']) {
      assert.equal((await refusalOf(client.query(text))).code, '0A000', text);
    }
    assert.equal((await refusalOf(client.query('SAVEPOINT x'))).code, '25P01');

    await client.query('BEGIN');
    await client.query('UPDATE customer SET visits = 1 WHERE account_id = $1', [id]);
    assert.equal((await refusalOf(client.query('SELECT nonsense'))).code, '42703');
    assert.equal(client.getTransactionStatus(), 'E');
    assert.equal((await refusalOf(client.query('SELECT 1'))).code, '25P02');
    assert.equal((await refusalOf(client.query('COMMIT'))).code, '25P02');
    assert.equal(client.getTransactionStatus(), 'I');

    await client.query('BEGIN');
    await client.query('UPDATE customer SET visits = 1 WHERE account_id = $1', [id]);
    client.release();
    assert.throws(() => {
      client.release();
    }, /already been released/);
    await assert.rejects(client.query('SELECT 1'), { code: 'ERR_TRANSACTION_CLOSED' });
    await pool.end();
    await assert.rejects(pool.query('SELECT 1'), { code: 'ERR_ENGINE_CLOSED' });
    assert.equal(await visitsOf(id), 0);
  });

  test('a transaction that nobody goes on with ends at its time limit', async () => {
    const id = await open('hugo');
    const pool = us.account(id).pool({ timeoutMs: 300 });
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query('UPDATE customer SET visits = 1 WHERE account_id = $1', [id]);
    await pool.end();
    await assert.rejects(client.query('SELECT 1'), { code: 'ERR_DEADLINE_EXCEEDED' });
    assert.equal((await refusalOf(client.query('COMMIT'))).code, '25P02');
    client.release();
    assert.equal(await visitsOf(id), 0);
  });

  test('a tool cancels its own statement alone', async () => {
    const id = await open('ines');
    const pool = us.account(id).pool();
    const slow = (await pool.connect()) as pg.PoolClient & { processID: number };
    const sleeping = slow.query('SELECT pg_sleep(20)');
    const cancelled = await pool.query(`select pg_cancel_backend(${String(slow.processID)})`);
    assert.deepEqual(cancelled.rows, [{ pg_cancel_backend: true }]);
    await assert.rejects(sleeping, { code: 'ERR_ABORTED' });
    assert.deepEqual((await slow.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    slow.release();
  });

  test('beside an open transaction of a bound pool nothing else runs', async () => {
    const id = await open('jack');
    const nested = us.account(id).transaction(async (tx) => {
      const db = drizzle(tx.pool());
      await db.transaction(async (inner) => {
        await inner.update(customer).set({ visits: 8 }).where(eq(customer.accountId, id));
        await db.update(customer).set({ visits: 9 }).where(eq(customer.accountId, id));
      });
    });
    await assert.rejects(nested, (error: Error) =>
      isMeridianError(error.cause ?? error, 'ERR_TRANSACTION_NESTED'),
    );
    assert.equal(await visitsOf(id), 0);
  });
});
