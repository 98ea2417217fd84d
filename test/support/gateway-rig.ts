/**
 * A real gateway in front of real HTTP app servers on loopback. Only our own ports (the control
 * subscription and the account locator) are hand-made, so that a test says what the platform knows.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Agent, request, type Dispatcher } from 'undici';
import type { ControlSubscription } from '../../src/control/subscription.ts';
import { startGateway, type Gateway } from '../../src/gateway/gateway.ts';
import type { AccountLocator } from '../../src/gateway/locator.ts';
import type { GatewayOptions } from '../../src/gateway/options.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog, type Log } from '../../src/kernel/log.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import type { RoutedAppServer, RoutingView } from '../../src/topology/routing.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** The platform's picture, as a test wants it. */
export class HandMadeControl implements ControlSubscription {
  readonly hello: ControlSubscription['hello'] = {
    kind: 'hello',
    installation: 'test',
    supervisorStart: 1,
    engine: 'none',
    regions: [],
    primaryRegion: 'us',
    latency: { betweenRegionsMs: {}, betweenZonesMs: 0 },
    database: { database: '', user: '', password: '' },
  };
  view: RoutingView = {
    version: 0,
    primaryGroup: 'us-1',
    groups: {},
    ranges: {},
    appServers: [],
  };
  readonly #listeners = new Set<(view: RoutingView) => void>();

