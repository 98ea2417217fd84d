/**
 * The embedded engine as the conformance suite's subject: real servers and an emulated WAN, without
 * the platform above the engine port.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  ClusterShape,
  EngineSubject,
  FaultControls,
  SubjectCluster,
} from 'meridian/conformance';
import type { EngineServices, Links } from '../../src/engines/engine.ts';
import { postgresAdapter } from '../../src/engines/postgres/adapter.ts';
import type { PostgresOptions } from '../../src/engines/postgres/options.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Host, HostedProcess } from '../../src/kernel/host.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';
import { childEnvironment } from '../../src/orchestrate/environment.ts';
import { startWan, type Wan } from '../../src/wan/wan.ts';

export const postgresSubject: EngineSubject<PostgresOptions> = {
  adapter: postgresAdapter,
  options: {
    sharedBuffersMb: 8,
    connectionsMax: 50,
    // Nothing here has to survive the end of the machine, and every commit of the suite is waited for.
    fsync: false,
    startTimeoutMs: 30_000,
    leaseMs: 2_000,
    clockOffsetMaxMs: 0,
    heartbeat: { activeMs: 50, idleMs: 500 },
  },
  start,
};

async function start(shape: ClusterShape): Promise<SubjectCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-conformance-'));
  await chmod(directory, 0o755);
  const servers = new Map<string, HostedProcess>();
  const local = createLocalHost(systemRandom);
  const host: Host = {
    ...local,
    spawn: async (spec) => {
      const process = await local.spawn(spec);
      servers.set(spec.name, process);
      return process;
    },
  };
  const wan = await startWan({
    ...{ host: local, clock: systemClock, log: silentLog, scale: 1, latency: shape.latency },
    ...{ logFile: join(directory, 'wan.log'), env: childEnvironment() },
  });
  // As the control store would keep it: from one life of the control side to the next.
  let stored: unknown;
  const services: EngineServices = {
    ...{ clock: systemClock, random: systemRandom, log: silentLog, host, directory },
    links: linksOver(wan),
    store: {
      read: () => structuredClone(stored),
      write: async (document) => {
        stored = structuredClone(document);
      },
    },
    onRoutes: () => {},
  };
  return {
    services: () => services,
    running: () =>
      [...servers.values()].filter((one) => one.exit === undefined).map((one) => one.name),
    faults: faultsOf(servers, wan),
    [Symbol.asyncDispose]: async () => {
      for (const server of servers.values()) server.signal('SIGKILL');
      await Promise.all([...servers.values()].map((server) => server.exited));
      await wan[Symbol.asyncDispose]();
      await postgresAdapter.discard(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** As in src/platform.ts: no distance within a zone. */
function linksOver(wan: Wan): Links {
  return {
    link: (route) =>
      route.from.region === route.to.region && route.from.zone === route.to.zone
        ? Promise.resolve(route.target)
        : wan.link(route),
    retarget: (old, next) => wan.retarget(old, next),
  };
}

function faultsOf(servers: ReadonlyMap<string, HostedProcess>, wan: Wan): FaultControls {
  const toAll = async (node: string, signal: NodeJS.Signals): Promise<void> => {
    const server = servers.get(node);
    if (server === undefined || server.exit !== undefined) return;
    for (const pid of [...(await childrenOf(server.pid)), server.pid]) {
      try {
        process.kill(pid, signal);
      } catch {
        // Ended meanwhile: backends come and go.
      }
    }
  };
  return {
    kill: async (node) => {
      await toAll(node, 'SIGKILL');
      await servers.get(node)?.exited;
    },
    pause: (node) => toAll(node, 'SIGSTOP'),
    resume: (node) => toAll(node, 'SIGCONT'),
    cut: (region) => wan.cut({ from: { region } }),
    heal: (region) => wan.heal({ from: { region } }),
  };
}

/** The backends of a server, on Linux; elsewhere only its own process is reached. */
async function childrenOf(pid: number): Promise<number[]> {
  const file = `/proc/${String(pid)}/task/${String(pid)}/children`;
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split(' ')
    .map(Number)
    .filter((child) => child > 0);
}
