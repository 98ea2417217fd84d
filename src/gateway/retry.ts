/**
 * What to do after an app server failed a request. Pure.
 *
 * The rule: a request is repeated only when that cannot do anything twice. Nothing was sent: any
 * method may try another server. Something was sent: only idempotent methods may, and requests with a
 * key on which the application promises to act once, and only while the body can still be sent whole. Everything else is answered with `outcome: unknown`, so that the
 * client, who knows what the request means, decides.
 */
import { isMeridianError, MeridianError, type Outcome } from '../kernel/errors.ts';
import { isIdempotent, isRead } from './route.ts';

/** Servers asked for one request, the first included. */
export const ATTEMPTS_MAX = 3;

export interface Failure {
  readonly method: string;
  /** A connection stood and the request was (perhaps partly) written to it. */
  readonly sent: boolean;
  /** It has an idempotency key that the application honours. */
  readonly keyed: boolean;
  /** The body can be sent again from its first byte. */
  readonly replayable: boolean;
  /** Including the failed one. */
  readonly attempts: number;
}

export type Verdict =
  { readonly kind: 'retry' } | { readonly kind: 'refuse'; readonly outcome: Outcome };

export function afterFailure(failure: Failure): Verdict {
  const safe = !failure.sent || failure.keyed || isIdempotent(failure.method);
  if (safe && failure.replayable && failure.attempts < ATTEMPTS_MAX) return { kind: 'retry' };
  return { kind: 'refuse', outcome: outcomeOf(failure) };
}

/** What the client must assume about a request that was given up. */
export function outcomeOf(failure: Pick<Failure, 'sent' | 'method'>): Outcome {
  return failure.sent && !isRead(failure.method) ? 'unknown' : 'none';
}

/** A refusal for a reason of the platform's does not say what an earlier attempt has done. */
export function mayHide(status: number, exchange: Pick<Failure, 'sent' | 'method'>): boolean {
  return (status >= 500 || status === 429) && outcomeOf(exchange) === 'unknown';
}

/** Nothing was done for what fails now; but something may have been by an attempt before. */
export function asSent(exchange: Pick<Failure, 'sent' | 'method'>, error: unknown): unknown {
  if (!isMeridianError(error) || error.outcome !== 'none') return error;
  const outcome = outcomeOf(exchange);
  if (outcome === 'none') return error;
  const { code, message, retryAfterMs, details } = error;
  const waits = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new MeridianError(code, message, { outcome, details, cause: error, ...waits });
}
