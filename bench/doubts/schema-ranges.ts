/**
 * Doubt 1: what a range per schema costs as ranges grow, against shared tables keyed by account.
 * One server, 20 000 accounts in all cases; only the number of schemas they are spread over
 * changes. The server's own CPU per transaction is given beside transactions per second, since the
 * client shares the machine.
 *
 *   node dist/bench/doubts/schema-ranges.js [counts = 1,100,1000,5000] [seconds = 6]
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type pg from 'pg';
import { family, median, printTable, pssMb } from './measure.ts';
import { Server, sleep, withWorkspace } from './postgres.ts';

const COUNTS = (process.argv[2] ?? '1,100,1000,5000').split(',').map(Number);
const SECONDS = Number(process.argv[3] ?? 6);
const ACCOUNTS = 20_000;
const POOL = 8;
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
  await client.query('analyze; checkpoint');
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

interface Throughput {
  readonly tps: number;
  readonly serverUs: number;
  readonly poolPss: number;
}

async function throughput(server: Server, load: Load): Promise<Throughput> {
  const clients = await Promise.all(
    Array.from({ length: POOL }, () => server.connect({ user: 'app' })),
  );
  const pids = clients.map((client) => (client as unknown as { processID: number }).processID);
  let done = 0;
  let stopAt = performance.now() + warmUpSeconds(load.ranges) * 1_000;
  const loop = async (client: pg.Client): Promise<void> => {
    while (performance.now() < stopAt) {
      const account = Math.floor(Math.random() * ACCOUNTS);
      await transact(client, load, account).then(
        () => done++,
        async () => await client.query('rollback'),
      );
    }
  };
  await Promise.all(clients.map(loop));
  const before = family(pids);
  done = 0;
  stopAt = performance.now() + SECONDS * 1_000;
  await Promise.all(clients.map(loop));
  let cpu = 0;
  for (const [pid, now] of family(pids)) cpu += now.cpuMs - (before.get(pid)?.cpuMs ?? 0);
  const poolPss = pssMb(pids) / POOL;
  for (const client of clients) await client.end();
  return { tps: done / SECONDS, serverUs: (cpu * 1_000) / done, poolPss };
}

/** Long enough that a backend has met most ranges before the clock starts. */
const warmUpSeconds = (ranges: number): number => (ranges >= 1_000 ? 2 * SECONDS : SECONDS / 2);

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

async function memory(server: Server, ranges: number): Promise<Record<string, unknown>> {
  const client = await server.connect({ user: 'app' });
  const pid = (client as unknown as { processID: number }).processID;
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
  await server.run('create table if not exists dirty (n int); insert into dirty values (1)');
  await server.stop('SIGKILL');
  await sleep(500);
  const crash = await server.start(120_000);
  server.configure({}, { recovery_init_sync_method: 'syncfs' });
  await server.stop('SIGKILL');
  await sleep(500);
  const syncfs = await server.start(120_000);
  return [clean, crash, syncfs].map((ms) => ms.toFixed(0)).join(' / ');
}

async function studyCount(ranges: number): Promise<Record<string, unknown>> {
  const server = await Server.create(`n${String(ranges)}`, {
    fsync: 'off',
    shared_buffers: '16MB',
    max_wal_size: '1GB',
    autovacuum_naptime: '1min',
  });
  server.initdb();
  server.configure({});
  await server.start();
  const admin = await server.connect();
  await admin.query('create role app login');
  const created = await createRanges(admin, ranges);
  await fill(admin, ranges);
  const row: Record<string, unknown> = { ranges, 'create a range, ms': created };
  row['add a column, ms per range'] = await addColumn(admin, ranges);
  Object.assign(row, await memory(server, ranges));
  for (const style of ['unprepared', 'prepared', 'prepared per range'] as const) {
    const figures = await throughput(server, { ranges, style });
    row[`${style}: tps, server us/txn, backend PSS MB`] =
      `${figures.tps.toFixed(0)}, ${figures.serverUs.toFixed(0)}, ${figures.poolPss.toFixed(1)}`;
  }
  const { catalog, total } = (
    await admin.query<{ catalog: string; total: string }>(
      `select pg_database_size(current_database()) / 1048576 total,
         sum(pg_total_relation_size(oid)) / 1048576 catalog from pg_class
        where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r'`,
    )
  ).rows[0] as { catalog: string; total: string };
  await admin.end();
  row['catalog / database MB'] = `${Number(catalog).toFixed(0)} / ${Number(total).toFixed(0)}`;
  row['files'] = countFiles(path.join(server.dir, 'base'));
  row['start clean / crash / crash with syncfs, ms'] = await restarts(server);
  await server.stop('SIGQUIT');
  fs.rmSync(server.dir, { recursive: true, force: true });
  process.stdout.write(`${JSON.stringify(row)}\n`);
  return row;
}

await withWorkspace('schemas', async () => {
  const studied: Record<string, unknown>[] = [];
  for (const ranges of COUNTS) studied.push(await studyCount(ranges));
  const keys = Object.keys(studied[0] ?? {}).filter((key) => key !== 'ranges');
  const rows = keys.map((key) => ({
    what: key,
    ...Object.fromEntries(studied.map((row) => [`${String(row['ranges'])} ranges`, row[key]])),
  }));
  printTable('A range per schema, 20 000 accounts in all', rows);
});
