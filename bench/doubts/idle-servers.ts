/**
 * Doubt 2: what fifteen idle servers cost on a small machine, per heartbeat period and per setting.
 * Three groups in the zone layout on direct links; one loop per group updates its heartbeat row as
 * the supervisor would. Settings are changed by reload, so that all variants share one start.
 *
 *   node dist/bench/doubts/idle-servers.js [seconds per variant = 20] [memory]
 */
import { family, printTable, processTitle, pssMb } from './measure.ts';
import type { Row } from './measure.ts';
import { sleep, until, withWorkspace } from './postgres.ts';
import type { Settings, Server } from './postgres.ts';
import { startZoneGroup } from './zone-group.ts';
import type { ZoneGroup } from './zone-group.ts';

const SECONDS = Number(process.argv[2] ?? 20);
const HEARTBEAT = `update heartbeat set at = clock_timestamp()`;

interface Beat {
  stop(): Promise<void>;
}

/** One open-loop heartbeat per group; `commit` is its synchronous_commit. */
async function beat(groups: readonly ZoneGroup[], everyMs: number, commit: string): Promise<Beat> {
  const clients = await Promise.all(groups.map((group) => group.leader.connect()));
  for (const client of clients) await client.query(`set synchronous_commit = ${commit}`);
  let pending: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    const all = clients.map((client) => client.query({ name: 'beat', text: HEARTBEAT }));
    pending = Promise.all(all).catch(() => undefined);
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await pending;
      for (const client of clients) await client.end();
    },
  };
}

async function fsyncs(servers: readonly Server[]): Promise<number> {
  let total = 0;
  for (const server of servers) {
    const row = await server.one<{ n: string }>(
      `select coalesce(sum(fsyncs), 0) n from pg_stat_io where object = 'wal'`,
    );
    total += Number(row.n);
  }
  return total;
}

const roots = (servers: readonly Server[]): number[] =>
  servers.map((server) => server.child?.pid ?? -1);

interface Figures {
  readonly processes: number;
  readonly cpu: number;
  /** This Node process, which writes the heartbeats. */
  readonly driver: number;
  readonly wakeups: number;
  readonly fsyncs: number;
  readonly pss: number;
  readonly byKind: string;
}

const KINDS: readonly (readonly [RegExp, string])[] = [
  [/walsender/, 'walsender'],
  [/walreceiver/, 'walreceiver'],
  [/startup/, 'startup'],
  [/checkpointer/, 'checkpointer'],
  [/background writer/, 'bgwriter'],
  [/walwriter/, 'walwriter'],
  [/autovacuum/, 'autovacuum'],
  [/slotsync/, 'slotsync'],
  [/logical replication/, 'logical'],
  [/bin\/postgres/, 'postmaster'],
];

const kindOf = (pid: number): string => {
  const title = processTitle(pid);
  return KINDS.find(([pattern]) => pattern.test(title))?.[1] ?? 'backend';
};

async function measure(servers: readonly Server[]): Promise<Figures> {
  await sleep(3_000);
  const syncedBefore = await fsyncs(servers);
  await sleep(500);
  const before = family(roots(servers));
  const started = performance.now();
  const pss = pssMb(before.keys());
  const ownBefore = process.cpuUsage();
  await sleep(SECONDS * 1_000);
  const own = process.cpuUsage(ownBefore);
  const after = family(roots(servers));
  const seconds = (performance.now() - started) / 1_000;
  const cpu = new Map<string, number>();
  let totalCpu = 0;
  let wakeups = 0;
  for (const [pid, now] of after) {
    const then = before.get(pid) ?? { cpuMs: 0, wakeups: 0 };
    const kind = kindOf(pid);
    const percent = (now.cpuMs - then.cpuMs) / seconds / 10;
    cpu.set(kind, (cpu.get(kind) ?? 0) + percent);
    totalCpu += percent;
    wakeups += (now.wakeups - then.wakeups) / seconds;
  }
  const synced = (await fsyncs(servers)) - syncedBefore;
  const byKind = [...cpu]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 6)
    .map(([kind, percent]) => `${kind} ${percent.toFixed(2)}`)
    .join(', ');
  return {
    processes: after.size,
    cpu: totalCpu,
    driver: (own.user + own.system) / SECONDS / 10_000,
    wakeups: Math.round(wakeups),
    fsyncs: synced / (seconds + 0.5),
    pss,
    byKind,
  };
}

