/**
 * Refuses requests that two programs could read differently, and heads that are too large. Pure;
 * throws what to answer.
 *
 * Node's parser is strict about framing itself: contradictory or repeated lengths, unknown codings,
 * folded lines, stray CR, LF and NUL never get here. What it lets through and another parser might
 * take another way is refused here: a gateway that guesses is how requests are smuggled.
 */
import type { IncomingMessage } from 'node:http';
import { MeridianError } from '../kernel/errors.ts';
import type { AccountSource, GatewayOptions } from './options.ts';

export type HeadLimits = Pick<GatewayOptions, 'headersMax' | 'urlBytesMax' | 'account'>;

/** A target in origin or absolute form, of the characters a URL may have (RFC 9112 §3.2): no fragment. */
const TARGET = /^[\x21\x22\x24-\x7e]+$/;
/** uri-host and port (RFC 9110 §7.2): no user, no path, no list. */
export const AUTHORITY = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+;=%-]+)(?::\d{0,5})?$/i;

/** Connection may name fields of the connection alone (RFC 9110 §7.6.1); these are the message's. */
const END_TO_END =
  /^(?:host|content-.*|transfer-encoding|authorization|cookie|expect|date|range|if-.*|accept.*|cache-control|origin|idempotency-key|forwarded|x-forwarded-.*|x-real-ip|meridian-.*|sec-.*)$/;

export function checkFraming(request: IncomingMessage, limits: HeadLimits): void {
  const { headers, rawHeaders, httpVersion, url = '' } = request;
  if (rawHeaders.length > 2 * limits.headersMax) {
    throw new MeridianError(
      'ERR_GATEWAY_HEADERS_TOO_LARGE',
      `the request has more than ${String(limits.headersMax)} headers`,
    );
  }
  if (url.length > limits.urlBytesMax) {
    throw new MeridianError(
      'ERR_GATEWAY_URL_TOO_LONG',
      `the request target is longer than ${String(limits.urlBytesMax)} bytes`,
    );
  }
  if (httpVersion !== '1.1') checkOldVersion(request);
  if (!TARGET.test(url)) throw invalid('the request target has a character that URLs do not have');
  checkHost(headers.host, rawHeaders);
  const { connection } = headers;
  if (connection !== undefined && connection !== 'keep-alive' && connection !== 'close') {
    checkConnection(connection, limits.account);
  }
}

function checkOldVersion(request: IncomingMessage): void {
  if (request.httpVersion !== '1.0') throw invalid('the gateway speaks HTTP/1.1 and HTTP/1.0');
  // HTTP/1.0 has no chunks (RFC 9112 §6.1): some would take them for the next request.
  if (request.headers['transfer-encoding'] !== undefined) {
    throw invalid('a request of HTTP/1.0 cannot have a transfer coding');
  }
}

function checkHost(host: string | undefined, rawHeaders: readonly string[]): void {
  if (host === undefined || !AUTHORITY.test(host)) {
    throw invalid('the request needs a Host that is a name or an address, and a port at most');
  }
  let seen = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (seen) throw invalid('the request has more than one Host');
    seen = true;
  }
}

/** Else a client could have the gateway judge by a header that the app server then does not get. */
function checkConnection(connection: string, account: readonly AccountSource[]): void {
  for (const option of connection.toLowerCase().split(',')) {
    const name = option.trim();
    if (
      END_TO_END.test(name) ||
      account.some((source) => source.kind === 'header' && source.name === name)
    ) {
      throw invalid(`Connection names ${name}, which does not belong to the connection`);
    }
  }
}

function invalid(message: string): MeridianError {
  return new MeridianError('ERR_GATEWAY_REQUEST_INVALID', message);
}
