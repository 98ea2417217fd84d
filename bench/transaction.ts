/**
 * What the client library costs beside a hand-written transaction on a raw `pg` pool, on the same
 * leader, without emulated distances; with the tenant fence and without, taking turns in one run.
 *
 *   npm run bench -- transaction [--rounds 5] [--seconds 3] [--clients 1,16,64] [--profile]
 *
 * The transaction is a deposit in the bank's schema: one read of a balance, one update that depends
 * on it, serializable, repeated after a conflict; both statements prepared; the account is one of
 * 500 at random, whose place the library has looked up before. The raw one sends BEGIN in one flight with the read, the update when the read has
 * answered, and COMMIT when the update has: what careful hand-written code does. It knows its
 * connection's search path once and for all, and checks no route, no epoch and no account. Both have a
 * pool of as many connections as there are clients.
 *
 * Two ranges of one group hold the same rows; the fence is taken off one of them, as the engine
 * would with `tenantFence: false`. `--profile` runs the library alone, for `node --cpu-prof`.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { connect } from '../src/client/connect.ts';
import type { MeridianClient } from '../src/client/api.ts';
import { loadConfig } from '../src/config/load.ts';
import { silentLog } from '../src/kernel/log.ts';
import { startPlatform, type Platform } from '../src/platform.ts';
import { median, printTable } from './doubts/measure.ts';

const { values: asked } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '1,16,64' },
    profile: { type: 'boolean', default: false },
  },
});
const ROOT = join(import.meta.dirname, '..', '..');
const ACCOUNTS = 500;
const LOOKUPS_AT_ONCE = 50;
const READ = 'SELECT balance FROM checking WHERE account_id = $1';
const UPDATE = 'UPDATE checking SET balance = $2 WHERE account_id = $1';
/** Of the primary region's group. */
const RANGES = { on: 'r0001', off: 'r0004' } as const;

interface Balance {
  readonly balance: string;
}
type Deposit = (account: string) => Promise<unknown>;

const accountOf = (range: string, number: number): string => `${range}-${String(number)}`;

/** As the administrator: rows, directory, and one range without its fence. */
async function prepare(platform: Platform, dataDirectory: string): Promise<void> {
  const { nodes, groups } = await platform.status();
  const leader = groups.find((group) => group.ranges.includes(RANGES.on))?.leader;
  const text = await readFile(join(dataDirectory, 'secrets.json'), 'utf8');
  const client = new pg.Client({
    host: '127.0.0.1',
    port: nodes.find((node) => node.name === leader)?.port ?? 0,
    user: 'postgres',
    database: 'postgres',
    password: (JSON.parse(text) as { administrator: string }).administrator,
  });
  await client.connect();
  try {
    for (const range of Object.values(RANGES)) {
      await client.query(
        `INSERT INTO meridian.account (id, range)
         SELECT '${range}-' || n, '${range}' FROM generate_series(1, ${String(ACCOUNTS)}) n`,
      );
      await client.query(
        `INSERT INTO ${range}.checking
         SELECT '${range}-' || n, 0 FROM generate_series(1, ${String(ACCOUNTS)}) n`,
      );
      await client.query(`ANALYZE ${range}.checking`);
    }
    const fences = await client.query<{ drop: string }>(
      `SELECT format('DROP POLICY %I ON %s; ALTER TABLE %2$s DISABLE ROW LEVEL SECURITY',
         polname, polrelid::regclass) AS drop
       FROM pg_policy JOIN pg_class c ON c.oid = polrelid
       WHERE c.relnamespace = '${RANGES.off}'::regnamespace`,
    );
    for (const { drop } of fences.rows) await client.query(drop);
    const left = await client.query(
      `SELECT FROM pg_class WHERE relrowsecurity AND relname = 'checking'
       AND relnamespace = ANY ('{${RANGES.on},${RANGES.off}}'::regnamespace[])`,
    );
    if (left.rowCount !== 1) throw new Error('one range should have a fence, and one should not');
  } finally {
    await client.end();
  }
}

function byLibrary(db: MeridianClient): Deposit {
  return (account) =>
    db.account(account).transaction(async (tx) => {
      const { rows } = await tx.query<Balance>(READ, [account]);
      await tx.query(UPDATE, [account, Number(rows[0]?.balance) + 1]);
    });
}

const SERIALIZATION_FAILURE = '40001';

/** `conflicts` counts repetitions. */
function byHand(pool: pg.Pool, conflicts: { count: number }): Deposit {
  return async (account) => {
    for (;;) {
      const client = await pool.connect();
      try {
        const begun = client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
        const read = client.query<Balance>({ name: 'read', text: READ, values: [account] });
        const [, { rows }] = await Promise.all([begun, read]);
        const values = [account, Number(rows[0]?.balance) + 1];
        await client.query({ name: 'update', text: UPDATE, values });
        await client.query('COMMIT');
        return;
      } catch (error) {
        await client.query('ROLLBACK');
        if ((error as { code?: string }).code !== SERIALIZATION_FAILURE) throw error;
        conflicts.count += 1;
      } finally {
        client.release();
      }
    }
  };
}

interface Measured {
  readonly perSecond: number;
  /** Of this process: the library or the raw driver, and the loop around it. */
  readonly cpuMicros: number;
  /** Repetitions for each hundred that were committed. */
  readonly retries: number;
}

