/**
 * Node's HTTP server with every bound of the gateway: sizes, times, and what happens to bytes that are
 * no request. HTTP is parsed by Node alone, in its strict mode.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { MeridianError } from '../kernel/errors.ts';
import { refusalText } from './answer.ts';
import type { Arrivals } from './arrivals.ts';
import type { Connections } from './connections.ts';
import type { GatewayOptions } from './options.ts';
import { KEEP_ALIVE_TIMEOUT_MS } from './phases.ts';
import type { Upgrade } from './websocket.ts';

/** Beyond the time a request may take: then a silent connection has a dead client behind it. */
const SILENCE_SLACK_MS = 5_000;
/** How late a slow head may be noticed. */
const CHECK_INTERVAL_MS = 1_000;

export interface HttpServerOptions {
  readonly options: GatewayOptions;
  readonly connections: Connections;
  readonly arrivals: Arrivals;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly upgrade: (request: IncomingMessage, upgrade: Upgrade) => void;
}

export function createHttpServer(listening: HttpServerOptions): Server {
  const { options, connections, arrivals, handle, upgrade } = listening;
  const headersTimeout = Math.min(options.headersTimeoutMs, options.requestTimeoutMs);
  const server = createServer({
    headersTimeout,
    // The gateway's own deadline answers first, with a reason.
    requestTimeout: options.requestTimeoutMs + SILENCE_SLACK_MS,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, Math.ceil(headersTimeout / 2)),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    maxHeaderSize: options.headerBytesMax,
    insecureHTTPParser: false,
    requireHostHeader: false,
    noDelay: true,
  });
  // A limit here would drop headers silently; `checkFraming` counts them, and refuses.
  server.maxHeadersCount = 0;
  server.timeout = options.requestTimeoutMs + SILENCE_SLACK_MS;
  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    if (!connections.began(request, response)) return;
    const serve = (): void => {
      handle(request, response);
    };
    if (connections.isFirst(request)) arrivals.look(request, response, serve);
    else serve();
  };
  server.on('request', begin);
  // The body is asked for when the request has been admitted (`inviteBody`).
  server.on('checkContinue', begin);
  server.on('connection', (socket: Socket) => {
    connections.accept(socket);
  });
  server.on('clientError', (error, socket) => {
    connections.failed(error, socket as Socket);
  });
  server.on('upgrade', (request, stream, head) => {
    const socket = stream as Socket;
    if (connections.leaves(socket)) upgrade(request, { socket, head });
  });
  server.on('connect', (_request, stream) => {
    const socket = stream as Socket;
    if (connections.leaves(socket)) refuseTunnel(socket);
  });
  return server;
}

/** CONNECT: refused in plain words, and closed. */
function refuseTunnel(socket: Socket): void {
  socket.on('error', () => {});
  socket.write(
    refusalText(new MeridianError('ERR_GATEWAY_UNSUPPORTED', 'the gateway does not open tunnels')),
  );
  // Node has let go of it and nothing reads it: it would not notice its client's end, and stay for ever.
  socket.destroySoon();
}
