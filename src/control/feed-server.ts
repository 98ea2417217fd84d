/**
 * The supervisor's control server: pushes each subscriber its own view of the platform, answers status,
 * takes reports. Loopback only, and nothing but metrics without the installation's token
 * (docs/decisions/0016).
 *
 * Everything is bounded: subscribers, bodies, header time, unsent views. `close` ends the streams.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Address, RoutingView } from '../topology/routing.ts';
import type { ChaosControl } from './chaos.ts';
import { answerChaos, CHAOS_PATH } from './chaos-routes.ts';
import { checkLoopbackHost, parseSubscriber, placed, sendJson } from './control-request.ts';
import { FeedStream, type Subscriber } from './feed-stream.ts';
import type { Exposition } from './metrics/exposition.ts';
import type { MetricsReport } from './metrics/sample.ts';
import {
  PING_INTERVAL_MS,
  SUBSCRIBERS_MAX,
  type ActivityReport,
  type FeedHello,
} from './protocol.ts';
import type { PlacementFacts, PlacementQuestion } from './placement.ts';
import { migrationRoutes, type Migrate } from './routes/migration.ts';
import { operationRoutes, type Operate } from './routes/operation.ts';
import { processRoutes, type ReloadFrom, type Restart } from './routes/processes.ts';
import { reportRoutes } from './routes/reports.ts';
import type { Routes } from './routes/route.ts';
import type { StatusReport } from './status.ts';
import type { TrafficReport } from './traffic/report.ts';

export type { Subscriber } from './feed-stream.ts';

export interface ControlServerOptions {
  readonly host: '127.0.0.1';
  /** 0 picks a free one. */
  readonly port: number;
  readonly token: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly hello: (subscriber: Subscriber) => Promise<FeedHello> | FeedHello;
  /** As seen from the subscriber: addresses are of its own links. Called again after each publish. */
  readonly view: (subscriber: Subscriber) => Promise<RoutingView> | RoutingView;
  readonly status: () => Promise<StatusReport> | StatusReport;
  readonly activity: (report: ActivityReport) => void;
  readonly traffic?: ((report: TrafficReport) => void) | undefined;
  readonly explain?: ((account: string) => Promise<unknown>) | undefined;
  readonly placement?: ((question: PlacementQuestion) => Promise<PlacementFacts>) | undefined;
  readonly migrate?: Migrate;
  readonly restart: Restart;
  readonly reload?: ReloadFrom | undefined;
  readonly operate?: Operate | undefined;
  readonly chaos?: ChaosControl | undefined;
  /** Without it there are no metrics to report or to read. */
  readonly metrics?: MetricsRoutes | undefined;
}

export interface MetricsRoutes {
  readonly report: (report: MetricsReport) => void;
  readonly expose: () => Promise<Exposition>;
}

export interface ControlServer extends AsyncDisposable {
  readonly address: Address;
  readonly url: string;
  /** The picture changed: every subscriber gets its newest view. */
  publish(): void;
  subscribers(): readonly Subscriber[];
}

const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Beyond the subscribers: status and activity requests. */
const OTHER_CONNECTIONS_MAX = 64;
const CLOSE_GRACE_MS = 300;

