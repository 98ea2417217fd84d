/**
 * What a failure answers. Pure: from an error to a status, headers and a body, so that every route
 * says the same and nothing that isn't meant for clients leaves the server.
 *
 *   409 { refused }  the business says no; nothing changed
 *   else { error }   a fault; `outcome` says whether a write may have happened all the same
 */
import { isMeridianError } from 'meridian';
import { Refused } from './rules.ts';
import { AccountRowsMissing } from './transactions.ts';

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Unless the error knows better. */
const RETRY_AFTER_MS = 1_000;

export function problemOf(error: unknown): Problem {
  if (error instanceof Refused) {
    return { status: 409, headers: {}, body: { refused: error.reason } };
  }
  if (error instanceof AccountRowsMissing) {
    return plainProblem(404, { code: 'ERR_ACCOUNT_NOT_OPEN', message: error.message });
  }
  if (isMeridianError(error)) {
    const headers: Record<string, string> = {};
    if (error.retry === 'backoff') {
      headers['retry-after'] = String(Math.ceil((error.retryAfterMs ?? RETRY_AFTER_MS) / 1_000));
    }
    // Tells the gateway to look the account's home up again; see docs on the gateway.
    if (error.code === 'ERR_ENGINE_STALE_ROUTE') headers['meridian-stale-route'] = '1';
    return { status: error.status, headers, body: { error: error.toJSON() } };
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return plainProblem(statusCode, { code: 'ERR_REQUEST_INVALID', message: String(message) });
  }
  const fault = { code: 'ERR_INTERNAL', message: 'the bank failed; its log says why' };
  return { status: 500, headers: {}, body: { error: { ...fault, outcome: 'unknown' } } };
}

function plainProblem(
  status: number,
  error: { readonly code: string; readonly message: string },
): Problem {
  return { status, headers: {}, body: { error: { ...error, outcome: 'none' } } };
}
