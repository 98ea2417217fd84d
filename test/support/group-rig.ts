/**
 * One replication group on real servers and an emulated WAN, without the platform above the engine port,
 * and the means to hurt it: what failover, switchover and rebuilding are tested on.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { desiredFor, shapeFor } from '../../src/conformance/schema.ts';
import { converge } from '../../src/conformance/steps.ts';
import type { ClusterShape } from '../../src/conformance/subject.ts';
import type { DesiredState, Engine, EngineServices, Wanted } from '../../src/engines/engine.ts';
import { postgresAdapter } from '../../src/engines/postgres/adapter.ts';
import type { PostgresOptions } from '../../src/engines/postgres/options.ts';
import type { ClusterSnapshot, ObservedGroup } from '../../src/engines/snapshot.ts';
import { present } from '../../src/kernel/assert.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import type { Host, HostedProcess } from '../../src/kernel/host.ts';
import { createLog, silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';
import { childEnvironment } from '../../src/orchestrate/environment.ts';
import type { NodeSpec } from '../../src/topology/node.ts';
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { startWan } from '../../src/wan/wan.ts';
import { linksOver } from '../../src/wan/within-zone.ts';

export const GROUP = 'home-1';

const OPTIONS: PostgresOptions = {
  sharedBuffersMb: 8,
  connectionsMax: 50,
  // Processes are killed here, not the kernel: what they wrote stays.
  fsync: false,
  startTimeoutMs: 30_000,
  leaseMs: 2_000,
  clockOffsetMaxMs: 0,
  heartbeat: { activeMs: 50, idleMs: 500 },
};

export interface GroupRig extends AsyncDisposable {
  readonly engine: Engine;
  readonly desired: DesiredState;
  readonly nodes: readonly NodeSpec[];
  readonly directory: string;
  leader(): string | undefined;
  group(): Promise<ObservedGroup>;
  snapshot(): Promise<ClusterSnapshot>;
  /** The process ends with everything of it; its keeper may bring it back. */
  kill(node: string): void;
  /** Its machine is down: nothing starts there until `up`. */
  down(node: string): void;
  up(node: string): void;
  freeze(node: string): void;
  thaw(node: string): void;
  /** The zone of the node is cut off from the rest of the world, the arbiter included. */
  isolate(node: string): Promise<void>;
  rejoin(node: string): Promise<void>;
  /** Superuser on a node, past everything. */
  sql<R extends object>(node: string, text: string): Promise<R[]>;
  address(node: string): { readonly host: string; readonly port: number };
  until(what: string, holds: () => Promise<boolean> | boolean, timeoutMs?: number): Promise<void>;
  /** Open, every node streams, nothing is being repaired. */
  whole(timeoutMs?: number): Promise<void>;
  /**
   * The supervisor dies, its servers with it; the next one starts from what is stored. Resolves when nothing
   * is left to be done: not before a machine that is down is up again.
   */
  nextLife(): Promise<void>;
}

