/**
 * What an answer, or its absence, says about an operation. Pure. Whatever does not say clearly that
 * nothing happened may have happened: a checker that took a lost answer for a failure would accuse
 * the innocent, and one that took a failure for a lost answer would let the guilty go.
 */
import { isMeridianError } from '../kernel/errors.ts';
import type { Action, OperationOutcome } from './history.ts';

export interface Failure {
  readonly outcome: Exclude<OperationOutcome, 'ok'>;
  readonly code: string;
}

/** The application's own refusal: thrown inside a transaction, which is rolled back for it. */
export class Refused extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(`refused: ${reason}`);
    this.name = 'Refused';
    this.reason = reason;
  }
}

/** Connections that were never made: nothing can have been sent. */
const NEVER_SENT = new Set(['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT']);

/** Of the library. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Refused) return { outcome: 'failed', code: 'REFUSED' };
  if (isMeridianError(error)) {
    return { outcome: error.outcome === 'none' ? 'failed' : 'unknown', code: error.code };
  }
  return { outcome: 'unknown', code: 'UNEXPECTED' };
}

/** Of an HTTP client that got no answer. */
export function lostAnswer(error: unknown): Failure {
  const { code } = error as { code?: unknown };
  const text = typeof code === 'string' ? code : 'NETWORK';
  return { outcome: NEVER_SENT.has(text) ? 'failed' : 'unknown', code: text };
}

/** Of an answer over HTTP that is not a success. */
export function refusedAnswer(status: number, body: unknown): Failure {
  const { refused, error } = (body ?? {}) as { refused?: unknown; error?: unknown };
  if (status === 409 && typeof refused === 'string') return { outcome: 'failed', code: 'REFUSED' };
  const { code, outcome } = (error ?? {}) as { code?: unknown; outcome?: unknown };
  return {
    outcome: outcome === 'none' ? 'failed' : 'unknown',
    code: typeof code === 'string' ? code : `HTTP_${String(status)}`,
  };
}

/** An action that changes nothing has not happened if it was not answered. */
export function isRead(action: Action): boolean {
  switch (action.kind) {
    case 'register-read':
    case 'balances':
      return true;
    case 'list':
      return action.steps.every((step) => step.kind === 'read');
    case 'register-write':
    case 'register-swap':
    case 'transfer':
    case 'insert':
      return false;
  }
}
