/**
 * The HTTP entry of one region. It holds no state of its own: kill it and start another.
 *
 * Stopping is two-phase: it stops accepting and lets what is in flight finish, then cuts the rest.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ControlSubscription } from '../control/subscription.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { Scope } from '../kernel/scope.ts';
import type { RegionName, ZoneName } from '../topology/region.ts';
import type { AccountId } from '../topology/routing.ts';
import { AccessLogFile } from './access-log-file.ts';
import { accessLog, type AccessLog } from './access-log.ts';
import { Access } from './access.ts';
import { answerJson, type Answering } from './answer.ts';
import { Arrivals } from './arrivals.ts';
import { Connections } from './connections.ts';
import { snapshot, zeroCounters, type GatewayCounters } from './counters.ts';
import { openVerifier } from './issuers.ts';
import { endings } from './endings.ts';
import { FarSide } from './far-side.ts';
import type { AccountLocator } from './locator.ts';
import type { GatewayOptions } from './options.ts';
import { createHttpServer } from './http-server.ts';
import { Proxy } from './proxy.ts';
import type { RouteReason } from './route.ts';
import { Phases } from './phases.ts';
import { healthAnswer, readiness, type HealthAnswer } from './readiness.ts';
import { Tunnels } from './tunnels.ts';
import { Upstreams } from './upstreams.ts';

export interface StartGatewayOptions {
  readonly region: RegionName;
  readonly zone: ZoneName;
  readonly options: GatewayOptions;
  readonly control: ControlSubscription;
  readonly locator: AccountLocator;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** 0 picks a free one. */
  readonly port: number;
  /** Of this process, for the access log's file; unless given, after the region. */
  readonly name?: string;
  /** Values of the environment variables that hold shared secrets of issuers. */
  readonly secrets?: Readonly<Record<string, string | undefined>>;
  /** A bound socket of the supervisor's to accept on, instead of one of its own at `port`. */
  readonly socket?: object | undefined;
  /** Told of each request of an account that was answered, and why it went where it went. */
  readonly onAccess?: (account: AccountId, why: RouteReason) => void;
  /** Told what it routes by: the view's version, and the leaving app servers it still waits for. */
  readonly onSeen?: (version: number, busy: readonly string[]) => void;
}

export interface Gateway extends AsyncDisposable {
  readonly port: number;
  counters(): GatewayCounters;
  /**
   * Hands over to a successor on the same socket: accepts nothing new, answers what comes over the
   * connections there are, and resolves when their clients have left. One that stays idle is closed
   * when it would have been closed anyway; what is in flight then has `drainTimeoutMs`.
   */
  retire(): Promise<void>;
  /** Accepts nothing new, waits for what is in flight up to `drainTimeoutMs`, then cuts it. */
  drain(): Promise<void>;
  /** Cuts everything at once. */
  close(): Promise<void>;
}

