/**
 * Doubt 1: what a range per schema costs as ranges grow, against shared tables keyed by account.
 * One server, 20 000 accounts in all cases; only the number of schemas they are spread over
 * changes. The server's own CPU per transaction is given beside transactions per second, since the
 * client shares the machine.
 *
 *   node dist/bench/doubts/schema-ranges.js [counts = 1,100,1000,5000] [seconds a round = 3]
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type pg from 'pg';
import { family, median, printTable, pssMb } from './measure.ts';
import type { Row } from './measure.ts';
import { Server, sleep, withWorkspace } from './postgres.ts';

const COUNTS = (process.argv[2] ?? '1,100,1000,5000').split(',').map(Number);
const SECONDS = Number(process.argv[3] ?? 3);
const ACCOUNTS = 20_000;
const POOL = 4;
const ROUNDS = 5;
const TABLES = ['account', 'savings', 'checking', 'ledger'] as const;

/** What a regional migration makes: four tables, row security, grants; every table has text. */
const ddl = (schema: string): string =>
  `create schema ${schema};
   create table ${schema}.account (account_id bigint primary key, name text not null);
   create table ${schema}.savings (account_id bigint primary key, balance bigint, note text);
   create table ${schema}.checking (account_id bigint primary key, balance bigint, note text);
   create table ${schema}.ledger (account_id bigint, id bigint generated always as identity,
     amount bigint, note text, primary key (account_id, id));
   grant usage on schema ${schema} to app;
   grant select, insert, update, delete on all tables in schema ${schema} to app;` +
  TABLES.map(
    (table) => `alter table ${schema}.${table} enable row level security;
      create policy own on ${schema}.${table} using
        (account_id = nullif(current_setting('meridian.account', true), '')::bigint);`,
  ).join('\n');

const schemaOf = (range: number): string => `r${String(range).padStart(4, '0')}`;

/** Accounts are dealt round the ranges, so that an account's range is known without a directory. */
const rangeOf = (account: number, ranges: number): number => (account % ranges) + 1;

async function createRanges(client: pg.Client, ranges: number): Promise<number> {
  const started = performance.now();
  for (let range = 1; range <= ranges; range++) {
    await client.query(`begin; ${ddl(schemaOf(range))} commit`);
  }
  return (performance.now() - started) / ranges;
}

async function fill(client: pg.Client, ranges: number): Promise<void> {
  for (let range = 1; range <= ranges; range++) {
    const accounts = `generate_series(${String(range - 1)}, ${String(ACCOUNTS - 1)}, ${String(ranges)}) a`;
    const schema = schemaOf(range);
    await client.query(
      `insert into ${schema}.account select a, 'Account ' || a from ${accounts};
       insert into ${schema}.savings select a, 1000 from ${accounts};
       insert into ${schema}.checking select a, 1000 from ${accounts};
       insert into ${schema}.ledger (account_id, amount) select a, 0 from ${accounts}`,
    );
  }
  // Apart: several statements in one message are one transaction, and its locks are limited.
  await client.query('analyze');
  await client.query('checkpoint');
}

async function addColumn(client: pg.Client, ranges: number): Promise<number> {
  const started = performance.now();
  for (let range = 1; range <= ranges; range++) {
    await client.query(
      `begin; set local search_path = ${schemaOf(range)};
       alter table account add column tier int not null default 0; commit`,
    );
  }
  return (performance.now() - started) / ranges;
}

type Style = 'unprepared' | 'prepared' | 'prepared per range';

interface Load {
  readonly ranges: number;
  readonly style: Style;
}

/** One SmallBank-like transaction: three round trips, as the client library would make them. */
async function transact(client: pg.Client, load: Load, account: number): Promise<void> {
  const schema = schemaOf(rangeOf(account, load.ranges));
  await client.query(
    `begin isolation level serializable; set local search_path = ${schema};
     set local meridian.account = '${String(account)}'`,
  );
  const read = 'select balance from checking where account_id = $1';
  const write = 'update checking set balance = balance + 1 where account_id = $1';
  const values = [account];
  if (load.style === 'unprepared') {
    await client.query(read, values);
    await client.query(write, values);
  } else {
    const suffix = load.style === 'prepared' ? '' : schema;
    await client.query({ name: `read${suffix}`, text: read, values });
    await client.query({ name: `write${suffix}`, text: write, values });
  }
  await client.query('commit');
}

/** Connections that stay for all rounds, so that a backend has met most ranges when it counts. */
interface Pool {
  readonly load: Load;
  readonly clients: readonly pg.Client[];
  readonly tps: number[];
  readonly serverUs: number[];
}

const pidOf = (client: pg.Client): number =>
  (client as unknown as { readonly processID: number }).processID;

async function openPool(server: Server, load: Load): Promise<Pool> {
  const clients = await Promise.all(
    Array.from({ length: POOL }, () => server.connect({ user: 'app' })),
  );
  const pool = { load, clients, tps: [], serverUs: [] };
  await drive(pool, load.ranges >= 1_000 ? 2 * SECONDS : 1);
  return pool;
}

async function drive(pool: Pool, seconds: number): Promise<number> {
  let done = 0;
  const stopAt = performance.now() + seconds * 1_000;
  const loop = async (client: pg.Client): Promise<void> => {
    while (performance.now() < stopAt) {
      const account = Math.floor(Math.random() * ACCOUNTS);
      await transact(client, pool.load, account).then(
        () => done++,
        async () => await client.query('rollback'),
      );
    }
  };
  await Promise.all(pool.clients.map(loop));
  return done;
}