interface Variant {
  readonly name: string;
  readonly settings?: Settings;
  readonly beatMs: number;
  readonly commit?: string;
  readonly before?: (groups: readonly ZoneGroup[]) => Promise<void>;
}

const QUIET: Settings = {
  wal_receiver_status_interval: '10s',
  bgwriter_delay: '2s',
  wal_writer_delay: '2s',
  autovacuum_naptime: '5min',
};

const VARIANTS: readonly Variant[] = [
  // The first minute fills caches, and the background writers follow it; it is not idleness.
  { name: 'warm-up, not to be counted', beatMs: 100 },
  { name: 'as prototyped, none', beatMs: 0 },
  { name: 'as prototyped, 1000 ms', beatMs: 1_000 },
  { name: 'as prototyped, 500 ms', beatMs: 500 },
  { name: 'as prototyped, 250 ms', beatMs: 250 },
  { name: 'as prototyped, 100 ms', beatMs: 100 },
  { name: '100 ms, asynchronous commit', beatMs: 100, commit: 'off' },
  {
    name: '1000 ms, hot_standby_feedback off',
    beatMs: 1_000,
    settings: { hot_standby_feedback: 'off' },
  },
  {
    name: '1000 ms, status_interval 10s',
    beatMs: 1_000,
    settings: only('wal_receiver_status_interval'),
  },
  { name: '1000 ms, bgwriter_delay 2s', beatMs: 1_000, settings: only('bgwriter_delay') },
  { name: '1000 ms, wal_writer_delay 2s', beatMs: 1_000, settings: only('wal_writer_delay') },
  { name: '1000 ms, autovacuum_naptime 5min', beatMs: 1_000, settings: only('autovacuum_naptime') },
  {
    name: '1000 ms, sender and receiver timeout 60s',
    beatMs: 1_000,
    settings: { wal_sender_timeout: '60s', wal_receiver_timeout: '60s' },
  },
  { name: 'the four quiet settings, 1000 ms', beatMs: 1_000, settings: QUIET },
  { name: 'the four quiet settings, 100 ms', beatMs: 100, settings: QUIET },
  {
    name: 'quiet + global tables, 1000 ms',
    beatMs: 1_000,
    settings: QUIET,
    before: addSubscriptions,
  },
  { name: 'quiet + global tables, 100 ms', beatMs: 100, settings: QUIET },
  {
    name: '.. + slot sync of a failover slot, 1000 ms',
    beatMs: 1_000,
    settings: QUIET,
    before: addSlotSync,
  },
  { name: '.. + slot sync of a failover slot, 100 ms', beatMs: 100, settings: QUIET },
];

/** One of the quiet settings alone. */
function only(key: keyof typeof QUIET): Settings {
  return { [key]: QUIET[key] as string };
}

async function addSlotSync(groups: readonly ZoneGroup[]): Promise<void> {
  for (const group of groups) {
    await group.leader.run(
      `select pg_create_logical_replication_slot('cdc', 'pgoutput', false, false, true)`,
    );
    for (const voter of group.voters) {
      voter.setRole({ ...voter.role, sync_replication_slots: 'on' });
    }
  }
}

async function addSubscriptions(groups: readonly ZoneGroup[]): Promise<void> {
  const [primary, ...rest] = groups as [ZoneGroup, ...ZoneGroup[]];
  const ddl = `create table currency (code text primary key, name text)`;
  for (const group of groups) await group.leader.run(ddl);
  await primary.leader.run(`insert into currency values ('EUR', 'Euro')`);
  await primary.leader.run(`create publication global_tables for table currency`);
  for (const group of rest) {
    await group.leader.run(
      `create subscription global_${group.name} connection
        'host=127.0.0.1 port=${String(primary.leader.port)} user=postgres dbname=postgres'
        publication global_tables`,
    );
    await until('global row copied', async () => {
      const { n } = await group.leader.one<{ n: string }>(`select count(*) n from currency`);
      return Number(n) === 1;
    });
  }
}