export async function startGroup(
  survive: SurvivalGoal,
  options: {
    readonly onPhase?: (machine: string, phase: string) => Promise<void> | void;
    /** Before the engine's document is stored, which waits for it. */
    readonly onStore?: (document: unknown) => Promise<void>;
    readonly engine?: Partial<PostgresOptions>;
    /** Other regions than the least that `survive` needs. */
    readonly shape?: ClusterShape;
    /** The second is homed in the second region, and has a range of its own. */
    readonly groups?: 1 | 2;
    /** What else is declared. */
    readonly declare?: (desired: DesiredState) => DesiredState;
  } = {},
): Promise<GroupRig> {
  const shape = options.shape ?? shapeFor(survive);
  const { declare = (same) => same } = options;
  const desired = declare(desiredFor(shape, options.groups ?? 1));
  const nodes = desired.groups.flatMap((group) => group.nodes);
  const directory = await mkdtemp(join(tmpdir(), 'meridian-group-'));
  await chmod(directory, 0o755);
  const servers = new Map<string, HostedProcess>();
  const down = new Set<string>();
  const isolated = new Set<string>();
  const local = createLocalHost(systemRandom);
  const host: Host = {
    ...local,
    isDown: (name) => down.has(name),
    spawn: async (spec) => {
      if (down.has(spec.name)) throw new MeridianError('ERR_HOST_DOWN', `${spec.name} is down`);
      const process = await local.spawn(spec);
      servers.set(spec.name, process);
      return process;
    },
  };
  const log =
    process.env['RIG_LOG'] === undefined
      ? silentLog
      : createLog({
          clock: systemClock,
          level: 'debug',
          write: (line) => process.stderr.write(line),
        });
  const wan = await startWan({
    ...{ host: local, clock: systemClock, log: silentLog, scale: 1, latency: shape.latency },
    ...{ logFile: join(directory, 'wan.log'), env: childEnvironment() },
  });
  const place = ({ locality }: Pick<NodeSpec, 'locality'>): string =>
    `${locality.region}/${locality.zone}`;
  let stored: unknown;
  const services: EngineServices = {
    ...{ clock: systemClock, random: systemRandom, log, host, directory },
    links: linksOver(wan, shape.latency),
    store: {
      read: () => structuredClone(stored),
      write: async (document) => {
        await options.onStore?.(document);
        stored = structuredClone(document);
      },
    },
    onRoutes: () => {},
    reaches: (locality) => !isolated.has(place({ locality })),
    ...(options.onPhase === undefined ? {} : { onPhase: options.onPhase }),
  };
  const open = async (): Promise<Engine> => {
    const engine = await postgresAdapter.open({ ...OPTIONS, ...options.engine }, services);
    engine.adopt(desired);
    return engine;
  };
  const specOf = (name: string): NodeSpec =>
    present(
      nodes.find((one) => one.name === name),
      name,
    );
  const server = (name: string): HostedProcess => present(servers.get(name), name);
  let engine = await open();
  await converge(engine, desired);
  const rig: GroupRig = {
    get engine() {
      return engine;
    },
    ...{ desired, nodes, directory },
    leader: () => engine.routes().groups[GROUP]?.leader,
    snapshot: () => engine.observe({}),
    group: async () => present((await engine.observe({})).groups[GROUP], GROUP),
    kill: (name) => {
      server(name).signalTree('SIGKILL');
    },
    down: (name) => {
      down.add(name);
      server(name).signalTree('SIGKILL');
    },
    up: (name) => {
      down.delete(name);
    },
    freeze: (name) => {
      server(name).signalTree('SIGSTOP');
    },
    thaw: (name) => {
      server(name).signalTree('SIGCONT');
    },
    isolate: async (name) => {
      isolated.add(place(specOf(name)));
      await wan.cut({ from: specOf(name).locality });
    },
    rejoin: async (name) => {
      isolated.delete(place(specOf(name)));
      await wan.heal({ from: specOf(name).locality });
    },
    address: (name) =>
      present(
        engine.routes().nodes.find(({ node }) => node === name),
        name,
      ).address,
    sql: async <R extends object>(name: string, text: string): Promise<R[]> => {
      const secrets = JSON.parse(await readFile(join(directory, 'secrets.json'), 'utf8')) as {
        administrator: string;
      };
      const client = new pg.Client({
        ...rig.address(name),
        ...{ user: 'postgres', database: 'postgres', password: secrets.administrator },
        connectionTimeoutMillis: 2_000,
      });
      client.on('error', () => {});
      await client.connect();
      try {
        return (await client.query(text)).rows as R[];
      } finally {
        await client.end();
      }
    },
    until: async (what, holds, timeoutMs = 20_000) => {
      await waitUntil(systemClock, { what, timeoutMs, intervalMs: 25 }, async () =>
        (await holds()) ? true : undefined,
      );
    },
    whole: (timeoutMs = 40_000) =>
      rig.until(
        'the group to be whole',
        async () => {
          const seen = await engine.observe({});
          return (
            seen.groups[GROUP]?.open === true &&
            nodes.every(({ name }) => {
              const node = seen.nodes[name];
              if (node?.repair !== undefined) return false;
              return node?.role === 'leader' || node?.streaming === true;
            })
          );
        },
        timeoutMs,
      ),
    nextLife: async () => {
      engine.kill();
      await Promise.all([...servers.values()].map((one) => one.exited));
      engine = await open();
      await converge(engine, desired);
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of servers.values()) if (one.exit === undefined) one.signalTree('SIGCONT');
      await engine.stop();
      for (const one of servers.values()) one.signalTree('SIGKILL');
      await wan[Symbol.asyncDispose]();
      await postgresAdapter.discard(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
  return rig;
}

/** What an operator asks for; resolves with the phases that it went through. */
export async function performOn(rig: GroupRig, wanted: Wanted): Promise<string[]> {
  const phases: string[] = [];
  const onPhase = (phase: string): number => phases.push(phase);
  for (const step of rig.engine.planWanted(wanted, await rig.snapshot())) {
    await rig.engine.perform(step, rig.desired, { onPhase });
  }
  return phases;
}
