/**
 * Errors as SQL tools expect them: what the database said looks as in `pg` (an instance of its
 * DatabaseError with the SQLSTATE as code, constraint and table), with the MeridianError as its cause.
 * What the library itself says, an unknown outcome above all, stays the MeridianError that it is.
 *
 * DETAIL lines are not carried over: they hold row values.
 */
import pg from 'pg';
import { isMeridianError, type MeridianError } from '../../kernel/errors.ts';

export function databaseError(sqlState: string, message: string, cause?: unknown): Error {
  const error = new pg.DatabaseError(message, message.length, 'error');
  // The field is called `name` in the protocol's messages; tools print it.
  Object.assign(error, { severity: 'ERROR', code: sqlState, name: 'error' });
  if (cause !== undefined) {
    Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
  }
  return error;
}

/** Any error of a statement, as the tool shall see it. */
export function asDatabaseError(error: unknown): unknown {
  if (!isMeridianError(error) || error.outcome === 'unknown') return error;
  const { sqlState, constraint, table } = error.details;
  if (typeof sqlState !== 'string') return error;
  // A plan that a migration has overtaken: for the caller it is a conflict, and to be run again.
  const overtaken = sqlState === '0A000' && error.code === 'ERR_ENGINE_UNAVAILABLE';
  const shown = databaseError(overtaken ? '40001' : sqlState, plainMessage(error), error);
  return Object.assign(shown, {
    ...(typeof constraint === 'string' ? { constraint } : {}),
    ...(typeof table === 'string' ? { table } : {}),
  });
}

/** What the server said, without where and how it was asked. */
function plainMessage(error: MeridianError): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

export function transactionAborted(failure: MeridianError | undefined): Error {
  return databaseError(
    '25P02',
    'current transaction is aborted, commands ignored until end of transaction block',
    failure,
  );
}