async function runVariants(): Promise<void> {
  const started = performance.now();
  const groups = await Promise.all(['g1', 'g2', 'g3'].map((name) => startZoneGroup(name)));
  const servers = groups.flatMap((group) => group.all);
  process.stdout.write(`15 servers up in ${((performance.now() - started) / 1e3).toFixed(1)} s\n`);
  for (const group of groups) {
    await group.leader.run(
      `create table heartbeat (id int primary key, at timestamptz) with (fillfactor = 10);
       insert into heartbeat values (1, now())`,
    );
  }
  const rows: Row[] = [];
  let applied: Settings = {};
  for (const variant of VARIANTS) {
    await variant.before?.(groups);
    const wanted = variant.settings ?? {};
    if (JSON.stringify(wanted) !== JSON.stringify(applied)) {
      for (const server of servers) {
        const original = Object.fromEntries(
          Object.keys(applied).map((key) => [key, ORIGINAL[key]]),
        );
        server.setRole(server.role, { ...(original as Settings), ...wanted });
      }
      applied = wanted;
    }
    const hearts =
      variant.beatMs > 0
        ? await beat(groups, variant.beatMs, variant.commit ?? 'local')
        : undefined;
    const figures = await measure(servers);
    await hearts?.stop();
    rows.push({
      variant: variant.name,
      'CPU % of a core': figures.cpu,
      'CPU % of the writer': figures.driver,
      'wakeups/s': figures.wakeups,
      'WAL fsyncs/s': figures.fsyncs,
      'PSS MB': figures.pss,
      processes: figures.processes,
      'CPU by kind': figures.byKind,
    });
    process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  printTable(`15 idle servers, ${String(SECONDS)} s each`, rows);
}

/** Defaults of what the variants change, to put them back. */
const ORIGINAL: Record<string, string> = {
  hot_standby_feedback: 'on',
  wal_receiver_status_interval: '1s',
  bgwriter_delay: '200ms',
  wal_writer_delay: '200ms',
  autovacuum_naptime: '1min',
  wal_sender_timeout: '5s',
  wal_receiver_timeout: '5s',
};

/** What the engine sets besides; larger lock tables cost memory only once they are used. */
const ENGINE: Settings = {
  max_wal_senders: 16,
  max_replication_slots: 16,
  max_worker_processes: 12,
  max_locks_per_transaction: 128,
  max_pred_locks_per_transaction: 128,
};

const MEMORY: readonly Settings[] = [
  { ...ENGINE, shared_buffers: '16MB', max_connections: 100, autovacuum_worker_slots: 16 },
  { ...ENGINE, shared_buffers: '16MB', max_connections: 60 },
  { ...ENGINE, shared_buffers: '8MB', max_connections: 100 },
  { ...ENGINE, shared_buffers: '8MB', max_connections: 60 },
  { shared_buffers: '8MB', max_connections: 60 },
  { shared_buffers: '4MB', max_connections: 60 },
  { shared_buffers: '8MB', max_connections: 60, shared_preload_libraries: 'pg_stat_statements' },
];

async function runMemory(): Promise<void> {
  const rows: Row[] = [];
  for (const settings of MEMORY) {
    const tag = String(rows.length);
    const names = ['g1', 'g2', 'g3'].map((name) => `${name}${tag}`);
    const groups = await Promise.all(names.map((name) => startZoneGroup(name, settings)));
    const servers = groups.flatMap((group) => group.all);
    await sleep(2_000);
    const fresh = pssMb(family(roots(servers)).keys());
    // Warm every buffer a small installation would use, then look again.
    for (const group of groups) {
      await group.leader.run(
        `create table filler as select g id, repeat('x', 200) pad from generate_series(1, 60000) g;
         select count(*) from filler`,
      );
    }
    await sleep(1_000);
    for (const server of servers) await server.run(`select count(*) from filler`);
    const used = pssMb(family(roots(servers)).keys());
    const shared = await servers[0]?.one<{ mb: string }>(
      `select setting mb from pg_settings where name = 'shared_memory_size'`,
    );
    const show = Object.entries(settings).map(([key, value]) => `${key}=${String(value)}`);
    rows.push({
      settings: show.join(' '),
      'shared MB/server': shared?.mb,
      'PSS MB fresh': fresh,
      'PSS MB after 15 MB of data read': used,
    });
    process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`);
    await Promise.all(servers.map((server) => server.stop('SIGQUIT')));
  }
  printTable('Memory of 15 servers', rows);
}

await withWorkspace('idle', process.argv[3] === 'memory' ? runMemory : runVariants);
