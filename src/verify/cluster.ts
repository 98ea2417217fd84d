/**
 * A cluster to be tortured: a platform of its own in a folder of its own, with library clients in every
 * zone and HTTP clients at every gateway. Nothing of the user's data is touched.
 *
 * Its servers do not wait for the disk (`fsync` off). That is sound here because faults end processes
 * and cut wires, and never the machine: what a process has written outlives it without a flush.
 */
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MeridianClient } from '../client/api.ts';
import { connect } from '../client/connect.ts';
import type { MeridianConfig } from '../config/define.ts';
import { postgres } from '../config/parts.ts';
import { resolveConfig } from '../config/resolve.ts';
import type { ResolvedConfig } from '../config/resolved.ts';
import type { ControlSubscription } from '../control/subscription.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import { Scope } from '../kernel/scope.ts';
import type { Platform, StartPlatform } from '../platform-api.ts';
import { gatewayDoor, libraryDoor, type Door } from './doors.ts';
import { startFeedRelay, type FeedRelay } from './feed-relay.ts';
import { SKEW_MAX_MS } from './nemesis/moves/building.ts';
import type { Geography, VerifyOptions } from './options.ts';
import { MIGRATIONS, TABLES } from './schema.ts';
import type { RegionDoors } from './workloads/workload.ts';

/** A library client and the place that it shares the fate of. */
export interface PlacedClient {
  readonly region: string;
  readonly zone: string;
  readonly db: MeridianClient;
  readonly relay: FeedRelay;
}

export interface VerifyCluster extends AsyncDisposable {
  readonly platform: Platform;
  readonly config: ResolvedConfig;
  readonly regions: readonly RegionDoors[];
  readonly placed: readonly PlacedClient[];
  /** Hears everything, always: for the nemesis and for the last reads. */
  readonly observer: MeridianClient & { readonly control: ControlSubscription };
}

export interface ClusterStart {
  readonly options: VerifyOptions;
  readonly geography: Geography;
  readonly folder: string;
  readonly startPlatform: StartPlatform;
  readonly clock: Clock;
  readonly log: Log;
  readonly onProgress: (line: string) => void;
  /** Called with what ends every process at once, as soon as there may be one. */
  readonly onRunning?: (kill: () => void) => void;
  readonly signal: AbortSignal;
}

const CONNECTIONS_PER_NODE_MAX = 4;
const RESIDENCY = 'local';

/** One that servers of an unprivileged account may enter too. */
export async function clusterFolder(wanted: string | undefined): Promise<string> {
  if (wanted !== undefined) await mkdir(wanted, { recursive: true });
  const folder = wanted ?? (await mkdtemp(join(tmpdir(), 'meridian-verify-')));
  await chmod(folder, 0o755);
  return folder;
}

export function declarationOf(
  { options, geography, folder }: Pick<ClusterStart, 'options' | 'geography' | 'folder'>,
  appProgram: string,
): ResolvedConfig {
  const declared: MeridianConfig = {
    regions: Object.fromEntries(geography.regions.map(({ name, ...region }) => [name, region])),
    primaryRegion: geography.primaryRegion,
    survive: options.layout,
    residency: residencyFor({ options, geography }),
    rangesPerRegion: 2,
    latency: options.scale === 0 ? 'off' : { scale: options.scale },
    // A server's clock may be moved from one end of what is injected to the other.
    engine: postgres({ fsync: false, clockOffsetMaxMs: 2 * SKEW_MAX_MS }),
    migrations: join(folder, 'migrations'),
    tables: TABLES,
    app: { command: [process.execPath, appProgram], instancesPerRegion: 1, directory: folder },
    gateway: { basePort: 0, idempotencyKeys: true },
    dataDirectory: join(folder, 'data'),
  };
  const resolved = resolveConfig(declared, join(folder, 'meridian.config.ts'));
  const { matrix } = geography;
  return matrix === undefined
    ? resolved
    : { ...resolved, latency: { ...resolved.latency, matrix } };
}

/**
 * The last region, where accounts are asked to leave it. With region survival it would have to be three of them, and
 * outside there is nobody.
 */
function residencyFor({
  options: { faults, layout },
  geography: { regions },
}: Pick<ClusterStart, 'options' | 'geography'>): Record<string, string[]> {
  const last = regions.at(-1);
  const asked = faults.includes('rehome');
  if (layout !== 'zone' || regions.length < 2 || last === undefined || !asked) return {};
  return { [RESIDENCY]: [last.name] };
}

export async function startCluster(start: ClusterStart): Promise<VerifyCluster> {
  const scope = new Scope();
  try {
    return await build(start, scope);
  } catch (error) {
    await scope.close().catch(() => {});
    throw error;
  }
}

async function build(start: ClusterStart, scope: Scope): Promise<VerifyCluster> {
  const { folder, clock, log, onProgress, signal } = start;
  for (const [name, text] of Object.entries(MIGRATIONS)) {
    const file = join(folder, 'migrations', name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const appProgram = fileURLToPath(new URL('./app-process.js', import.meta.url));
  const config = declarationOf(start, appProgram);
  const platform = await start.startPlatform(config, {
    ...{ fresh: true, log, onProgress, clock, signal },
    ...(start.onRunning === undefined ? {} : { onKillable: start.onRunning }),
  });
  scope.push('platform', () => platform.stop());
  const joinAs = joining(platform, scope);
  const observer = await joinAs({ region: config.primaryRegion, process: 'verify.observer' });
  const placed: PlacedClient[] = [];
  for (const { name: region, zones } of config.regions) {
    for (const zone of zones) {
      const relay = scope.use('feed relay', await startFeedRelay(controlOf(platform).controlUrl));
      const process = `verify.${region}.${zone}`;
      const db = await joinAs({ region, zone, process, controlUrl: relay.url });
      placed.push({ region, zone, db, relay });
    }
  }
  const regions = config.regions.map(({ name: region }): RegionDoors => {
    const gateway = scope.use('gateway', gatewayDoor(region, platform.gateways[region] ?? ''));
    const libraries: Door[] = placed
      .filter((client) => client.region === region)
      .map(({ db }) => libraryDoor(db));
    return { region, gateway, libraries };
  });
  return {
    ...{ platform, config, regions, placed, observer },
    [Symbol.asyncDispose]: () => scope.close(),
  };
}

function controlOf(platform: Platform): { controlUrl: string; controlToken: string } {
  return {
    controlUrl: platform.env['MERIDIAN_CONTROL_URL'] ?? '',
    controlToken: platform.env['MERIDIAN_CONTROL_TOKEN'] ?? '',
  };
}

function joining(platform: Platform, scope: Scope) {
  return async (
    where: Parameters<typeof connect>[0],
  ): Promise<MeridianClient & { readonly control: ControlSubscription }> => {
    const limits = { connectionsPerNodeMax: CONNECTIONS_PER_NODE_MAX };
    return scope.use('client', await connect({ ...controlOf(platform), limits, ...where }));
  };
}