  show(appServers: readonly RoutedAppServer[]): void {
    this.view = { ...this.view, version: this.view.version + 1, appServers };
    for (const listener of this.#listeners) listener(this.view);
  }

  onView(listener: (view: RoutingView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  newerThan(): Promise<RoutingView> {
    return Promise.reject(new Error('not asked for by gateways'));
  }

  countBoundedRead(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

export interface RigOptions {
  /** "region.index" → what the app server does. */
  readonly servers: Readonly<Record<string, Handler>>;
  /** account → home region; others are not found. */
  readonly homes?: Record<string, string>;
  readonly options?: Partial<GatewayOptions>;
  /** The gateway's own region. */
  readonly region?: string;
  readonly port?: number;
  readonly log?: Log;
  readonly locate?: AccountLocator['locate'];
  /** Sees each app server before it listens: for upgrades, and for raw bytes. */
  readonly onServer?: (server: Server, name: string) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
  /** The parsed body of a refusal. */
  readonly error: {
    readonly code?: string;
    readonly outcome?: string;
    readonly [key: string]: unknown;
  };
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer | Readable;
}

export interface Rig extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly url: string;
  readonly control: HandMadeControl;
  readonly homes: Record<string, string>;
  /** Look-ups so far: "alice" or "alice!" for a fresh one. */
  readonly located: string[];
  ask(path: string, asking?: Asking): Promise<Answer>;
  /** Stops an app server: its address stays in the view, and refuses connections. */
  stop(name: string): Promise<void>;
  setReady(name: string, ready: boolean): void;
}

export const DEFAULTS: GatewayOptions = {
  account: [{ kind: 'path', pattern: '/accounts/:account' }],
  trustedProxies: [],
  forwardedHeader: 'x-forwarded-for',
  listenAddress: '127.0.0.1',
  ports: {},
  bodyLimitBytes: 1024 * 1024,
  requestTimeoutMs: 5_000,
  drainTimeoutMs: 2_000,
  concurrencyMax: 100,
  connectionsMax: 8_192,
  connectionsPerClientMax: 1_024,
  requestsPerConnectionMax: 10_000,
  headerBytesMax: 16_384,
  headersMax: 100,
  urlBytesMax: 8_192,
  headersTimeoutMs: 10_000,
  stallTimeoutMs: 10_000,
  websocketsMax: 1_024,
  websocketIdleTimeoutMs: 300_000,
  idempotencyKeys: false,
};

export async function startRig(rig: RigOptions): Promise<Rig> {
  const control = new HandMadeControl();
  const servers = new Map<string, Server>();
  // Upgraded ones are the server's no longer.
  const sockets = new Set<Socket>();
  const routed: RoutedAppServer[] = [];
  for (const [name, handler] of Object.entries(rig.servers)) {
    const server = createServer(handler);
    rig.onServer?.(server, name);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.set(name, server);
    const { port } = server.address() as AddressInfo;
    const locality = { region: name.split('.')[0] ?? '', zone: 'a' };
    const address = { host: '127.0.0.1', port };
    // As far away as its number among the regions: 'us.0' is nearer than 'zz.0'.
    const roundTripMs = 10 * (1 + regionsOf(rig).indexOf(locality.region));
    routed.push({ name, instance: `${name}#1`, locality, address, roundTripMs, ready: true });
  }
  control.show(routed);
  const homes = rig.homes ?? {};
  const located: string[] = [];
  const lookUp: AccountLocator['locate'] = (account, options) => {
    located.push(options?.fresh === true ? `${account}!` : account);
    const homeRegion = homes[account];
    if (homeRegion === undefined) {
      const error = new MeridianError('ERR_ACCOUNT_NOT_FOUND', `no account ${account}`);
      return Promise.reject(error);
    }
    return Promise.resolve({ account, range: 'r0001', group: `${homeRegion}-1`, homeRegion });
  };
  const gateway = await startGateway({
    region: rig.region ?? 'eu',
    zone: 'a',
    options: { ...DEFAULTS, ...rig.options },
    control,
    locator: { locate: rig.locate ?? lookUp },
    clock: systemClock,
    random: seededRandom(1),
    log: rig.log ?? silentLog,
    port: rig.port ?? 0,
  }).catch(async (error: unknown) => {
    for (const server of servers.values()) await stopServer(server);
    throw error;
  });
  const agent = new Agent({ keepAliveTimeout: 10_000 });
  const url = `http://127.0.0.1:${String(gateway.port)}`;
  return {
    gateway,
    url,
    control,
    homes,
    located,
    ask: async (path, asking = {}) => {
      const method = asking.method ?? 'GET';
      const answer = await request(url + path, { ...asking, method, dispatcher: agent });
      const text = await answer.body.text();
      const json = String(answer.headers['content-type']).startsWith('application/json');
      const error = json ? ((JSON.parse(text) as Partial<Answer>).error ?? {}) : {};
      return { status: answer.statusCode, headers: answer.headers, text, error };
    },
    stop: (name) => stopServer(servers.get(name)),
    setReady: (name, ready) => {
      const next = control.view.appServers.map((one) =>
        one.name === name ? { ...one, ready } : one,
      );
      control.show(next);
    },
    [Symbol.asyncDispose]: async () => {
      await agent.destroy();
      await gateway.close();
      for (const socket of sockets) socket.destroy();
      for (const server of servers.values()) await stopServer(server);
    },
  };
}

function regionsOf(rig: RigOptions): string[] {
  return [...new Set(Object.keys(rig.servers).map((name) => name.split('.')[0] ?? ''))];
}

function stopServer(server: Server | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (server === undefined) return resolve();
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

/** An app server that says who it is and what it got. */
export function saying(name: string): Handler {
  return (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method, url, headers } = incoming;
      const body = Buffer.concat(chunks).toString();
      response.setHeader('content-type', 'text/x-said');
      response.end(JSON.stringify({ name, method, url, headers, body }));
    });
  };
}

export interface Said {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export function said(answer: Answer): Said {
  return JSON.parse(answer.text) as Said;
}

/**
 * Everything a raw connection answers until it closes (or has sent `until`). Bytes in pieces are sent
 * one packet after the other.
 */
export async function raw(
  port: number,
  bytes: string | readonly string[],
  until?: string,
): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  let text = '';
  socket.setEncoding('latin1');
  const closed = once(socket, 'close');
  void (async () => {
    socket.setNoDelay(true);
    for (const piece of typeof bytes === 'string' ? [bytes] : bytes) {
      socket.write(piece, 'latin1');
      if (typeof bytes !== 'string') await systemClock.sleep(1);
    }
  })();
  const enough = new Promise<void>((resolve) => {
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (until !== undefined && text.includes(until)) resolve();
    });
  });
  await Promise.race([closed, enough]);
  socket.destroy();
  return text;
}

/** A promise and its resolver: the moment a test waits for. */
export function moment(): { readonly reached: Promise<void>; readonly reach: () => void } {
  let reach = (): void => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  return { reached, reach: () => reach() };
}

/** Waits until the condition holds; fails after two seconds. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i += 1) {
    if (holds()) return;
    await systemClock.sleep(5);
  }
  throw new Error(`waited in vain for: ${what}`);
}
