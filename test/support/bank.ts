/**
 * The bank example on a real platform, as its clients see it: HTTP to the gateways, the load driver as
 * a process. And past everything, in SQL on the leaders: what truly happened.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { seedReferenceData } from '../../examples/bank/seeding.ts';
import type { Summary } from '../../examples/bank/load/report.ts';
import { global, regional } from '../../src/topology/locality.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from './cluster.ts';

// Compiled, this file is dist/test/support/bank.js.
const REPOSITORY = join(import.meta.dirname, '..', '..', '..');
const PROGRAMS = join(REPOSITORY, 'dist', 'examples', 'bank');
const REGIONS = ['us-east', 'eu-west', 'ap-south'];
const CURRENCIES: Readonly<Record<string, [country: string, currency: string]>> = {
  'us-east': ['US', 'USD'],
  'eu-west': ['IE', 'EUR'],
  'ap-south': ['IN', 'INR'],
};
const CLIENT_TIMEOUT_MS = 20_000;
const DRIVER_TIMEOUT_MS = 60_000;

export interface Answer {
  readonly status: number;
  /** Of the app server that answered; undefined when the gateway refused. */
  readonly servedBy: string | undefined;
  readonly token: string | undefined;
  /** name=value of the cookie that was set. */
  readonly cookie: string | undefined;
  readonly json: Readonly<Record<string, unknown>>;
}

export interface Asking {
  /** Its presence makes the request a POST. */
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Entry {
  readonly entryId: string;
  readonly account: string;
  readonly requestId: string;
  readonly savings: number;
  readonly checking: number;
}

export interface DriverRun {
  readonly code: number | null;
  readonly summary: Summary;
}

export interface Bank extends AsyncDisposable {
  readonly cluster: TestPlatform;
  readonly clients: ReadonlyMap<string, TestClient>;
  /** Rejects when the connection fails. */
  ask(region: string, path: string, asking?: Asking): Promise<Answer>;
  /** Opens an account through a gateway, which needn't be its home's. */
  open(through: string, account: { readonly region: string; readonly id: string }): Promise<Answer>;
  /** SQL on the leader of a region's group; `range` is the schema of its accounts. */
  onLeader<R extends object>(
    region: string,
    text: (range: string) => string,
    values?: unknown[],
  ): Promise<R[]>;
  /** What the journal holds of a region's accounts whose ids match a LIKE pattern. */
  entries(region: string, like: string): Promise<Entry[]>;
  /** The load driver to its end. `meanwhile` runs between its load and its verification. */
  drive(args: readonly string[], meanwhile?: () => Promise<void>): Promise<DriverRun>;
}

export async function startBank(): Promise<Bank> {
  const cluster = await startTestPlatform({
    schema: {},
    changes: () => ({
      migrations: join(REPOSITORY, 'examples', 'bank', 'migrations'),
      tables: {
        currency: global(),
        country: global(),
        customer: regional({ by: 'account_id' }),
        savings: regional({ by: 'account_id' }),
        checking: regional({ by: 'account_id' }),
        entry: regional({ by: 'account_id' }),
      },
      gateway: {
        ports: { 'us-east': 0, 'eu-west': 0, 'ap-south': 0 },
        idempotencyKeys: true,
      },
      app: { command: ['node', join(PROGRAMS, 'server.js')], instancesPerRegion: 2 },
    }),
  });
  const agent = new Agent({ connections: 256, headersTimeout: CLIENT_TIMEOUT_MS });
  try {
    const connected = REGIONS.map(
      async (region) => [region, await cluster.connect(region)] as const,
    );
    const clients = new Map(await Promise.all(connected));
    await seedReferenceData(clients);
    return bankOn(cluster, clients, agent);
  } catch (error) {
    await agent.destroy();
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

function bankOn(
  cluster: TestPlatform,
  clients: ReadonlyMap<string, TestClient>,
  agent: Agent,
): Bank {
  const ask: Bank['ask'] = (region, path, asking = {}) =>
    askOver(agent, `${cluster.platform.gateways[region] ?? ''}${path}`, asking);
  const onLeader: Bank['onLeader'] = async (region, text, values) => {
    const { groups } = await cluster.platform.status();
    const group = groups.find((one) => one.homeRegion === region);
    return cluster.sql(group?.leader ?? '', text(group?.ranges[0] ?? ''), values);
  };
  return {
    cluster,
    clients,
    ask,
    onLeader,
    open: (through, { region, id }) => {
      const [country, currency] = CURRENCIES[region] ?? [];
      const body = { region, id, country, currency, name: id, savings: 0, checking: 1_000 };
      return ask(through, '/accounts', { body: { ...body, requestId: `${id}.open` } });
    },
    entries: async (region, like) => {
      const rows = await onLeader<Record<string, string>>(
        region,
        (range) => `SELECT * FROM ${range}.entry WHERE account_id LIKE $1 ORDER BY at, entry_id`,
        [like],
      );
      return rows.map((row) => ({
        entryId: row['entry_id'] ?? '',
        account: row['account_id'] ?? '',
        requestId: row['request_id'] ?? '',
        savings: Number(row['savings_delta']),
        checking: Number(row['checking_delta']),
      }));
    },
    drive: (args, meanwhile) => driveOn(cluster, args, meanwhile),
    [Symbol.asyncDispose]: async () => {
      await agent.destroy();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

async function askOver(agent: Agent, url: string, asking: Asking): Promise<Answer> {
  const { body } = asking;
  const answer = await request(url, {
    dispatcher: agent,
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...asking.headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const header = (name: string): string | undefined => {
    const value = answer.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  return {
    status: answer.statusCode,
    servedBy: header('meridian-served-by'),
    token: header('meridian-token'),
    cookie: header('set-cookie')?.split(';')[0],
    json: (await answer.body.json()) as Record<string, unknown>,
  };
}

async function driveOn(
  cluster: TestPlatform,
  args: readonly string[],
  meanwhile?: () => Promise<void>,
): Promise<DriverRun> {
  const pauseFile = join(cluster.directory, 'pause');
  const pausing = meanwhile === undefined ? [] : ['--pause-before-verify', pauseFile];
  const child = spawn(
    process.execPath,
    [join(PROGRAMS, 'drive.js'), '--warm-up', '0s', '--json', ...args, ...pausing],
    {
      env: {
        ...process.env,
        ...cluster.platform.env,
        MERIDIAN_GATEWAYS: JSON.stringify(cluster.platform.gateways),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: DRIVER_TIMEOUT_MS,
    },
  );
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(child, 'close') as Promise<[code: number | null]>;
  if (meanwhile !== undefined) {
    try {
      await until(
        () => existsSync(pauseFile) || child.exitCode !== null,
        `the driver's pause; it wrote ${stderr}`,
      );
      await meanwhile();
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      await rm(pauseFile, { force: true });
    }
  }
  const [code] = await closed;
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  try {
    return { code, summary: JSON.parse(last) as Summary };
  } catch (cause) {
    throw new Error(`the driver ended with ${code ?? 'a signal'} and: ${last}\n${stderr}`, {
      cause,
    });
  }
}

/** Waits until the condition holds, at most 30 s. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
