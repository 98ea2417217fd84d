/** Fills in every default and makes every path absolute. Pure; the declaration passed all checks. */
import { dirname, resolve } from 'node:path';
import type { AppOptions } from '../app/options.ts';
import type { RehomingOptions } from '../placement/rehoming-mode.ts';
import type { DeclaredPlacement, Prices } from '../topology/declared.ts';
import { regionPair, type Region } from '../topology/region.ts';
import { DEFAULTS } from './defaults.ts';
import type { AppConfig, MeridianConfig, PricesConfig, RehomingConfig } from './define.ts';
import { latencyMatrix, parsePair } from './latency.ts';
import { resolveGateway } from './resolve-gateway.ts';
import type { EngineOptions, LatencyOptions, ResolvedConfig } from './resolved.ts';

function resolveRegions(config: MeridianConfig): Region[] {
  return Object.entries(config.regions).map(([name, { zones, coordinates }]) => ({
    name,
    zones: zones ?? DEFAULTS.regions['<region>'].zones,
    ...(coordinates === undefined ? {} : { coordinates }),
  }));
}

function resolveLatency(config: MeridianConfig, regions: readonly Region[]): LatencyOptions {
  const off = config.latency === 'off';
  const declared = off ? {} : (config.latency ?? {});
  const scale = off ? 0 : (declared.scale ?? DEFAULTS.latency.scale);
  return { matrix: latencyMatrix(regions, declared), scale, emulated: scale > 0 };
}

function resolveApp(app: AppConfig, base: string): AppOptions {
  return {
    command: app.command,
    directory: resolve(base, app.directory ?? DEFAULTS.app.directory),
    env: app.env ?? {},
    instancesPerRegion: app.instancesPerRegion ?? DEFAULTS.app.instancesPerRegion,
    healthPath: app.healthPath ?? DEFAULTS.app.healthPath,
    healthIntervalMs: app.healthIntervalMs ?? DEFAULTS.app.healthIntervalMs,
    drainTimeoutMs: app.drainTimeoutMs ?? DEFAULTS.app.drainTimeoutMs,
    startTimeoutMs: app.startTimeoutMs ?? DEFAULTS.app.startTimeoutMs,
  };
}

function resolveEngine(
  config: MeridianConfig,
  shared: Pick<ResolvedConfig, 'startTimeoutMs' | 'heartbeat'>,
): EngineOptions {
  const defaults = DEFAULTS.engine.options;
  const declared = config.engine?.options ?? {};
  return {
    adapter: config.engine?.adapter ?? DEFAULTS.engine.adapter,
    options: {
      sharedBuffersMb: declared.sharedBuffersMb ?? defaults.sharedBuffersMb,
      connectionsMax: declared.connectionsMax ?? defaults.connectionsMax,
      fsync: declared.fsync ?? defaults.fsync,
      leaseMs: declared.leaseMs ?? defaults.leaseMs,
      clockOffsetMaxMs: declared.clockOffsetMaxMs ?? defaults.clockOffsetMaxMs,
      startTimeoutMs: shared.startTimeoutMs,
      heartbeat: shared.heartbeat,
    },
  };
}

function resolveRehoming(declared: RehomingConfig): RehomingOptions {
  const given = Object.fromEntries(
    Object.entries(declared).filter(([, value]) => value !== undefined),
  ) as RehomingConfig;
  const { mode, intervalMs, intervalsPerCycle, accountsMax, ...others } = {
    ...DEFAULTS.rehoming,
    ...given,
  } as typeof DEFAULTS.rehoming;
  const { hotAccessesMin, hotImbalanceMin, ...policy } = others;
  const hot = { accessesMin: hotAccessesMin, imbalanceMin: hotImbalanceMin };
  return { mode, intervalMs, intervalsPerCycle, accountsMax, policy, hot };
}

function resolvePrices(declared: PricesConfig): Prices {
  const perGigabyte: Record<string, number> = {};
  for (const [key, price] of Object.entries(declared.perGigabyte ?? {})) {
    const pair = parsePair(key);
    if (pair !== undefined && price !== undefined) perGigabyte[regionPair(...pair)] = price;
  }
  return {
    currency: declared.currency ?? DEFAULTS.prices.currency,
    perGigabyte,
    otherPerGigabyte: declared.otherPerGigabyte ?? DEFAULTS.prices.otherPerGigabyte,
  };
}

/** What of it says where data is. */
export function declaredPlacement(config: ResolvedConfig): DeclaredPlacement {
  const { regions, primaryRegion, survive, prices } = config;
  const { groupsPerRegion, rangesPerRegion, residencies } = config;
  return {
    ...{ regions, primaryRegion, survive, groupsPerRegion, rangesPerRegion, residencies, prices },
    latency: config.latency.matrix,
  };
}

/** `configFile` is absolute; relative paths of the declaration start at its folder. */
export function resolveConfig(config: MeridianConfig, configFile: string): ResolvedConfig {
  const base = dirname(configFile);
  const regions = resolveRegions(config);
  const dataDirectory = resolve(base, config.dataDirectory ?? DEFAULTS.dataDirectory);
  const startTimeoutMs = config.startTimeoutMs ?? DEFAULTS.startTimeoutMs;
  const heartbeat = {
    activeMs: config.heartbeat?.activeMs ?? DEFAULTS.heartbeat.activeMs,
    idleMs: config.heartbeat?.idleMs ?? DEFAULTS.heartbeat.idleMs,
  };
  return {
    configFile,
    regions,
    primaryRegion: config.primaryRegion,
    survive: config.survive ?? DEFAULTS.survive,
    residencies: Object.entries(config.residency ?? DEFAULTS.residency).map(([name, within]) => ({
      name,
      regions: within,
    })),
    groupsPerRegion: config.groupsPerRegion ?? DEFAULTS.groupsPerRegion,
    rangesPerRegion: config.rangesPerRegion ?? DEFAULTS.rangesPerRegion,
    latency: resolveLatency(config, regions),
    engine: resolveEngine(config, { startTimeoutMs, heartbeat }),
    migrationsDirectory: resolve(base, config.migrations ?? DEFAULTS.migrations),
    tables: config.tables,
    tenantFence: config.tenantFence ?? DEFAULTS.tenantFence,
    ...(config.app === undefined ? {} : { app: resolveApp(config.app, base) }),
    gateway: resolveGateway(config.gateway ?? {}, { regions, base, dataDirectory }),
    ...(config.traffic === undefined
      ? {}
      : {
          traffic: {
            command: config.traffic.command,
            directory: resolve(base, config.traffic.directory ?? DEFAULTS.traffic.directory),
          },
        }),
    dataDirectory,
    controlPort: config.controlPort ?? DEFAULTS.controlPort,
    startTimeoutMs,
    ...(config.prices === undefined ? {} : { prices: resolvePrices(config.prices) }),
    statements: config.statements ?? DEFAULTS.statements,
    rehoming: resolveRehoming(config.rehoming ?? {}),
    heartbeat,
    log: { level: config.log?.level ?? DEFAULTS.log.level },
  };
}
