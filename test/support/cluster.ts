/**
 * A real platform for tests: the bank's schema or one of the test's own, on real servers, in a folder
 * of its own that goes away with it.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chmod } from 'node:fs/promises';
import pg from 'pg';
import { readFile } from 'node:fs/promises';
import { connect, type ConnectOptions } from '../../src/client/connect.ts';
import type { MeridianClient } from '../../src/client/api.ts';
import type { ControlSubscription } from '../../src/control/subscription.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import type { MeridianConfig } from '../../src/config/define.ts';
import type { ResolvedConfig } from '../../src/config/resolved.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { createLog } from '../../src/kernel/log.ts';
import { startPlatform, type Platform } from '../../src/platform.ts';
import { global, regional } from '../../src/topology/locality.ts';

export const SCHEMA = {
  'database/0001_currency.sql': `CREATE TABLE currency (code text PRIMARY KEY, name text NOT NULL);`,
  'regional/0001_purse.sql': `
CREATE TABLE purse (
  account_id text PRIMARY KEY,
  coins bigint NOT NULL CHECK (coins >= 0),
  currency text REFERENCES currency
);
CREATE TABLE note (account_id text, id bigint, body text, PRIMARY KEY (account_id, id));`,
} as const;

export const TABLES = {
  currency: global(),
  purse: regional({ by: 'account_id' }),
  note: regional({ by: 'account_id' }),
};

export type TestClient = MeridianClient & { readonly control: ControlSubscription };

export interface TestPlatform extends AsyncDisposable {
  readonly platform: Platform;
  readonly directory: string;
  readonly config: ResolvedConfig;
  connect(region: string, options?: Partial<ConnectOptions>): Promise<TestClient>;
  /** Superuser on a node, past everything: for looking and for planting faults. */
  sql<R extends object>(node: string, text: string, values?: unknown[]): Promise<R[]>;
  /** The same for more than one statement, on a connection that the caller ends. */
  superuserClient(node: string): Promise<pg.Client>;
  /** The same on a connection of its own. */
  superuser<T>(node: string, run: (client: pg.Client) => Promise<T>): Promise<T>;
  /** Stops the platform and starts another on the same data, with these keys changed from now on. */
  restart(changes?: Partial<ResolvedConfig>): Promise<void>;
}

/** A folder that servers of an unprivileged account may enter too. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-test-'));
  await chmod(directory, 0o755);
  return directory;
}

export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, text);
  }
}

export function testConfig(
  directory: string,
  changes: Partial<MeridianConfig> = {},
): MeridianConfig {
  return {
    regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
    primaryRegion: 'us-east',
    latency: { scale: 0.25 },
    migrations: join(directory, 'migrations'),
    tables: TABLES,
    gateway: { ports: { 'us-east': 0, 'eu-west': 0, 'ap-south': 0 } },
    dataDirectory: join(directory, 'data'),
    ...changes,
  };
}

export async function startTestPlatform(
  options: {
    readonly changes?: (directory: string) => Partial<MeridianConfig>;
    readonly schema?: Readonly<Record<string, string>>;
  } = {},
): Promise<TestPlatform> {
  const directory = await temporaryDirectory();
  const schema = options.schema ?? SCHEMA;
  await writeFiles(
    directory,
    Object.fromEntries(Object.entries(schema).map(([name, text]) => [`migrations/${name}`, text])),
  );
  const declared = testConfig(directory, options.changes?.(directory));
  let config = resolveConfig(declared, join(directory, 'meridian.config.ts'));
  const log = createLog({
    clock: systemClock,
    level: 'warn',
    write: (line) => process.stderr.write(line),
  });
  const start = (): Promise<Platform> =>
    startPlatform(config, { fresh: false, log, onProgress: () => {} });
  let platform = await start();
  const clients: MeridianClient[] = [];
  const closeClients = async (): Promise<void> => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  };
  const superuserClient: TestPlatform['superuserClient'] = async (node) => {
    const status = await platform.status();
    const port = status.nodes.find((one) => one.name === node)?.port;
    const secrets = JSON.parse(
      await readFile(join(config.dataDirectory, 'secrets.json'), 'utf8'),
    ) as { administrator: string };
    const client = new pg.Client({
      host: '127.0.0.1',
      ...(port === undefined ? {} : { port }),
      user: 'postgres',
      database: 'postgres',
      password: secrets.administrator,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const superuser: TestPlatform['superuser'] = async (node, run) => {
    const client = await superuserClient(node);
    try {
      return await run(client);
    } finally {
      await client.end();
    }
  };
  return {
    get platform() {
      return platform;
    },
    directory,
    get config() {
      return config;
    },
    connect: async (region, overrides = {}) => {
      const client = await connect({
        controlUrl: platform.env['MERIDIAN_CONTROL_URL'] ?? '',
        controlToken: platform.env['MERIDIAN_CONTROL_TOKEN'] ?? '',
        region,
        process: `test.${region}`,
        ...overrides,
      });
      clients.push(client);
      return client;
    },
    sql: <R extends object>(node: string, text: string, values: unknown[] = []) =>
      superuser(node, async (client) => (await client.query(text, values)).rows as R[]),
    superuserClient,
    superuser,
    restart: async (changes = {}) => {
      config = { ...config, ...changes };
      await closeClients();
      await platform.stop();
      platform = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await closeClients();
      await platform.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
