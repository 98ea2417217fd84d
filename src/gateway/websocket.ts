/**
 * The handshake of a WebSocket (RFC 6455 §4) as the gateway sees it: an HTTP request that is admitted,
 * routed, answered and refused like any other, on a connection that the HTTP server has let go of.
 * The frames behind it are the application's; they are not parsed.
 */
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { MeridianError } from '../kernel/errors.ts';

/** The client's side of an upgrade. */
export interface Upgrade {
  readonly socket: Socket;
  /** What the client sent behind its request already. */
  readonly head: Buffer;
}

/**
 * A WebSocket is routed as a write would be: to its account's home when it names one. Its messages may
 * read and write, the choice holds for its whole life, and one hop for each message costs less than
 * one for each statement of the transactions behind it.
 */
export const WEBSOCKET_ROUTED_AS = 'POST';

/** Throws what to answer a request that asks for another protocol but cannot have it. */
export function checkHandshake(request: IncomingMessage): void {
  const { headers, method } = request;
  if (headers.upgrade?.toLowerCase() !== 'websocket') {
    throw new MeridianError(
      'ERR_GATEWAY_UNSUPPORTED',
      'the gateway upgrades connections to websocket and to nothing else',
    );
  }
  // Bytes that one side takes for a body and the other for frames would be smuggled.
  const bodied =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
  if (method !== 'GET' || bodied || headers['sec-websocket-key'] === undefined) {
    throw new MeridianError(
      'ERR_GATEWAY_REQUEST_INVALID',
      'a WebSocket begins with a GET that has no body and a Sec-WebSocket-Key',
    );
  }
}

/**
 * A response on an upgraded connection, which closes it when it is over. To keep the connection
 * instead (after 101), call `detach` before it ends.
 */
export function responseOn(
  request: IncomingMessage,
  socket: Socket,
): { readonly response: ServerResponse; readonly detach: () => void } {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  const drained = (): boolean => response.emit('drain');
  let kept = false;
  socket.on('error', () => {});
  socket.on('drain', drained);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.off('drain', drained);
    if (!kept) socket.destroySoon();
    response.emit('close');
  });
  const detach = (): void => {
    kept = true;
  };
  return { response, detach };
}