/** Throws ERR_PORT_TAKEN when the port is in use. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const server = new FeedServer(options);
  await server.listen();
  return server;
}

class FeedServer implements ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #tokenDigest: Buffer;
  readonly #streams = new Set<FeedStream>();
  /** What needs the token. */
  readonly #routes: Routes;
  #joining = 0;
  #cancelPing: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#tokenDigest = digest(options.token);
    this.#routes = {
      'GET /v1/feed': ({ query, response }) => this.#subscribe(query, response),
      ...reportRoutes(options),
      ...migrationRoutes(options.migrate),
      ...processRoutes(options.restart, options.reload),
      ...operationRoutes(options.operate),
    };
    this.#server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: HEADERS_TIMEOUT_MS,
        noDelay: true,
      },
      (request, response) => {
        void this.#answer(request, response);
      },
    );
    this.#server.maxConnections = SUBSCRIBERS_MAX + OTHER_CONNECTIONS_MAX;
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.on('error', (cause) => {
        const message = `the control server cannot listen on ${host}:${String(port)}`;
        reject(new MeridianError('ERR_PORT_TAKEN', message, { cause }));
      });
      this.#server.listen({ host, port }, () => {
        this.#schedulePing();
        resolve();
      });
    });
  }

  get address(): Address {
    return { host: this.#options.host, port: (this.#server.address() as AddressInfo).port };
  }

  get url(): string {
    return `http://${this.address.host}:${String(this.address.port)}`;
  }

  publish(): void {
    for (const stream of this.#streams) stream.refresh();
  }

  subscribers(): readonly Subscriber[] {
    return [...this.#streams].map((stream) => stream.subscriber);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#cancelPing?.();
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const stream of this.#streams) stream.end();
    const cancel = this.#options.clock.schedule(CLOSE_GRACE_MS, () => {
      this.#server.closeAllConnections();
    });
    await closed;
    cancel();
  }

  #schedulePing(): void {
    this.#cancelPing = this.#options.clock.schedule(PING_INTERVAL_MS / 2, () => {
      for (const stream of this.#streams) stream.ping();
      this.#schedulePing();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (cause) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      if (!isMeridianError(cause)) {
        this.#options.log.error('a control request failed', { error: messageOf(cause) });
      }
      const { code, message, remedy, status } = isMeridianError(cause)
        ? cause
        : new MeridianError('ERR_INTERNAL', 'the control server failed; its log says why');
      // The rest of a refused body is not worth reading.
      if (!request.complete) response.setHeader('connection', 'close');
      if (status === 401) response.setHeader('www-authenticate', 'Bearer');
      sendJson(response, status, { error: { code, message, remedy } });
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics } = this.#options;
    if (metrics !== undefined && request.url === '/metrics' && request.method === 'GET') {
      checkLoopbackHost(request);
      const { contentType, text } = await metrics.expose();
      response
        .writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
        .end(text);
      return;
    }
    this.#authorise(request);
    const url = new URL(request.url ?? '/', 'http://control');
    if (url.pathname.startsWith(CHAOS_PATH)) {
      await answerChaos(this.#options.chaos, request, response);
      return;
    }
    const asked = `${request.method ?? ''} ${url.pathname}`;
    const route = Object.hasOwn(this.#routes, asked) ? this.#routes[asked] : undefined;
    if (route === undefined) {
      throw new MeridianError('ERR_CONTROL_REQUEST', 'the control server has no such route');
    }
    await route({ request, response, query: url.searchParams });
  }

  #authorise(request: IncomingMessage): void {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ', 2);
    // Digests have one length, and comparing them tells nothing about the token.
    const given = digest(scheme?.toLowerCase() === 'bearer' ? (token ?? '') : '');
    if (timingSafeEqual(given, this.#tokenDigest)) return;
    throw new MeridianError('ERR_CONTROL_UNAUTHORIZED', 'the control token is missing or wrong');
  }

  async #subscribe(query: URLSearchParams, response: ServerResponse): Promise<void> {
    if (this.#streams.size + this.#joining >= SUBSCRIBERS_MAX || this.#closing !== undefined) {
      throw new MeridianError(
        'ERR_CONTROL_UNAVAILABLE',
        this.#closing === undefined
          ? `the control server has ${String(SUBSCRIBERS_MAX)} subscribers already`
          : 'the control server is stopping',
        { remedy: 'Try again shortly.' },
      );
    }
    const { clock, log, view } = this.#options;
    const asked = parseSubscriber(query);
    this.#joining += 1;
    let hello: FeedHello;
    try {
      hello = await this.#options.hello(asked);
    } finally {
      this.#joining -= 1;
    }
    if (response.destroyed) return;
    const subscriber = placed(asked, hello);
    response.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
    });
    const stream = new FeedStream({ response, subscriber, clock, log, view });
    this.#streams.add(stream);
    response.on('close', () => {
      this.#streams.delete(stream);
    });
    stream.send(hello);
    if (this.#closing === undefined) stream.refresh();
    else stream.end();
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
