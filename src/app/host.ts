/**
 * Keeps N copies of the user's HTTP server running in each region, spread over its zones.
 *
 * Restarting one drops no request: it is taken out of the routing view first, and asked to end only
 * after every gateway has had time to notice.
 */
import type { ProcessStatus } from '../control/status.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import { waitUntil } from '../kernel/clock.ts';
import type { Host } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import type { Region, RegionName, ZoneName } from '../topology/region.ts';
import type { RoutedAppServer } from '../topology/routing.ts';
import { AppServer } from './app-server.ts';
import type { AppOptions } from './options.ts';

/** What the routing view needs to know (its address is on this machine), and what status shows. */
export interface AppServerState extends RoutedAppServer {
  readonly status: ProcessStatus;
}

export interface StartAppHostOptions {
  readonly host: Host;
  readonly options: AppOptions;
  readonly regions: readonly Region[];
  /** The environment that reaches the platform; `process` is the process's name. */
  readonly controlEnv: (
    region: RegionName,
    zone: ZoneName,
    process: string,
  ) => Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly logDirectory: string;
  /** Called with all servers whenever one changes. */
  readonly onChange: (servers: readonly AppServerState[]) => void;
  /** From not-ready to SIGTERM; gateways hear of changes within a few milliseconds. */
  readonly drainNoticeMs?: number;
  /** Interrupts the start. */
  readonly signal?: AbortSignal;
}

export interface AppHost extends AsyncDisposable {
  servers(): readonly AppServerState[];
  status(): readonly ProcessStatus[];
  /** Drains one server and starts it again; resolves when it is ready. */
  restart(name: string): Promise<void>;
  /** Restarts all, one after the other. */
  restartAll(): Promise<void>;
  /** Drains all, and leaves no process. Idempotent. */
  close(): Promise<void>;
}

const DRAIN_NOTICE_MS = 150;

/**
 * Resolves when every server is ready. Throws ERR_PROCESS_FAILED or ERR_START_TIMEOUT, with all that
 * had been started stopped, when one of them does not become ready.
 */
export async function startAppHost(start: StartAppHostOptions): Promise<AppHost> {
  const servers: AppServer[] = [];
  const states = (): AppServerState[] => servers.map(stateOf);
  const onChange = (): void => {
    start.onChange(states());
  };
  for (const place of placesOf(start)) servers.push(createServer(start, place, onChange));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= Promise.all(servers.map((server) => server.close())).then(() => {}));
  const interrupted = (): void => void close();
  start.signal?.addEventListener('abort', interrupted, { once: true });
  try {
    if (start.signal?.aborted === true) {
      throw new MeridianError('ERR_ABORTED', 'the start was interrupted');
    }
    for (const server of servers) server.start();
    await Promise.all(servers.map((server) => server.firstReady));
  } catch (error) {
    await close();
    throw error;
  } finally {
    start.signal?.removeEventListener('abort', interrupted);
  }
  const restart = async (name: string): Promise<void> => {
    const server = servers.find((one) => one.name === name);
    if (server === undefined) {
      const known = servers.map((one) => one.name).join(', ');
      throw new MeridianError('ERR_CONFIG_INVALID', `no app server "${name}"; there are ${known}`);
    }
    await server.restart();
    await waitUntil(
      start.clock,
      { what: `app server ${name} to be ready`, timeoutMs: start.options.startTimeoutMs },
      () => (server.ready ? true : undefined),
    );
  };
  return {
    servers: states,
    status: () => servers.map((server) => server.status()),
    restart,
    restartAll: async () => {
      for (const server of servers) await restart(server.name);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Place {
  readonly region: RegionName;
  readonly zone: ZoneName;
  readonly index: number;
}

/** Copies of one region go round its zones. */
function placesOf(start: StartAppHostOptions): Place[] {
  return start.regions.flatMap((region) =>
    Array.from({ length: start.options.instancesPerRegion }, (_, index) => ({
      region: region.name,
      zone: region.zones[index % region.zones.length] ?? '',
      index,
    })),
  );
}

function createServer(start: StartAppHostOptions, place: Place, onChange: () => void): AppServer {
  const { region, zone, index } = place;
  const name = `${region}.${String(index)}`;
  const process = `app.${name}`;
  return new AppServer({
    ...start,
    name,
    locality: { region, zone },
    env: {
      ...start.controlEnv(region, zone, process),
      ...start.options.env,
      MERIDIAN_REGION: region,
      MERIDIAN_ZONE: zone,
      MERIDIAN_INSTANCE: String(index),
      MERIDIAN_PROCESS: process,
    },
    drainNoticeMs: start.drainNoticeMs ?? DRAIN_NOTICE_MS,
    onChange,
  });
}

function stateOf(server: AppServer): AppServerState {
  return {
    name: server.name,
    locality: server.locality,
    address: { host: '127.0.0.1', port: server.port },
    ready: server.ready,
    status: server.status(),
  };
}
