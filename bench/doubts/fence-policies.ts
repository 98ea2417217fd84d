/**
 * What a row-level policy costs, by the way it is written: the server's own CPU per statement, on one
 * server, alternating between the variants. The plans are printed too, since an expression that the
 * planner cannot use as an index condition would cost by the size of the table.
 *
 *   node dist/bench/doubts/fence-policies.js [rounds = 7] [statements a round = 4000]
 */
import type pg from 'pg';
import { family, median, printTable } from './measure.ts';
import { Server, withWorkspace } from './postgres.ts';

const ROUNDS = Number(process.argv[2] ?? 7);
const STATEMENTS = Number(process.argv[3] ?? 4_000);
const ACCOUNTS = 20_000;
const AT_ONCE = 50;

const setting = "nullif(current_setting('meridian.account', true), '')";

/** Policies of a table whose account column is `a` of type text. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  none: [],
  plain: [`USING (a = ${setting})`],
  'sub-select': [`USING (a = (SELECT ${setting}))`],
  'restrictive + permissive': [
    `AS RESTRICTIVE USING (a = ${setting}) WITH CHECK (a = ${setting})`,
    'USING (true) WITH CHECK (true)',
  ],
  function: ['USING (a = account())'],
  'same text too': [`USING (a = ${setting} AND a::text = ${setting})`],
};

const STATEMENT: Readonly<Record<string, string>> = {
  read: 'SELECT balance FROM purse WHERE a = $1',
  update: 'UPDATE purse SET balance = balance + 1 WHERE a = $1',
  insert: 'INSERT INTO entry (a, amount) VALUES ($1, 1)',
  'two tables': 'SELECT p.balance, q.balance FROM purse p JOIN purse2 q USING (a) WHERE p.a = $1',
};

const names = Object.keys(VARIANTS).map((_, index) => `v${String(index)}`);

const ddl = (schema: string, policies: readonly string[]): string =>
  `CREATE SCHEMA ${schema};
   CREATE TABLE ${schema}.purse (a text PRIMARY KEY, balance bigint) WITH (fillfactor = 50);
   CREATE TABLE ${schema}.purse2 (a text PRIMARY KEY, balance bigint) WITH (fillfactor = 50);
   CREATE TABLE ${schema}.entry (a text, id bigint GENERATED ALWAYS AS IDENTITY, amount bigint,
     PRIMARY KEY (a, id));
   CREATE FUNCTION ${schema}.account() RETURNS text LANGUAGE sql STABLE AS $$ SELECT ${setting} $$;
   GRANT USAGE ON SCHEMA ${schema} TO app;
   GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ${schema} TO app;
   SET search_path = ${schema};
   ${policies
     .flatMap((policy, index) =>
       ['purse', 'purse2', 'entry'].map(
         (table) => `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
           CREATE POLICY p${String(index)} ON ${table} ${policy};`,
       ),
     )
     .join('\n')}
   INSERT INTO purse SELECT 'account-' || n, 0 FROM generate_series(1, ${String(ACCOUNTS)}) n;
   INSERT INTO purse2 SELECT * FROM purse;
   ANALYZE purse, purse2`;

const cpuMs = (pid: number): number => family([pid]).get(pid)?.cpuMs ?? NaN;

/** Microseconds of the backend's CPU per statement. */
async function cost(
  client: pg.Client,
  backend: number,
  query: { readonly text: string; readonly name?: string },
): Promise<number> {
  const before = cpuMs(backend);
  for (let sent = 0; sent < STATEMENTS; sent += AT_ONCE) {
    const account = `account-${String(1 + Math.floor(Math.random() * ACCOUNTS))}`;
    await client.query("BEGIN; SELECT set_config('meridian.account', '" + account + "', true)");
    const results = Array.from({ length: AT_ONCE }, () =>
      client.query({ ...query, values: [account] }),
    );
    await Promise.all(results);
    await client.query('COMMIT');
  }
  return (1_000 * (cpuMs(backend) - before)) / STATEMENTS;
}

async function bench(): Promise<void> {
  const server = await Server.create('fence', { fsync: 'off', synchronous_commit: 'off' });
  server.initdb();
  server.configure({});
  await server.start();
  await server.run('CREATE ROLE app LOGIN');
  for (const [index, policies] of Object.values(VARIANTS).entries()) {
    await server.run(ddl(names[index] ?? '', policies));
  }
  const clients = await Promise.all(
    names.map(async (schema) => {
      const client = await server.connect({ user: 'app', pipeline: true });
      await client.query(`SET search_path = ${schema}`);
      const found = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      return { client, backend: found.rows[0]?.pid ?? 0 };
    }),
  );
  const kinds = Object.keys(STATEMENT).flatMap((what) => [`${what}, prepared`, what]);
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const kind of kinds) {
      const what = kind.replace(', prepared', '');
      const text = STATEMENT[what] ?? '';
      for (const [index, { client, backend }] of clients.entries()) {
        const name = kind === what ? {} : { name: what };
        const spent = await cost(client, backend, { text, ...name });
        const key = `${String(index)} ${kind}`;
        // The first round prepares and warms up.
        if (round > 0) samples.set(key, [...(samples.get(key) ?? []), spent]);
      }
    }
  }
  printTable(
    'server CPU per statement, µs (median)',
    Object.keys(VARIANTS).map((variant, index) => ({
      policy: variant,
      ...Object.fromEntries(
        kinds.map((kind) => [kind, median(samples.get(`${String(index)} ${kind}`) ?? [])]),
      ),
    })),
  );
  for (const [index, { client }] of clients.entries()) {
    await client.query("SELECT set_config('meridian.account', 'account-7', false)");
    for (const text of ["SELECT * FROM purse WHERE a = 'account-7'", 'SELECT * FROM purse']) {
      const plan = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (COSTS OFF) ${text}`);
      const lines = plan.rows.map((row) => row['QUERY PLAN'].trim()).join(' · ');
      process.stdout.write(`${Object.keys(VARIANTS)[index] ?? ''}: ${text}\n  ${lines}\n`);
    }
    await client.end();
  }
}

await withWorkspace('fence-policies', bench);
