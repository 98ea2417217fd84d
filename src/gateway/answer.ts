/**
 * The gateway's own answers: refusals and health. A refusal always says why, whether anything can
 * have happened, and when to come back.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { OUTCOME_HEADER, REQUEST_ID_HEADER } from './headers.ts';
import { refusalHeaders } from './refusal-headers.ts';

/** Least useful wait for a refusal that does not know better. */
const RETRY_AFTER_MS = 1_000;

/**
 * How long the rest of an unwanted request body is read and dropped. Closing at once would reset the
 * connection, and a client in the middle of sending would lose the answer that explains it.
 */
const LINGER_MS = 1_000;

export interface Answering {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly clock: Clock;
  /** Close the connection after this answer. */
  readonly last: boolean;
}

/** The error to answer with; what is none of ours is a fault of ours, and is logged. */
export function refusalOf(error: unknown, log: Log, requestId: string): MeridianError {
  if (isMeridianError(error)) return error;
  const reason = messageOf(error);
  log.error('a request failed for a reason of our own', { requestId, reason });
  return new MeridianError('ERR_INTERNAL', 'the gateway failed', { cause: error });
}

export function refuse(to: Answering, error: MeridianError, requestId: string): void {
  const { code, message, remedy, retry, outcome } = error;
  const headers = [REQUEST_ID_HEADER, requestId, 'cache-control', 'no-store'];
  headers.push(...refusalHeaders(error));
  if (retry === 'now' || retry === 'backoff') {
    const seconds = Math.ceil((error.retryAfterMs ?? RETRY_AFTER_MS) / 1_000);
    headers.push('retry-after', String(Math.max(1, seconds)));
  }
  if (outcome === 'unknown') headers.push(OUTCOME_HEADER, 'unknown');
  const body = { error: { code, message, remedy, retry, outcome, requestId } };
  // Who sends what cannot be read safely is not read further.
  const last = to.last || code === 'ERR_GATEWAY_REQUEST_INVALID';
  answerJson({ ...to, last }, error.status, { headers, body });
}

/** A whole message, for a connection that has no response object: it is closed afterwards. */
export function refusalText(error: MeridianError): string {
  const { code, message, remedy, retry, outcome, status } = error;
  const body = JSON.stringify({ error: { code, message, remedy, retry, outcome } }) + '\n';
  return [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}`,
    ...['connection: close', 'cache-control: no-store'],
    ...(retry === 'backoff' ? [`retry-after: ${String(RETRY_AFTER_MS / 1_000)}`] : []),
    'content-type: application/json; charset=utf-8',
    `content-length: ${String(Buffer.byteLength(body))}`,
    ...['', body],
  ].join('\r\n');
}

export function answerJson(
  to: Answering,
  status: number,
  content: { readonly headers: readonly string[]; readonly body: unknown },
): void {
  const text = JSON.stringify(content.body) + '\n';
  const headers = [
    ...content.headers,
    ...['content-type', 'application/json; charset=utf-8'],
    ...['content-length', String(Buffer.byteLength(text))],
    ...(to.last || uninvited(to.request) ? ['connection', 'close'] : []),
  ];
  to.response.writeHead(status, headers);
  to.response.end(text);
  dropRest(to);
}

/**
 * A client that asked before sending its body may now send it or not (RFC 9110 §10.1.1): what comes
 * next on its connection cannot be told apart.
 */
function uninvited(request: IncomingMessage): boolean {
  return request.headers.expect !== undefined && !request.complete;
}

/** Reads and drops what is left of the request body, for a bounded time; then closes. */
export function dropRest(to: Pick<Answering, 'request' | 'clock'>): void {
  const { request, clock } = to;
  if (request.complete || request.destroyed) return;
  const cancel = clock.schedule(LINGER_MS, () => {
    if (!request.complete) request.socket.destroy();
  });
  request.once('close', cancel);
  request.resume();
}
