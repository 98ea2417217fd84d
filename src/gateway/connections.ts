/**
 * The connections of clients: how many there may be, and what happens to one whose bytes are no HTTP.
 *
 * Node's parser judges the bytes; this only decides the answer. Invariant: nothing is written into the
 * middle of another answer. A request that is whole is still answered when garbage follows it; one
 * that can no longer become whole is cut at its app server too, by closing its connection.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { MeridianError } from '../kernel/errors.ts';
import type { ErrorCode } from '../kernel/error-codes.ts';
import { refusalText } from './answer.ts';
import type { MutableCounters } from './counters.ts';
import { addressMatcher } from './network.ts';
import type { GatewayOptions } from './options.ts';

type ConnectionsOptions = Pick<
  GatewayOptions,
  'connectionsMax' | 'connectionsPerClientMax' | 'requestsPerConnectionMax' | 'trustedProxies'
>;

interface Connection {
  readonly address: string;
  /** The newest request. Answers go out in order, so earlier ones are answered when it is. */
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  /** Answers that wait behind an earlier one; Node tells them nothing when the connection ends. */
  readonly queued: Set<ServerResponse>;
  broken: boolean;
  requests: number;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #counters: MutableCounters;
  /** Behind these are many clients: they are counted in total only. */
  readonly #isProxy: (address: string) => boolean;
  readonly #open = new Map<Socket, Connection>();
  readonly #perClient = new Map<string, number>();

  constructor(options: ConnectionsOptions, counters: MutableCounters) {
    this.#options = options;
    this.#counters = counters;
    this.#isProxy = addressMatcher(options.trustedProxies);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Cuts every connection, also those that Node's server has let go of. */
  destroy(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** For `connection` events: keeps count, and turns away what is too much. */
  accept(socket: Socket): void {
    const { connectionsMax, connectionsPerClientMax } = this.#options;
    const address = socket.remoteAddress ?? '';
    const ofClient = this.#perClient.get(address) ?? 0;
    const tooMany = ofClient >= connectionsPerClientMax && !this.#isProxy(address);
    if (this.#open.size >= connectionsMax || tooMany) {
      this.#counters.connectionsRefused += 1;
      socket.on('error', () => {});
      refuseBytes(socket, 'ERR_GATEWAY_OVERLOADED', 'too many connections are open');
      return;
    }
    this.#perClient.set(address, ofClient + 1);
    const connection = {
      ...{ address, requests: 0, broken: false },
      ...{ request: undefined, response: undefined, queued: new Set<ServerResponse>() },
    };
    this.#open.set(socket, connection);
    socket.once('close', () => {
      this.#open.delete(socket);
      closeQueued(connection.queued);
      const left = (this.#perClient.get(address) ?? 1) - 1;
      if (left > 0) this.#perClient.set(address, left);
      else this.#perClient.delete(address);
    });
  }

  /**
   * A request has begun. False for one behind the connection's last: it must not be served, since
   * nobody would get its answer; its client sees the connection end, and asks again on another.
   */
  began(request: IncomingMessage, response: ServerResponse): boolean {
    const connection = this.#open.get(request.socket);
    if (connection === undefined) return false;
    const { requestsPerConnectionMax } = this.#options;
    connection.requests += 1;
    if (connection.requests > requestsPerConnectionMax) return false;
    if (connection.requests === requestsPerConnectionMax) response.shouldKeepAlive = false;
    connection.request = request;
    connection.response = response;
    if (response.socket === null) {
      connection.queued.add(response);
      response.once('close', () => connection.queued.delete(response));
    }
    return true;
  }

  /** The newest request of its connection is the only one so far. */
  isFirst({ socket }: IncomingMessage): boolean {
    return this.#open.get(socket)?.requests === 1;
  }

  /**
   * A request asks to leave HTTP on its connection (`upgrade`, `connect`). False when answers before
   * it are not out yet: Node keeps no watch on them any longer, so the connection is cut.
   */
  leaves(socket: Socket): boolean {
    const connection = this.#open.get(socket);
    const response = connection?.response;
    // Finished and let go of by Node, which happens a moment later.
    const idle = response === undefined || (response.writableFinished && response.socket === null);
    if (connection !== undefined && idle) return true;
    socket.on('error', () => {});
    socket.destroy();
    return false;
  }

  /** For `clientError` events: the parser gave up, or a timeout of the connection struck. */
  failed(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection?.broken === true || socket.destroyed) return;
    if (error.code === 'ECONNRESET' || connection === undefined) {
      socket.destroy();
      return;
    }
    connection.broken = true;
    const { request, response } = connection;
    if (request !== undefined && response !== undefined) {
      const between = request.complete && response.writableFinished;
      if (!between && (request.complete || response.writableEnded)) {
        endAfter(response, socket);
        return;
      }
      if (!between && (response.headersSent || response.socket === null)) {
        socket.destroy();
        return;
      }
    }
    const [code, message] = judgement(error.code);
    const { refused } = this.#counters;
    refused[code] = (refused[code] ?? 0) + 1;
    refuseBytes(socket, code, message);
  }
}

/** After Node has told the one answer that it knows of. */
function closeQueued(queued: ReadonlySet<ServerResponse>): void {
  if (queued.size === 0) return;
  queueMicrotask(() => {
    for (const response of [...queued]) {
      response.destroy();
      response.emit('close');
    }
  });
}

function endAfter(response: ServerResponse, socket: Socket): void {
  if (response.writableFinished) socket.destroySoon();
  else {
    response.once('close', () => {
      socket.destroySoon();
    });
  }
}

function judgement(code: string | undefined): readonly [ErrorCode, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['ERR_GATEWAY_HEADERS_TOO_LARGE', 'the request line and headers are too long'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return ['ERR_GATEWAY_BODY_TOO_LARGE', 'the chunk extensions of the body are too long'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['ERR_GATEWAY_REQUEST_TIMEOUT', 'the request was not complete in time'];
    default:
      return ['ERR_GATEWAY_REQUEST_INVALID', 'what was sent is not an HTTP/1.1 request'];
  }
}

/** A whole answer where there is no response object; then the end of the connection. */
function refuseBytes(socket: Socket, code: ErrorCode, message: string): void {
  socket.write(refusalText(new MeridianError(code, message)));
  socket.destroySoon();
}
