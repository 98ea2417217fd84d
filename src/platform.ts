/**
 * The composition root: builds every part from a resolved configuration, starts them in order and
 * stops them in reverse. The only file that knows everybody.
 *
 *   installation → emulated WAN → engine (servers, schema, ranges) → control server → gateways, app
 */
import { startAppHost } from './app/host.ts';
import { createChaos } from './chaos/control.ts';
import { faultHost } from './chaos/host.ts';
import { startControlServer, type ControlServer } from './control/feed-server.ts';
import type { StatusReport } from './control/status.ts';
import type { ResolvedConfig } from './config/resolved.ts';
import type { DesiredState } from './engines/engine.ts';
import { adapterFor } from './engines/registry.ts';
import { systemClock } from './kernel/clock.ts';
import { MeridianError, messageOf } from './kernel/errors.ts';
import { systemRandom } from './kernel/random.ts';
import { Scope } from './kernel/scope.ts';
import { readMigrations } from './migrations/files.ts';
import { desiredState } from './orchestrate/desired.ts';
import { createLocalHost } from './orchestrate/drivers/local.ts';
import { childEnvironment, environmentOf } from './orchestrate/environment.ts';
import { secretVariables } from './gateway/options.ts';
import { openWan } from './orchestrate/emulated-wan.ts';
import { faultTargets } from './orchestrate/fault-targets.ts';
import { startGateways, type Gateways } from './orchestrate/gateways.ts';
import { oneMigrationAtATime } from './orchestrate/migration.ts';
import { lettingGo } from './orchestrate/let-go.ts';
import { Operations } from './orchestrate/operate.ts';
import { operateBy } from './orchestrate/operating.ts';
import { openInstallation } from './orchestrate/installation.ts';
import { reloading } from './orchestrate/reloading.ts';
import { reconcile } from './orchestrate/reconcile.ts';
import { platformMetrics, type PlatformMetrics } from './orchestrate/metrics.ts';
import { RollingRestart } from './orchestrate/rolling-restart.ts';
import { statusReport } from './orchestrate/status.ts';
import { endStrays, forgetProcesses, recordedHost } from './orchestrate/strays.ts';
import { World } from './orchestrate/world.ts';
import type { Platform, StartOptions } from './platform-api.ts';
import type { Data, Edge, Ground, Start } from './platform-parts.ts';
import { placementOf, startPlacement } from './platform-placement.ts';
import type { Locality } from './topology/region.ts';
import { linksOver } from './wan/within-zone.ts';

export type { Platform, StartOptions } from './platform-api.ts';

/** Rejects with what went wrong, after stopping all that had been started. */
export async function startPlatform(
  config: ResolvedConfig,
  options: StartOptions,
): Promise<Platform> {
  const clock = options.clock ?? systemClock;
  const startedAt = clock.monotonicMs();
  let fail: (error: MeridianError) => void = () => {};
  const failed = new Promise<MeridianError>((resolve) => {
    fail = resolve;
  });
  const signal = options.signal ?? new AbortController().signal;
  const declared: Start = {
    ...{ config, clock, signal, fail, log: options.log, reload: options.reload },
    desired: desiredState(config, await readMigrations(config.migrationsDirectory)),
    adapter: adapterFor(config.engine.adapter),
    random: systemRandom,
    scope: new Scope(),
    startedAtMs: clock.now(),
    begin: (line) => {
      if (signal.aborted) throw new MeridianError('ERR_ABORTED', 'the start was interrupted');
      options.onProgress(line);
    },
  };
  try {
    const ground = await prepareGround(declared, options.fresh);
    options.onKillable?.(() => {
      ground.host.kill(databaseNodes(declared.desired));
    });
    const stored = ground.installation.engineStore.read();
    const desired = declared.adapter.asStored?.(stored, declared.desired) ?? declared.desired;
    const start = { ...declared, desired };
    const data = await startData(start, ground);
    const databaseReadyMs = Math.round(clock.monotonicMs() - startedAt);
    const edge = await startEdge(start, data);
    data.edge = edge;
    await data.rehoming.start(ground.installation.fresh);
    await data.draining.resume();
    await ground.installation.announce(data.control.url);
    data.readyMs = Math.round(clock.monotonicMs() - startedAt);
    return {
      readyMs: data.readyMs,
      databaseReadyMs,
      fresh: ground.installation.fresh,
      gateways: edge.gateways.urls,
      env: controlEnvironment(data),
      status: () => statusOf(start, data),
      restart: (request, how) => edge.rolling.run(request, how),
      operate: (request, how) => operateBy(data, request, how),
      explain: (account) => data.rehoming.explain(account),
      placement: (question) => placementOf(start, data, question),
      chaos: data.chaos,
      failed,
      stop: () => start.scope.close(),
      kill: () => {
        data.chaos.abandon();
        data.engine.kill();
        ground.host.kill(databaseNodes(start.desired));
      },
    };
  } catch (error) {
    await declared.scope.close().catch((reason: unknown) => {
      options.log.error('stopping after a failed start failed too', { reason: messageOf(reason) });
    });
    if (!signal.aborted) throw error;
    // Whatever failed, failed because the start was interrupted.
    throw new MeridianError('ERR_ABORTED', 'the start was interrupted', { cause: error });
  }
}