async function round(pool: Pool): Promise<void> {
  const pids = pool.clients.map(pidOf);
  const before = family(pids);
  const done = await drive(pool, SECONDS);
  let cpu = 0;
  for (const [pid, now] of family(pids)) cpu += now.cpuMs - (before.get(pid)?.cpuMs ?? 0);
  pool.tps.push(done / SECONDS);
  pool.serverUs.push((cpu * 1_000) / done);
}

async function touch(client: pg.Client, ranges: readonly number[]): Promise<number> {
  const times: number[] = [];
  for (const range of ranges) {
    const started = performance.now();
    await client.query(
      `begin; set local search_path = ${schemaOf(range)};
       ${TABLES.map((table) => `select * from ${table} where account_id = ${String(range - 1)}`).join(';')};
       commit`,
    );
    times.push(performance.now() - started);
  }
  return median(times);
}

async function cacheMb(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ mb: number }>(
    `with recursive cache as (
       select path[level] id from pg_backend_memory_contexts where name = 'CacheMemoryContext')
     select sum(total_bytes)::float8 / 1048576 mb from pg_backend_memory_contexts m, cache c
      where c.id = any (m.path)`,
  );
  return rows[0]?.mb ?? Number.NaN;
}

function countFiles(dir: string): number {
  return fs.readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isFile())
    .length;
}

async function memory(server: Server, ranges: number): Promise<Row> {
  const client = await server.connect({ user: 'app' });
  const pid = pidOf(client);
  await touch(client, [1]);
  const [baseCache, basePss] = [await cacheMb(client), pssMb([pid])];
  const some = Array.from(
    { length: Math.min(100, ranges) },
    () => 1 + Math.floor(Math.random() * ranges),
  );
  await touch(client, some);
  const hundred = await cacheMb(client);
  const all = Array.from({ length: ranges }, (_, index) => index + 1);
  const first = await touch(client, all);
  const again = await touch(client, all);
  const result = {
    'first / again touch of a range, ms': `${first.toFixed(2)} / ${again.toFixed(2)}`,
    'cache MB: one range / 100 / all': [baseCache, hundred, await cacheMb(client)]
      .map((mb) => mb.toFixed(1))
      .join(' / '),
    'backend PSS MB: one / all': `${basePss.toFixed(1)} / ${pssMb([pid]).toFixed(1)}`,
  };
  await client.end();
  return result;
}

/** Clean restart and recovery after SIGKILL, both with fsync on, as the engine runs. */
async function restarts(server: Server): Promise<string> {
  server.configure({}, { fsync: 'on' });
  await server.stop();
  const clean = await server.start(120_000);
  const crashes: number[] = [];
  for (const method of ['fsync', 'fsync', 'syncfs']) {
    await server.run('create table if not exists dirty (n int); insert into dirty values (1)');
    server.configure({}, { recovery_init_sync_method: method });
    await server.stop('SIGKILL');
    await sleep(500);
    crashes.push(await server.start(120_000));
  }
  return [clean, ...crashes].map((ms) => ms.toFixed(0)).join(' / ');
}

interface Study {
  readonly server: Server;
  readonly ranges: number;
  readonly row: Row;
  readonly pools: Pool[];
}

async function prepare(ranges: number): Promise<Study> {
  const server = await Server.create(`n${String(ranges)}`, {
    fsync: 'off',
    shared_buffers: '16MB',
    max_wal_size: '1GB',
  });
  server.initdb();
  server.configure({});
  await server.start();
  const admin = await server.connect();
  await admin.query('create role app login; grant pg_read_all_stats to app');
  const row: Row = {};
  row['create a range, ms'] = await createRanges(admin, ranges);
  await fill(admin, ranges);
  row['add a column, ms per range'] = await addColumn(admin, ranges);
  Object.assign(row, await memory(server, ranges));
  const { rows } = await admin.query<{ catalog: string; total: string }>(
    `select pg_database_size(current_database()) / 1048576 total,
       sum(pg_total_relation_size(oid)) / 1048576 catalog from pg_class
      where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r'`,
  );
  await admin.end();
  row['catalog / database MB'] =
    `${Number(rows[0]?.catalog).toFixed(0)} / ${Number(rows[0]?.total).toFixed(0)}`;
  row['files'] = countFiles(path.join(server.dir, 'base'));
  process.stdout.write(`${String(ranges)} ranges: ${JSON.stringify(row)}\n`);
  return { server, ranges, row, pools: [] };
}

/** Rounds go round all counts and styles in turn, so that a noisy minute harms all alike. */
async function throughputs(studies: readonly Study[]): Promise<void> {
  for (const { server, ranges, pools } of studies) {
    for (const style of ['unprepared', 'prepared', 'prepared per range'] as const) {
      pools.push(await openPool(server, { ranges, style }));
    }
  }
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (const { pools } of studies) for (const pool of pools) await round(pool);
  }
  for (const { pools, row } of studies) {
    for (const pool of pools) {
      const pss = pssMb(pool.clients.map(pidOf)) / POOL;
      row[`${pool.load.style}: tps, server us/txn, backend PSS MB`] =
        `${median(pool.tps).toFixed(0)}, ${median(pool.serverUs).toFixed(0)}, ${pss.toFixed(0)}`;
      for (const client of pool.clients) await client.end();
    }
  }
}

await withWorkspace('schemas', async () => {
  const studies: Study[] = [];
  for (const ranges of COUNTS) studies.push(await prepare(ranges));
  await throughputs(studies);
  for (const { server, row } of studies) {
    row['start: clean / crash / crash again / crash, syncfs; ms'] = await restarts(server);
    await server.stop('SIGQUIT');
  }
  const rows = Object.keys(studies[0]?.row ?? {}).map((what) => ({
    what,
    ...Object.fromEntries(
      studies.map(({ ranges, row }) => [`${String(ranges)} ranges`, row[what]]),
    ),
  }));
  printTable('A range per schema, 20 000 accounts in all', rows);
});
