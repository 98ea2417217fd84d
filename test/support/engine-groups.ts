/**
 * Replication groups of real servers with nothing above them: no supervision that brings a server back,
 * no background loops. For tests of what the arbiter is made of.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { DesiredState, EngineServices, Links } from '../../src/engines/engine.ts';
import { serverAccount } from '../../src/engines/postgres/account.ts';
import { waitForServer, withAdmin } from '../../src/engines/postgres/admin.ts';
import { locateBinaries } from '../../src/engines/postgres/binaries.ts';
import { Cluster } from '../../src/engines/postgres/cluster.ts';
import { initialiseGroup, settleGroup } from '../../src/engines/postgres/initialise.ts';
import { openGroup } from '../../src/engines/postgres/opening.ts';
import type { PostgresOptions } from '../../src/engines/postgres/options.ts';
import { loadSecrets } from '../../src/engines/postgres/secrets.ts';
import { saysReady, startServer, type ServerServices } from '../../src/engines/postgres/server.ts';
import { prepareStorage } from '../../src/engines/postgres/storage.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Log } from '../../src/kernel/log.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';

export interface EngineGroups extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly server: ServerServices;
  /** What the engine's store holds now. */
  readonly stored: () => unknown;
  /** Starts the node in its role and waits until it answers. */
  start(node: string): Promise<void>;
  stop(node: string, signal?: NodeJS.Signals): Promise<void>;
  sql<R extends object>(node: string, text: string, values?: unknown[]): Promise<R[]>;
  admin<T>(node: string, run: (client: pg.Client) => Promise<T>): Promise<T>;
}

const DIRECT: Links = {
  link: (route) => Promise.resolve(route.target),
  retarget: () => Promise.resolve(),
};

const OPTIONS: PostgresOptions = {
  ...{ sharedBuffersMb: 8, connectionsMax: 30, fsync: false, startTimeoutMs: 30_000 },
  ...{ leaseMs: 2_000, clockOffsetMaxMs: 0 },
  heartbeat: { activeMs: 50, idleMs: 500 },
};

/** All groups open; nothing migrated, no range, no subscription. */
export async function startEngineGroups(
  desired: DesiredState,
  changes: {
    readonly links?: Links;
    readonly options?: Partial<PostgresOptions>;
    readonly log?: Log;
  } = {},
): Promise<EngineGroups> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-groups-'));
  await chmod(directory, 0o755);
  const host = createLocalHost(systemRandom);
  let stored: unknown;
  const services: EngineServices = {
    ...{ clock: systemClock, random: systemRandom, log: changes.log ?? silentLog, host, directory },
    links: changes.links ?? DIRECT,
    store: {
      read: () => structuredClone(stored),
      write: async (document) => {
        stored = structuredClone(document);
      },
    },
    onRoutes: () => {},
  };
  const account = serverAccount();
  const storage = await prepareStorage(directory, account);
  const server: ServerServices = {
    ...{ host, clock: systemClock, account, storage },
    secrets: await loadSecrets(directory),
    binaries: await locateBinaries({ host, account, cacheDirectory: join(directory, 'cache') }),
    options: { ...OPTIONS, ...changes.options },
  };
  const cluster = new Cluster(server, services);
  cluster.adopt(desired);

  const start = async (name: string): Promise<void> => {
    const node = cluster.node(name);
    const { connectionsMax } = cluster.group(node.spec.group);
    const role = await cluster.roleOf(name);
    node.process = await startServer(server, node.spec, { port: node.port, role, connectionsMax });
    const { process } = node;
    await waitForServer(cluster.admin(name), {
      ...{ clock: systemClock, timeoutMs: 30_000 },
      saysReady: () => saysReady(server.storage, name),
      ended: () => (process.exit === undefined ? undefined : Promise.reject(new Error('it ended'))),
    });
  };
  const stop = async (name: string, signal: NodeJS.Signals = 'SIGINT'): Promise<void> => {
    const { process } = cluster.node(name);
    process?.signal(signal);
    await process?.exited;
  };
  const admin: EngineGroups['admin'] = (node, run) => withAdmin(cluster.admin(node), run);
  const dispose = async (): Promise<void> => {
    cluster.beginStop();
    await Promise.all([...cluster.nodes.keys()].map((name) => stop(name, 'SIGQUIT')));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await cluster.assignPorts();
    for (const spec of desired.groups) {
      await initialiseGroup(server, spec);
      await settleGroup(server, spec);
      await Promise.all(spec.nodes.map((node) => start(node.name)));
      await openGroup(cluster, spec.name);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    ...{ cluster, server, start, stop, admin, stored: () => stored },
    sql: <R extends object>(node: string, text: string, values: unknown[] = []) =>
      admin(node, async (client) => (await client.query(text, values)).rows as R[]),
    [Symbol.asyncDispose]: dispose,
  };
}
