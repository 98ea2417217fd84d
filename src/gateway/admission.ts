/**
 * Reads a request's head and refuses what cannot be served, before anything is spent on it. Pure: it
 * looks at headers alone. Throws the MeridianError to answer with.
 */
import type { IncomingMessage } from 'node:http';
import { MeridianError } from '../kernel/errors.ts';
import { IDEMPOTENCY_KEY_HEADER, isIdempotencyKey } from '../topology/idempotency-key.ts';
import { bodyTooLarge } from './body.ts';
import type { Head } from './exchange.ts';
import { AUTHORITY, checkFraming } from './framing.ts';
import { HOP_HEADER, originForm, timeAllowedMs, TIMEOUT_HEADER } from './headers.ts';
import type { GatewayOptions } from './options.ts';
import { requestToken, TOKEN_HEADER } from './token.ts';

export function readHead(request: IncomingMessage, options: GatewayOptions): Head {
  checkFraming(request, options);
  const { headers, method } = request;
  if (method === 'TRACE' || method === 'CONNECT') {
    throw new MeridianError('ERR_GATEWAY_UNSUPPORTED', `the gateway does not forward ${method}`);
  }
  const target = originForm(request.url ?? '');
  if (target === undefined || !AUTHORITY.test(target.authority ?? 'none')) {
    throw invalid('the request target must be a path or an http URL');
  }
  const contentLength = declaredLength(request);
  if (contentLength !== undefined && contentLength > options.bodyLimitBytes) {
    throw bodyTooLarge(options.bodyLimitBytes);
  }
  return {
    path: target.path,
    host: target.authority ?? headers.host ?? '',
    hopped: headers[HOP_HEADER] !== undefined,
    token: requestToken(single(headers[TOKEN_HEADER]), headers.cookie),
    keyed: options.idempotencyKeys && hasKey(headers[IDEMPOTENCY_KEY_HEADER]),
    contentLength,
  };
}

/** Throws ERR_IDEMPOTENCY_KEY_INVALID; Node joins a repeated header by ", ", which is in no key. */
function hasKey(header: string | string[] | undefined): boolean {
  if (header === undefined) return false;
  if (typeof header === 'string' && isIdempotencyKey(header)) return true;
  throw new MeridianError(
    'ERR_IDEMPOTENCY_KEY_INVALID',
    'the header Idempotency-Key must be one key of 1 to 255 visible ASCII characters',
  );
}

/** Throws ERR_GATEWAY_REQUEST_INVALID for a malformed `meridian-timeout-ms`. */
export function readTimeAllowed(request: IncomingMessage, limitMs: number): number {
  const allowed = timeAllowedMs(request.headers[TIMEOUT_HEADER], limitMs);
  if (allowed === undefined) {
    throw invalid(`${TIMEOUT_HEADER} must be a whole number of milliseconds`);
  }
  return allowed;
}

/** Undefined for a chunked body. Node's parser has refused contradictory and repeated lengths. */
function declaredLength(request: IncomingMessage): number | undefined {
  const coding = request.headers['transfer-encoding'];
  if (coding !== undefined) {
    if (coding.trim().toLowerCase() !== 'chunked') {
      throw invalid('the only transfer coding understood is chunked');
    }
    return undefined;
  }
  return Number(request.headers['content-length'] ?? 0);
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

function invalid(message: string): MeridianError {
  return new MeridianError('ERR_GATEWAY_REQUEST_INVALID', message);
}
