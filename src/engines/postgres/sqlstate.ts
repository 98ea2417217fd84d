/**
 * PostgreSQL's error codes (docs, appendix A) to ours: one table for every place that talks SQL.
 * Details are dropped on the way: PostgreSQL's DETAIL lines hold row values.
 */
import { MeridianError, type ErrorCode } from '../../kernel/errors.ts';

/** Raised by the opening functions of this engine; see schema.ts. */
export const SQLSTATE_STALE_ROUTE = 'MR001';
export const SQLSTATE_TOO_STALE = 'MR002';
/** The connection is not as it was when it was opened. */
export const SQLSTATE_SOILED = 'MR003';
/** The node may be the leader, and has no lease that proves it: see arbiter/lease.ts. */
export const SQLSTATE_NO_LEASE = 'MR004';
/** The account is in another range: see schema-transfer.ts. */
export const SQLSTATE_DEPARTED = 'MR005';
/** Raised by `claim_key`; see schema-idempotency.ts. */
export const SQLSTATE_KEY_USED = 'MR010';

const BY_STATE: Readonly<Record<string, ErrorCode>> = {
  [SQLSTATE_STALE_ROUTE]: 'ERR_ENGINE_STALE_ROUTE',
  [SQLSTATE_TOO_STALE]: 'ERR_ENGINE_TOO_STALE',
  [SQLSTATE_SOILED]: 'ERR_ENGINE_UNAVAILABLE',
  [SQLSTATE_NO_LEASE]: 'ERR_ENGINE_NO_NODE',
  [SQLSTATE_DEPARTED]: 'ERR_ENGINE_STALE_ROUTE',
  [SQLSTATE_KEY_USED]: 'ERR_IDEMPOTENCY_KEY_USED',
  '40001': 'ERR_ENGINE_SERIALIZATION',
  '40P01': 'ERR_ENGINE_SERIALIZATION',
  // A lock that NOWAIT or lock_timeout gave up on: like a conflict, another try may get it.
  '55P03': 'ERR_ENGINE_SERIALIZATION',
  '40003': 'ERR_ENGINE_COMMIT_UNKNOWN',
  '25006': 'ERR_ENGINE_READ_ONLY',
  // Not let in: a leader that has not opened yet (opening.ts).
  '28000': 'ERR_ENGINE_UNAVAILABLE',
  '42501': 'ERR_ENGINE_PERMISSION',
  '53300': 'ERR_ENGINE_OVERLOADED',
  '53400': 'ERR_ENGINE_OVERLOADED',
  '57014': 'ERR_ABORTED',
};

/** Classes and codes that say the connection or the server, not the statement, is at fault. */
const UNAVAILABLE = /^(08|57P|58)/;

export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  // The system's own codes may look alike: a broken pipe is EPIPE.
  if (syscall !== undefined) return undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** A migration has changed what a prepared statement returns: a new connection prepares it anew. */
function isOvertaken(state: string, text: string): boolean {
  return state === '0A000' && text.startsWith('cached plan must not change');
}

/** One code for every cancelled statement; only the text tells who cancelled (the servers speak C's). */
function limitOf(state: string, text: string, asked: AskedLimits): ErrorCode | undefined {
  if (state === '57014' && text.includes('statement timeout')) return 'ERR_STATEMENT_TIMEOUT';
  if (state === '55P03' && asked.lockTimeout) return 'ERR_LOCK_TIMEOUT';
  return undefined;
}

/** Who sets a bound on locks does not want to wait for them again and again, as after a conflict. */
interface AskedLimits {
  readonly lockTimeout: boolean;
}

/** A driver's error as one of ours. */
export function fromDriver(
  error: unknown,
  doing: string,
  asked: AskedLimits = { lockTimeout: false },
): MeridianError {
  const state = sqlStateOf(error);
  const text = error instanceof Error ? error.message : String(error);
  if (state === undefined) {
    // No SQLSTATE: the socket failed, or the server closed it.
    return new MeridianError('ERR_ENGINE_UNAVAILABLE', `${doing}: ${text}`, {
      cause: withoutDetail(error),
      details: cutBecause(error),
    });
  }
  const code = isOvertaken(state, text)
    ? 'ERR_ENGINE_UNAVAILABLE'
    : (limitOf(state, text, asked) ??
      BY_STATE[state] ??
      (UNAVAILABLE.test(state) ? 'ERR_ENGINE_UNAVAILABLE' : 'ERR_ENGINE_STATEMENT'));
  return new MeridianError(code, `${doing}: ${text} (SQLSTATE ${state})`, {
    cause: withoutDetail(error),
    details: { sqlState: state, ...constraintOf(error), ...departedInto(state, error) },
  });
}

/** Of a connection that this process cut itself: why. */
function cutBecause(error: unknown): Readonly<Record<string, unknown>> {
  const details = (error as { details?: unknown } | undefined)?.details;
  return typeof details === 'object' && details !== null ? { ...details } : {};
}

/** Names of schema objects help programs; they are not row values. */
function constraintOf(error: unknown): Record<string, string> {
  const { constraint, table } = error as { constraint?: unknown; table?: unknown };
  return {
    ...(typeof constraint === 'string' ? { constraint } : {}),
    ...(typeof table === 'string' ? { table } : {}),
  };
}

/** Which account is meant, the transaction knows: the one whose opening was refused. */
function departedInto(state: string, error: unknown): Record<string, unknown> {
  if (state !== SQLSTATE_DEPARTED) return {};
  const { schema, account } = error as { schema?: unknown; account?: unknown };
  return { departed: { account, into: schema } };
}

function withoutDetail(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error;
  const { message, stack } = error as Error;
  const state = sqlStateOf(error);
  const cause = new Error(message) as Error & { code?: string };
  if (stack !== undefined) cause.stack = stack;
  if (state !== undefined) cause.code = state;
  return cause;
}