/** Throws ERR_PORT_TAKEN when another program listens on the port. */
export async function startGateway(start: StartGatewayOptions): Promise<Gateway> {
  const { region, options, clock, log } = start;
  const counters = zeroCounters();
  const scope = new Scope();
  const phases = new Phases();
  const requestLog = openAccessLog(start, scope);
  const upstreams = openUpstreams(start, scope);
  const access = await openAccess(start, scope);
  const tunnels = new Tunnels(options, clock);
  const farSide = new FarSide({ clock, region, healthPath: options.healthPath });
  const proxy = new Proxy({
    ...start,
    ...{ upstreams, farSide, tunnels, access, accessLog: requestLog, counters, phases },
  });
  const connections = new Connections(options, counters);
  const arrivals = new Arrivals(() => {
    counters.clientAborts += 1;
  });
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    phases.begin(request, response);
    const health = healthAnswer(request.url, () =>
      readiness(start.region, start.control.view, phases.stopping),
    );
    if (health !== undefined) {
      const to = { request, response, clock, last: phases.isLast(request) };
      answerHealth(start, to, health);
    } else {
      proxy.handle(request, response);
    }
  };
  const server = createHttpServer({
    ...{ options, connections, arrivals, handle },
    upgrade: (request, upgrade) => proxy.handleUpgrade(request, upgrade),
  });
  scope.push('listening socket', () => closeNow(server, connections));
  scope.push('upgraded connections', () => tunnels.end());
  try {
    await listen(server, start);
  } catch (error) {
    await scope.close();
    throw error;
  }
  const port = (server.address() as AddressInfo).port;
  log.info('gateway listens', { region, port });
  const { drainTimeoutMs, requestTimeoutMs } = options;
  const inFlight = (): number => arrivals.size + counters.inFlight + tunnels.size;
  const { retire, drain, close } = endings({
    ...{ server, phases, inFlight, scope, drainTimeoutMs, requestTimeoutMs },
    ...{ clock, log },
  });
  return {
    port,
    counters: () => ({
      ...snapshot(counters),
      connections: connections.size,
      websocketsOpen: tunnels.size,
    }),
    retire,
    drain,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Opened first, so that it is closed last: with the lines of what was cut. */
function openAccessLog(start: StartGatewayOptions, scope: Scope): AccessLog | undefined {
  const { options, clock, log, region } = start;
  if (options.accessLog === undefined) return undefined;
  const { directory, fileBytesMax, filesMax } = options.accessLog;
  const name = `${start.name ?? `gateway.${region}`}.access.log`;
  const file = new AccessLogFile({
    file: join(directory, name),
    ...{ fileBytesMax, filesMax, clock, log },
  });
  scope.push('access log', () => file.close());
  return accessLog({ options: options.accessLog, clock, write: file.write });
}

function openUpstreams(start: StartGatewayOptions, scope: Scope): Upstreams {
  const { options, control, clock } = start;
  const upstreams = new Upstreams({
    connectionsMax: options.concurrencyMax,
    bodyTimeoutMs: options.requestTimeoutMs,
    clock,
    onSeen: start.onSeen ?? (() => {}),
  });
  upstreams.follow(control.view);
  scope.push('connections to app servers', () => upstreams.destroy());
  scope.push(
    'routing view',
    control.onView((view) => {
      upstreams.follow(view);
    }),
  );
  return upstreams;
}

/** Releases what was opened before when it fails. */
async function openAccess(start: StartGatewayOptions, scope: Scope): Promise<Access> {
  const { options, clock, log, secrets = {} } = start;
  const { authentication } = options;
  try {
    const verifier =
      authentication && (await openVerifier({ authentication, secrets, clock, log, scope }));
    return new Access({ options, verifier, clock });
  } catch (error) {
    await scope.close();
    throw error;
  }
}

function answerHealth(start: StartGatewayOptions, to: Answering, health: HealthAnswer): void {
  const { region, zone } = start;
  const { status, state, word } = health;
  const retry = status === 200 ? [] : ['retry-after', '1'];
  const body = { status: word, region, zone, ...state };
  answerJson(to, status, { headers: ['cache-control', 'no-store', ...retry], body });
}

function listen(server: Server, start: StartGatewayOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE' && cause.code !== 'EACCES') {
        reject(cause);
        return;
      }
      const { port, region } = start;
      const why = cause.code === 'EACCES' ? 'may not be opened by this user' : 'is taken';
      reject(
        new MeridianError(
          'ERR_PORT_TAKEN',
          `port ${String(port)} of the gateway of ${region} (gateway.ports.${region}) ${why}`,
          { cause, details: { port, region, key: `gateway.ports.${region}` } },
        ),
      );
    });
    const listening = (): void => {
      server.removeAllListeners('error');
      resolve();
    };
    if (start.socket === undefined)
      server.listen(start.port, start.options.listenAddress, listening);
    else server.listen(start.socket, listening);
  });
}

function closeNow(server: Server, connections: Connections): Promise<void> {
  return new Promise((resolve) => {
    // Fails only when it is closed already, which is what was asked for.
    server.close(() => resolve());
    server.closeAllConnections();
    connections.destroy();
  });
}