/** The lock, the documents, and nothing left running of an earlier start. */
async function prepareGround(start: Start, fresh: boolean): Promise<Ground> {
  const { config, clock, log, scope } = start;
  const nodes = databaseNodes(start.desired);
  const installation = await openInstallation({
    directory: config.dataDirectory,
    clock,
    discard: fresh,
    beforeReading: async ({ processesFile }) => {
      // Database servers that keep their data are stopped by the engine, in their own way.
      const database = fresh ? 'SIGQUIT' : 'keep';
      const how = (name: string): NodeJS.Signals | 'keep' =>
        nodes.has(name) ? database : 'SIGTERM';
      await endStrays(processesFile, { clock, log, how });
      if (fresh) await start.adapter.discard(config.dataDirectory);
    },
  });
  scope.push('installation', () => installation.close());
  const machines = faultHost(createLocalHost(start.random), clock);
  const host = recordedHost(machines, installation.processesFile);
  // A copy of a data directory may take seconds; Ctrl-C does not wait for it.
  const interrupted = (): void => {
    host.endCommands();
  };
  if (start.signal.aborted) interrupted();
  else start.signal.addEventListener('abort', interrupted, { once: true });
  scope.push('interruption', () => {
    start.signal.removeEventListener('abort', interrupted);
  });
  // Released after everything that it records.
  scope.push('process record', () => forgetProcesses(installation.processesFile));
  return { installation, host, machines };
}

async function startData(start: Start, ground: Ground): Promise<Data> {
  const { config, desired, clock, random, log, scope } = start;
  const { installation, host } = ground;
  start.begin(
    installation.fresh ? 'creating the database servers' : 'starting the database servers',
  );
  const { latency } = config;
  const wan = await openWan({ ...start, host, latency, logDirectory: installation.logDirectory });
  const links = linksOver(wan, config.latency.matrix);
  const world = new World({
    regions: config.regions,
    groups: desired.groups,
    primaryGroup: desired.primaryGroup,
    latency: config.latency.matrix,
    link: (route) => links.link(route),
  });
  const chaos = createChaos({
    ...{ clock, log, wan, host: ground.machines, emulated: config.latency.emulated },
    lifecycle: start.adapter.capabilities.lifecycle,
    world: () => faultTargets({ ...config, groups: desired.groups }, processesOf(data)),
    skewClock: () => engine.skewClock?.bind(engine),
  });
  const engine = await start.adapter.open(config.engine.options, {
    ...{ clock, random, log, host, links },
    store: installation.engineStore,
    directory: config.dataDirectory,
    onRoutes: () => {
      world.changed();
    },
    reaches: (place) => chaos.reaches(place),
  });
  scope.push('engine', () => engine.stop());
  // Servers that stand still do not stop in order.
  scope.push('faults on purpose', () => chaos.close());
  world.attach({ routes: () => engine.routes() });
  await reconcile(engine, desired, { clock, log, signal: start.signal });
  const operations = new Operations({ engine, desired, clock, log });
  scope.push('operations', () => operations.close());
  const placement = await startPlacement(start, { engine, operations }, () =>
    statusOf(start, data),
  );
  const servers = databaseNodes(desired).size;
  start.begin(
    `${String(servers)} database servers in ${String(desired.groups.length)} replication groups are up`,
  );
  const control = await openControl(start, { ...ground, engine, world, chaos, data: () => data });
  scope.push('control server', () => control[Symbol.asyncDispose]());
  world.attach({
    publish: () => {
      control.publish();
    },
  });
  const data: Data = { ...ground, ...placement, engine, control, world, chaos, operations };
  return data;
}

/** Its answers need parts that start after it. */
function openControl(
  start: Start,
  parts: Pick<Data, 'installation' | 'engine' | 'world' | 'chaos'> & { readonly data: () => Data },
): Promise<ControlServer> {
  const { config, desired, clock, log } = start;
  const { installation, engine, world, chaos, data } = parts;
  return startControlServer({
    ...{ host: '127.0.0.1', port: config.controlPort, token: installation.controlToken },
    ...{ clock, log },
    hello: () => ({
      kind: 'hello',
      installation: installation.id,
      supervisorStart: start.startedAtMs,
      engine: config.engine.adapter,
      regions: config.regions,
      primaryRegion: config.primaryRegion,
      latency: config.latency.matrix,
      database: engine.applicationCredentials(),
      gateway: { ...config.gateway, healthPath: config.app?.healthPath },
    }),
    view: (subscriber) => world.viewFrom(subscriber),
    status: () => statusOf(start, data()),
    activity: () => {
      engine.noteActivity();
    },
    traffic: (report) => {
      data().rehoming.report(report);
    },
    explain: (account) => data().rehoming.explain(account),
    placement: (question) => placementOf(start, data(), question),
    migrate: oneMigrationAtATime({
      ...{ engine, desired, clock, log },
      directory: config.migrationsDirectory,
    }),
    metrics: metricsOf(start, () => data()),
    chaos,
    restart: async (request, how) => rollingOf(data()).run(request, how),
    operate: (request, how) => operateBy(data(), request, how),
    reload: reloading(start.reload, (next) => acceptable(start, installation, next)),
  });
}

