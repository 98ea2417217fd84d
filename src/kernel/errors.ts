/**
 * The one error class. Compare by `code`, never by class identity: a configuration file or a second
 * copy of the package may hold another copy of this class, and codes survive that.
 *
 * Messages and details never carry secrets or row values (PostgreSQL's DETAIL lines do: drop them).
 */
import { ERROR_CODES, type ErrorCode, type RetryAdvice } from './error-codes.ts';

export type { ErrorCode, RetryAdvice };

/** 'none': nothing happened. 'unknown': it may have been committed; never repeat it blindly. */
export type Outcome = 'none' | 'unknown';

export interface MeridianErrorOptions {
  readonly cause?: unknown;
  readonly outcome?: Outcome;
  /** Overrides the table's remedy where the place of failure knows better. */
  readonly remedy?: string;
  /** Small, safe facts for programs: a key's path, a node's name, an epoch. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** For retry 'backoff': the least useful wait. */
  readonly retryAfterMs?: number;
}

export class MeridianError extends Error {
  /** Brand that survives duplicated packages; see `isMeridianError`. */
  readonly isMeridianError = true;
  readonly code: ErrorCode;
  readonly retry: RetryAdvice;
  readonly outcome: Outcome;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: MeridianErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MeridianError';
    this.code = code;
    this.retry = ERROR_CODES[code].retry;
    this.outcome = options.outcome ?? 'none';
    this.remedy = options.remedy ?? ERROR_CODES[code].remedy;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }

  /** HTTP status that fits the code. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      retry: this.retry,
      outcome: this.outcome,
      remedy: this.remedy,
      ...(Object.keys(this.details).length > 0 ? { details: this.details } : {}),
    };
  }
}

export function isMeridianError(error: unknown, code?: ErrorCode): error is MeridianError {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as { isMeridianError?: unknown }).isMeridianError === true &&
    (code === undefined || (error as { code?: unknown }).code === code)
  );
}

/** What was thrown, if it is one of ours; else a fault of our own. */
export function asMeridianError(error: unknown): MeridianError {
  if (isMeridianError(error)) return error;
  return new MeridianError('ERR_INTERNAL', messageOf(error), { cause: error });
}

/** Any thrown value's text, for messages that wrap it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
