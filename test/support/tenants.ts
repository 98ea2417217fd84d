/**
 * Attempts to get at another account's rows, each as an application's mistake would make it. All run as
 * anna, after bert's rows: an answer that names bert, or a row of bert's that has changed, is a leak.
 */
import type { Transaction } from '../../src/client/api.ts';
import type { TestClient } from './cluster.ts';

export const TENANT_SCHEMA = {
  'database/0001_colour.sql': `CREATE TABLE colour (name text PRIMARY KEY);`,
  'regional/0001_tenants.sql': `
CREATE TABLE purse (account_id text PRIMARY KEY, coins bigint NOT NULL);
CREATE TABLE note (account_id text, id bigint, body text, PRIMARY KEY (account_id, id));
CREATE TABLE visit (account_id text, at bigint, PRIMARY KEY (account_id, at)) PARTITION BY HASH (account_id);
CREATE TABLE visit_a PARTITION OF visit FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE visit_b PARTITION OF visit FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE badge (account_id bigint, owner text, PRIMARY KEY (account_id, owner));
CREATE VIEW rich AS SELECT * FROM purse WHERE coins > 0;
CREATE MATERIALIZED VIEW census AS SELECT account_id FROM purse;
CREATE FUNCTION everyone() RETURNS SETOF text LANGUAGE sql AS $$ SELECT account_id FROM purse $$;`,
} as const;

export interface Clients {
  readonly us: TestClient;
  readonly eu: TestClient;
}

export interface Attempt {
  readonly name: string;
  /** Refused without the fence too, by the application's rights. */
  readonly neverAllowed?: true;
  run(on: Clients): Promise<unknown>;
}

const inTransaction = (name: string, ...texts: readonly string[]): Attempt => ({
  name,
  run: async ({ us }) => {
    const { value } = await us.account('anna').transaction(async (tx) => {
      const answers = [];
      for (const text of texts) answers.push((await tx.query(text)).rows);
      return answers;
    });
    return value;
  },
});

const asAnna = (
  name: string,
  run: (tx: Transaction) => Promise<unknown>,
  where: 'leader' | 'replica' = 'leader',
): Attempt => ({
  name,
  run: async ({ us, eu }) =>
    where === 'leader'
      ? (await us.account('anna').transaction(run)).value
      : (await eu.account('anna').read(run, { staleness: 60_000 })).value,
});

