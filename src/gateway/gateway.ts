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
import { AccessLogFile } from './access-log-file.ts';
import { accessLog, type AccessLog } from './access-log.ts';
import { Access } from './access.ts';
import { answerJson, type Answering } from './answer.ts';
import { Connections } from './connections.ts';
import { snapshot, zeroCounters, type GatewayCounters } from './counters.ts';
import { openVerifier } from './issuers.ts';
import type { AccountLocator } from './locator.ts';
import type { GatewayOptions } from './options.ts';
import { createHttpServer } from './http-server.ts';
import { Proxy } from './proxy.ts';
import { readiness } from './readiness.ts';
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
}

export interface Gateway extends AsyncDisposable {
  readonly port: number;
  counters(): GatewayCounters;
  /** Accepts nothing new, waits for what is in flight up to `drainTimeoutMs`, then cuts it. */
  drain(): Promise<void>;
  /** Cuts everything at once. */
  close(): Promise<void>;
}

const DRAIN_POLL_MS = 10;

/** Throws ERR_PORT_TAKEN when another program listens on the port. */
export async function startGateway(start: StartGatewayOptions): Promise<Gateway> {
  const { region, options, clock, log } = start;
  const counters = zeroCounters();
  const scope = new Scope();
  let draining = false;
  const requestLog = openAccessLog(start, scope);
  const upstreams = openUpstreams(start, scope);
  const access = await openAccess(start, scope);
  const tunnels = new Tunnels(options, clock);
  const proxy = new Proxy({
    ...start,
    ...{ upstreams, tunnels, access, accessLog: requestLog, counters, draining: () => draining },
  });
  const connections = new Connections(options, counters);
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === '/healthz' || request.url === '/readyz') {
      answerHealth(start, { request, response, clock, last: draining });
    } else {
      proxy.handle(request, response);
    }
  };
  const server = createHttpServer({
    ...{ options, connections, handle },
    upgrade: (request, upgrade) => proxy.handleUpgrade(request, upgrade),
  });
  scope.push('listening socket', () => closeNow(server));
  scope.push('upgraded connections', () => tunnels.end());
  try {
    await listen(server, start);
  } catch (error) {
    await scope.close();
    throw error;
  }
  const port = (server.address() as AddressInfo).port;
  log.info('gateway listens', { region, port });
  const drained = async (): Promise<void> => {
    draining = true;
    server.close();
    const deadline = clock.monotonicMs() + options.drainTimeoutMs;
    while (counters.inFlight + tunnels.size > 0 && clock.monotonicMs() < deadline) {
      await clock.sleep(DRAIN_POLL_MS);
    }
    if (counters.inFlight > 0) log.warn('cut requests in flight', { count: counters.inFlight });
    await scope.close();
  };
  let drainOnce: Promise<void> | undefined;
  const close = (): Promise<void> => {
    draining = true;
    return scope.close();
  };
  return {
    port,
    counters: () => ({
      ...snapshot(counters),
      connections: connections.size,
      websocketsOpen: tunnels.size,
    }),
    drain: () => (drainOnce ??= drained()),
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

function openUpstreams({ options, control }: StartGatewayOptions, scope: Scope): Upstreams {
  const upstreams = new Upstreams({
    connectionsMax: options.concurrencyMax,
    bodyTimeoutMs: options.requestTimeoutMs,
  });
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

function answerHealth(start: StartGatewayOptions, to: Answering): void {
  const { region, zone, control } = start;
  const state = readiness(region, control.view, to.last);
  const ready = to.request.url === '/healthz' || state.ready;
  const body = { status: ready ? 'ok' : 'unavailable', region, zone, ...state };
  const headers = ['cache-control', 'no-store', ...(ready ? [] : ['retry-after', '1'])];
  answerJson(to, ready ? 200 : 503, { headers, body });
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
    server.listen(start.port, start.options.listenAddress, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function closeNow(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Fails only when it is closed already, which is what was asked for.
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
