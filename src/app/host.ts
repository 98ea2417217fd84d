/**
 * Keeps N copies of the user's HTTP server running in each region, spread over its zones.
 *
 * Restarting one drops no request: its successor is ready before it leaves the routing view, and it is
 * asked to end only when no gateway uses it any more.
 */
import type { ProcessStatus } from '../control/status.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
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
  /**
   * Resolves when no gateway uses a server that has left the routing view, or when waiting has no use
   * any more; says so by `onLate` when it takes long, and waits on. Between not-ready and SIGTERM;
   * without it, a fixed time in which gateways hear of it.
   */
  readonly letGoOf?: (instance: string, onLate: (why: string) => void) => Promise<unknown>;
  /** Interrupts the start. */
  readonly signal?: AbortSignal;
}

export interface AppHost extends AsyncDisposable {
  servers(): readonly AppServerState[];
  status(): readonly ProcessStatus[];
  /**
   * Starts a successor, and drains the server once that is ready; resolves when it has ended. Rejects,
   * with the server serving on, when the successor does not become ready, and with ERR_RESTART_HELD_UP
   * when a gateway does not let go of the server: the successor then serves, and the server is ended
   * when it can be. Until then it is not replaced again.
   */
  restart(name: string): Promise<void>;
  /** Restarts all, one after the other. */
  restartAll(): Promise<void>;
  /** Drains all, and leaves no process. Idempotent. */
  close(): Promise<void>;
}

/** Gateways hear of changes within a few milliseconds. */
const DRAIN_NOTICE_MS = 150;

/**
 * Resolves when every server is ready. Throws ERR_PROCESS_FAILED or ERR_START_TIMEOUT, with all that
 * had been started stopped, when one of them does not become ready.
 */
export async function startAppHost(start: StartAppHostOptions): Promise<AppHost> {
  const host = new ServerSet(start);
  const interrupted = (): void => void host.close();
  start.signal?.addEventListener('abort', interrupted, { once: true });
  try {
    if (start.signal?.aborted === true) {
      throw new MeridianError('ERR_ABORTED', 'the start was interrupted');
    }
    await host.start();
    return host;
  } catch (error) {
    await host.close();
    throw error;
  } finally {
    start.signal?.removeEventListener('abort', interrupted);
  }
}

/** Invariant: one server at each place, or two while one replaces the other. */
class ServerSet implements AppHost {
  readonly #start: StartAppHostOptions;
  readonly #places: readonly Place[];
  readonly #servers: AppServer[];
  /** Successors that are not ready yet, and predecessors that have not ended. */
  readonly #passing = new Set<AppServer>();
  readonly #replacing = new Set<string>();
  /**
   * Place → the port that its last but one server left. Taking it again keeps the addresses few that
   * the world has to reach, however often servers are replaced.
   */
  readonly #spare = new Map<Place, number>();
  /** Who waits for an instance's end is told that a gateway holds it up. */
  readonly #late = new Map<string, (why: string) => void>();
  #made = 0;
  #closing: Promise<void> | undefined;

  constructor(start: StartAppHostOptions) {
    this.#start = start;
    this.#places = placesOf(start);
    this.#servers = this.#places.map((place) => this.#create(place));
  }

  async start(): Promise<void> {
    for (const server of this.#servers) server.start();
    await Promise.all(this.#servers.map((server) => server.firstReady));
  }

  servers(): readonly AppServerState[] {
    return this.#all().map(stateOf);
  }

  status(): readonly ProcessStatus[] {
    return this.#all().map((server) => server.status());
  }

  async restart(name: string): Promise<void> {
    const index = this.#servers.findIndex((one) => one.name === name);
    const [place, server] = [this.#places[index], this.#servers[index]];
    if (place === undefined || server === undefined) {
      const known = this.#servers.map((one) => one.name).join(', ');
      throw new MeridianError('ERR_CONFIG_INVALID', `no app server "${name}"; there are ${known}`);
    }
    if (this.#closing !== undefined) {
      throw new MeridianError('ERR_ABORTED', `${name} is being stopped`);
    }
    if (this.#replacing.has(name)) {
      throw new MeridianError('ERR_RESTART_UNDER_WAY', `app server ${name} is being replaced`);
    }
    this.#replacing.add(name);
    const successor = this.#create(place);
    this.#passing.add(successor);
    const over = (): void => {
      this.#passing.delete(successor);
      this.#passing.delete(server);
      this.#late.delete(server.instance);
      this.#replacing.delete(name);
      this.#changed();
    };
    try {
      successor.start();
      await successor.firstReady;
    } catch (error) {
      await successor.close();
      over();
      throw error;
    }
    this.#passing.delete(successor);
    this.#passing.add(server);
    this.#servers[index] = successor;
    const late = new Promise<never>((_, reject) => {
      this.#late.set(server.instance, (why) => {
        reject(new MeridianError('ERR_RESTART_HELD_UP', why));
      });
    });
    const ended = server.close().then(() => this.#spare.set(place, server.port));
    await Promise.race([ended.finally(over), late]);
  }

  async restartAll(): Promise<void> {
    for (const { name } of [...this.#servers]) await this.restart(name);
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all(this.#all().map((server) => server.close())).then(() => {});
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #all(): AppServer[] {
    return [...this.#servers, ...this.#passing];
  }

  #create(place: Place): AppServer {
    this.#made += 1;
    const port = this.#spare.get(place);
    // Not again if it fails: another program may have it by now.
    this.#spare.delete(place);
    return createServer(this.#start, {
      ...{ ...place, made: this.#made, port },
      onChange: () => {
        this.#changed();
      },
      onLate: (instance, why) => {
        this.#late.get(instance)?.(why);
      },
    });
  }

  #changed(): void {
    this.#start.onChange(this.servers());
  }
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

function createServer(
  start: StartAppHostOptions,
  made: Place & {
    readonly made: number;
    readonly port: number | undefined;
    readonly onChange: () => void;
    readonly onLate: (instance: string, why: string) => void;
  },
): AppServer {
  const { region, zone, index, port, onChange, onLate } = made;
  const name = `${region}.${String(index)}`;
  const process = `app.${name}`;
  const { clock, letGoOf } = start;
  return new AppServer({
    ...start,
    name,
    instance: `${name}#${String(made.made)}`,
    locality: { region, zone },
    port,
    env: {
      ...start.controlEnv(region, zone, process),
      ...start.options.env,
      MERIDIAN_REGION: region,
      MERIDIAN_ZONE: zone,
      MERIDIAN_INSTANCE: String(index),
      MERIDIAN_PROCESS: process,
    },
    letGoOf: (instance) =>
      letGoOf === undefined
        ? clock.sleep(DRAIN_NOTICE_MS)
        : letGoOf(instance, (why) => {
            onLate(instance, why);
          }),
    onChange,
  });
}

function stateOf(server: AppServer): AppServerState {
  return {
    name: server.name,
    instance: server.instance,
    locality: server.locality,
    // Here; the view makes it the distance to each subscriber.
    roundTripMs: 0,
    address: { host: '127.0.0.1', port: server.port },
    ready: server.ready,
    status: server.status(),
  };
}