/** Throws what a start with this configuration would refuse. */
async function acceptable(
  { adapter }: Start,
  { engineStore }: Ground['installation'],
  next: ResolvedConfig,
): Promise<void> {
  const desired = desiredState(next, await readMigrations(next.migrationsDirectory));
  adapter.checkStored?.(engineStore.read(), desired);
}

function rollingOf({ edge }: Data): RollingRestart {
  if (edge !== undefined) return edge.rolling;
  throw new MeridianError('ERR_RESTART_UNDER_WAY', 'the platform is still starting');
}

/** Gateways and app servers, started side by side and stopped so: draining times don't add up. */
async function startEdge(start: Start, data: Data): Promise<Edge> {
  const { config, clock, random, log } = start;
  const { host, installation, world } = data;
  start.begin('starting the gateways and app servers');
  const environment = (place: Locality, name: string): Record<string, string> => ({
    ...childEnvironment(),
    ...controlEnvironment(data),
    MERIDIAN_REGION: place.region,
    MERIDIAN_ZONE: place.zone,
    MERIDIAN_PROCESS: name,
  });
  const { logDirectory } = installation;
  const shared = { host, clock, random, log, logDirectory, regions: config.regions };
  let started: Gateways | undefined;
  const letGoOf = lettingGo({
    ...{ clock, log, inFlightMs: config.gateway.requestTimeoutMs },
    uses: (instance, version) => started?.uses(instance, version) ?? new Map(),
    version: () => world.version,
    stopping: () => start.scope.closed,
  });
  const [app, gateways] = await Promise.allSettled([
    config.app === undefined
      ? undefined
      : startAppHost({
          ...shared,
          options: config.app,
          controlEnv: (region, zone, name) => environment({ region, zone }, name),
          onChange: (servers) => {
            world.appServersAre(servers);
          },
          letGoOf,
        }),
    startGateways({
      ...shared,
      gateway: config.gateway,
      controlEnv: (place, name) => ({
        ...environment(place, name),
        ...environmentOf(secretVariables(config.gateway)),
      }),
      startTimeoutMs: config.startTimeoutMs,
    }).then((running) => (started = running)),
  ]);
  start.scope.push('gateways and app servers', async () => {
    await Promise.all([
      gateways.status === 'fulfilled' ? gateways.value.stop() : undefined,
      app.status === 'fulfilled' ? app.value?.close() : undefined,
    ]);
  });
  start.scope.push('faults on purpose at the edge', () => data.chaos.close());
  if (gateways.status === 'rejected') throw gateways.reason as Error;
  if (app.status === 'rejected') throw app.reason as Error;
  const edge = { gateways: gateways.value, app: app.value };
  return { ...edge, rolling: new RollingRestart({ ...shared, ...edge }) };
}

async function statusOf(start: Start, data: Data): Promise<StatusReport> {
  const { config, desired } = start;
  return statusReport({
    installation: data.installation.id,
    engine: config.engine.adapter,
    survive: config.survive,
    primaryRegion: config.primaryRegion,
    startedAtMs: start.startedAtMs,
    supervisorPid: process.pid,
    regions: config.regions,
    groups: desired.groups,
    snapshot: await data.engine.observe({}),
    ...processesOf(data),
    faults: data.chaos.faults(),
    drains: data.draining.status,
    rehoming: data.rehoming.status,
  });
}

function metricsOf(start: Start, data: () => Data): PlatformMetrics {
  const { config } = start;
  return platformMetrics(start, {
    ...{ engine: config.engine.adapter, survive: config.survive, regions: config.regions },
    startedAtMs: start.startedAtMs,
    appServersPerRegion: config.app?.instancesPerRegion ?? 0,
    processes: () => processesOf(data()),
    faults: () => data().chaos.faults().length,
    status: () => statusOf(start, data()),
  });
}

function processesOf({ edge }: Data): Pick<StatusReport, 'gateways' | 'appServers'> {
  return { gateways: edge?.gateways.status() ?? [], appServers: edge?.app?.status() ?? [] };
}

function controlEnvironment(data: Pick<Data, 'control' | 'installation'>): Record<string, string> {
  return {
    MERIDIAN_CONTROL_URL: data.control.url,
    MERIDIAN_CONTROL_TOKEN: data.installation.controlToken,
  };
}

function databaseNodes(desired: DesiredState): Set<string> {
  return new Set(desired.groups.flatMap((group) => group.nodes.map((node) => node.name)));
}
