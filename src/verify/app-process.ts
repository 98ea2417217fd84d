/**
 * The application under verification: a plain HTTP server on the library, started by the platform like
 * anybody's. Reads are GET, and so are answered in the region that was asked; everything else is POST,
 * goes to the account's home, and honours `Idempotency-Key`.
 *
 * It believes its clients: it exists in clusters that are thrown away.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AccountTransactionOptions, MeridianClient } from '../client/api.ts';
import { connect } from '../client/connect.ts';
import { idempotencyOf } from '../client/idempotency.ts';
import { isMeridianError } from '../kernel/errors.ts';
import { performAction } from './actions.ts';
import type { Action } from './history.ts';
import { Refused } from './outcome.ts';

/** Below the gateway's own limit, so that our refusal is the one that is told. */
const TIMEOUT_MS = 7_000;
const BODY_BYTES_MAX = 64 * 1024;

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw new Error('the body is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function timeoutOf(request: IncomingMessage): number {
  const left = Number(request.headers['meridian-timeout-ms']);
  return left > 0 ? Math.min(left, TIMEOUT_MS) : TIMEOUT_MS;
}

async function replyTo(db: MeridianClient, request: IncomingMessage): Promise<Reply> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/healthz') return { status: 200, body: { status: 'ok' } };
  const reading = request.method === 'GET';
  const body = reading ? undefined : await bodyOf(request);
  const action = JSON.parse(body ?? url.searchParams.get('action') ?? '') as Action;
  const options: AccountTransactionOptions = {
    timeoutMs: timeoutOf(request),
    idempotency: idempotencyOf({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body,
    }),
  };
  const { token, ...done } = await performAction(db, action, options);
  return { status: 200, body: done, headers: { 'meridian-token': token } };
}

function refusalOf(error: unknown): Reply {
  if (error instanceof Refused) return { status: 409, body: { refused: error.reason } };
  if (!isMeridianError(error)) {
    const failed = { code: 'ERR_INTERNAL', message: String(error), outcome: 'unknown' };
    return { status: 500, body: { error: failed } };
  }
  const headers: Record<string, string> = {};
  if (error.retry === 'backoff') headers['retry-after'] = '1';
  // Tells the gateway to look the account's home up again.
  if (error.code === 'ERR_ENGINE_STALE_ROUTE') headers['meridian-stale-route'] = '1';
  return { status: error.status, body: { error: error.toJSON() }, headers };
}

async function serve(
  db: MeridianClient,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
): Promise<void> {
  const reply = await replyTo(db, request).catch(refusalOf);
  response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
  response.end(JSON.stringify(reply.body));
}

const db = await connect();
const server = createServer((request, response) => {
  void serve(db, { request, response });
});
server.listen(Number(process.env['PORT']), '127.0.0.1');

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close(() => {
      void db.close().finally(() => process.exit());
    });
    server.closeIdleConnections();
  });
}