async function drive(
  deposit: Deposit,
  how: { readonly range: string; readonly clients: number; readonly retries: () => number },
): Promise<Measured> {
  const { range, clients, retries } = how;
  let done = 0;
  const retriesBefore = retries();
  const seconds = Number(asked.seconds);
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const until = startedAt + seconds * 1_000;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < until) {
        await deposit(accountOf(range, 1 + Math.floor(Math.random() * ACCOUNTS)));
        done += 1;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = (performance.now() - startedAt) / 1_000;
  return {
    perSecond: done / elapsed,
    cpuMicros: (user + system) / done,
    retries: (100 * (retries() - retriesBefore)) / done,
  };
}

async function compare(platform: Platform, clients: number): Promise<void> {
  const db = await connect({
    controlUrl: platform.env['MERIDIAN_CONTROL_URL'] ?? '',
    controlToken: platform.env['MERIDIAN_CONTROL_TOKEN'] ?? '',
    region: 'us-east',
    process: 'bench',
    limits: { connectionsPerNodeMax: clients, retriesMax: 1_000 },
  });
  // The first transaction of an account looks up where it is, and that is not what is measured.
  for (const range of Object.values(RANGES)) {
    for (let first = 1; first <= ACCOUNTS; first += LOOKUPS_AT_ONCE) {
      const some = Array.from({ length: LOOKUPS_AT_ONCE }, (_, index) => first + index);
      await Promise.all(some.map((number) => db.locate(accountOf(range, number))));
    }
  }
  const { view, hello } = db.control;
  const group = view.groups[view.ranges[RANGES.off]?.group ?? ''];
  const leader = group?.nodes.find((node) => node.name === group.leader);
  const pool = new pg.Pool({
    ...leader?.address,
    ...hello.database,
    max: clients,
    options: `-c search_path=${RANGES.off},global`,
    pipeline: true,
  });
  const library = byLibrary(db);
  const conflicts = { count: 0 };
  const byLibrarysCount = (): number =>
    Object.values(db.counters().retries).reduce((sum, count) => sum + count, 0);
  const raw = byHand(pool, conflicts);
  const variants: Record<string, () => Promise<Measured>> = {
    raw: () => drive(raw, { range: RANGES.off, clients, retries: () => conflicts.count }),
    off: () => drive(library, { range: RANGES.off, clients, retries: byLibrarysCount }),
    on: () => drive(library, { range: RANGES.on, clients, retries: byLibrarysCount }),
  };
  if (asked.profile) delete variants['raw'];
  const samples: Record<string, Measured[]> = { raw: [], off: [], on: [] };
  try {
    for (let round = 0; round <= Number(asked.rounds); round += 1) {
      // Who begins takes turns too; the first round warms everything up.
      const names = Object.keys(variants);
      const order = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
      for (const name of order) {
        const measured = await variants[name]?.();
        if (round > 0 && measured !== undefined) samples[name]?.push(measured);
      }
    }
  } finally {
    await pool.end();
    await db.close();
  }
  const middle = (name: string, what: keyof Measured): number =>
    median((samples[name] ?? []).map((one) => one[what]));
  const rawPerSecond = middle('raw', 'perSecond');
  rows.push({
    clients,
    'raw, tx/s': rawPerSecond,
    'fence off, tx/s': middle('off', 'perSecond'),
    'fence on, tx/s': middle('on', 'perSecond'),
    'off ÷ raw': middle('off', 'perSecond') / rawPerSecond,
    'on ÷ raw': middle('on', 'perSecond') / rawPerSecond,
    'client CPU µs: raw': middle('raw', 'cpuMicros'),
    off: middle('off', 'cpuMicros'),
    on: middle('on', 'cpuMicros'),
    'retries per 100: raw': middle('raw', 'retries'),
    'fence off': middle('off', 'retries'),
    'fence on': middle('on', 'retries'),
  });
}

const rows: Record<string, number>[] = [];
const declared = await loadConfig({
  folder: ROOT,
  file: join(ROOT, 'examples', 'bank', 'meridian.config.ts'),
});
const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
await chmod(directory, 0o755);
const { app: _app, traffic: _traffic, ...rest } = declared;
const config = {
  ...rest,
  dataDirectory: join(directory, 'data'),
  rangesPerRegion: 2,
  latency: { ...declared.latency, scale: 0, emulated: false },
  engine: {
    ...declared.engine,
    options: { ...declared.engine.options, connectionsMax: 200 },
  },
  gateway: {
    ...declared.gateway,
    ports: Object.fromEntries(declared.regions.map((region) => [region.name, 0])),
  },
};
try {
  const platform = await startPlatform(config, {
    fresh: true,
    log: silentLog,
    onProgress: () => {},
  });
  try {
    await prepare(platform, config.dataDirectory);
    for (const clients of asked.clients.split(',').map(Number)) await compare(platform, clients);
  } finally {
    await platform.stop();
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
console.log(
  `medians of ${asked.rounds} rounds of ${asked.seconds} s on ${String(cpus().length)} x ${cpus()[0]?.model ?? 'CPU'}`,
);
printTable('a deposit: one read, one update, serializable', rows);