/** The range of anna and bert is r0001, that of dora r0003, in the same group. */
export const ATTEMPTS: readonly Attempt[] = [
  inTransaction('a missing WHERE', 'SELECT * FROM purse'),
  inTransaction('a wrong value', "SELECT * FROM purse WHERE account_id = 'bert'"),
  asAnna('a wrong parameter', (tx) =>
    tx.query('SELECT * FROM purse WHERE account_id = $1', ['bert']).then((done) => done.rows),
  ),
  inTransaction('a join', 'SELECT b.account_id FROM purse a JOIN purse b ON b.coins > 0'),
  inTransaction('a CTE', 'WITH p AS MATERIALIZED (SELECT * FROM purse) SELECT * FROM p'),
  inTransaction('a sub-select', 'SELECT (SELECT max(account_id) FROM purse) AS who'),
  inTransaction('an aggregate', "SELECT string_agg(account_id, ',') AS who FROM note"),
  inTransaction('a lock', 'SELECT * FROM purse FOR UPDATE'),
  inTransaction('a cursor', 'DECLARE c CURSOR FOR SELECT * FROM purse', 'FETCH ALL FROM c'),
  inTransaction('a savepoint', 'SAVEPOINT s', 'SELECT * FROM purse'),
  inTransaction('several statements in one text', 'SELECT 1; SELECT * FROM purse'),
  inTransaction('a view', 'SELECT * FROM rich'),
  inTransaction('a materialized view', 'SELECT * FROM census'),
  inTransaction('a function', 'SELECT everyone()'),
  inTransaction('a partitioned table', 'SELECT * FROM visit'),
  inTransaction('a partition by name', 'SELECT * FROM visit_a UNION ALL SELECT * FROM visit_b'),
  inTransaction('another range by name', 'SELECT * FROM r0003.purse'),
  inTransaction('an insert', "INSERT INTO note VALUES ('bert', 2, 'forged')"),
  inTransaction(
    'an insert from a select',
    `INSERT INTO note SELECT 'anna', 100 + row_number() OVER (), account_id FROM purse
     RETURNING body`,
  ),
  inTransaction('an update', 'UPDATE purse SET coins = 0'),
  inTransaction(
    'an update of another account',
    "UPDATE purse SET coins = 0 WHERE account_id = 'bert'",
  ),
  inTransaction(
    'a row given away',
    "UPDATE note SET account_id = 'bert', id = 7 WHERE account_id = 'anna'",
  ),
  inTransaction('a delete', 'DELETE FROM note'),
  inTransaction(
    'an upsert',
    "INSERT INTO purse VALUES ('bert', 0) ON CONFLICT (account_id) DO UPDATE SET coins = 0",
  ),
  inTransaction(
    'a merge',
    `MERGE INTO purse p USING (VALUES ('bert')) AS v(id) ON p.account_id = v.id
     WHEN MATCHED THEN UPDATE SET coins = 0 WHEN NOT MATCHED THEN INSERT VALUES (v.id, 0)`,
  ),
  inTransaction('an insert into a partition', "INSERT INTO visit VALUES ('bert', 99)"),
  inTransaction('an update through a view', 'UPDATE rich SET coins = coins - 1'),
  inTransaction(
    'a cursor that updates',
    'DECLARE c CURSOR FOR SELECT * FROM purse FOR UPDATE',
    'FETCH c',
    'FETCH c',
    'UPDATE purse SET coins = 0 WHERE CURRENT OF c',
  ),
  inTransaction(
    'the update in a CTE',
    'WITH u AS (UPDATE purse SET coins = 1 RETURNING *) SELECT * FROM u',
  ),
  { ...inTransaction('a truncate', 'TRUNCATE purse'), neverAllowed: true },
  asAnna(
    'a replica, without WHERE',
    (tx) => tx.query('SELECT * FROM purse').then((d) => d.rows),
    'replica',
  ),
  asAnna(
    'a replica, prepared',
    (tx) => tx.query('SELECT * FROM purse WHERE $1', [true]).then((d) => d.rows),
    'replica',
  ),
  asAnna(
    'a replica, another range',
    (tx) => tx.query('SELECT * FROM r0003.purse').then((d) => d.rows),
    'replica',
  ),
  {
    name: 'the global handle, at a leader',
    run: async ({ us }) =>
      (await us.global.read((tx) => tx.query('SELECT * FROM r0001.purse'))).value.rows,
  },
  {
    name: 'the global handle, at a replica',
    run: async ({ eu }) =>
      (await eu.global.read((tx) => tx.query('SELECT * FROM r0001.purse'), { staleness: 60_000 }))
        .value.rows,
  },
  {
    name: 'the handle of the other account in one transaction',
    run: async ({ us }) =>
      us
        .transaction(['anna', 'bert'], (tx) =>
          tx.anna.query("SELECT * FROM purse WHERE account_id = 'bert'"),
        )
        .then((done) => done.value.rows),
  },
  {
    name: "the other handle's statement before it, prepared, on the same connection",
    run: async ({ us }) =>
      us
        .transaction(['anna', 'bert'], async (tx) => {
          const text = 'SELECT * FROM purse WHERE $1';
          await tx.bert.query(text, [true]);
          return tx.anna.query(text, [true]);
        })
        .then((done) => done.value.rows),
  },
  {
    name: 'a prepared statement on a connection that served another account',
    run: async ({ us }: Clients): Promise<unknown> => {
      const text = 'SELECT * FROM purse WHERE $1';
      // More than five runs: from then on the server may keep one plan for all.
      for (let run = 0; run < 7; run += 1) {
        await us.account('bert').transaction((tx) => tx.query(text, [true]));
      }
      return (await us.account('anna').transaction((tx) => tx.query(text, [true]))).value.rows;
    },
  },
  {
    name: 'a connection on which the other account failed',
    run: async ({ us }: Clients): Promise<unknown> => {
      await us
        .account('bert')
        .transaction((tx) => tx.query('SELECT 1 / 0'))
        .catch(() => undefined);
      return (await us.account('anna').transaction((tx) => tx.query('SELECT * FROM purse'))).value
        .rows;
    },
  },
  {
    name: 'a rollback to a savepoint of the other account',
    run: async ({ us }) =>
      us
        .transaction(['anna', 'bert'], async (tx) => {
          await tx.bert.query('SAVEPOINT s');
          await tx.anna.query('SELECT 1');
          await tx.anna.query('ROLLBACK TO s');
          return tx.anna.query('SELECT * FROM purse');
        })
        .then((done) => done.value.rows),
  },
];
