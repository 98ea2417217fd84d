/** Says which statement of which file failed, at which line, and where. Pure. */
import { MeridianError } from '../kernel/errors.ts';
import type { MigrationFile } from './files.ts';
import type { Statement } from './split.ts';

/** The parts of a database error that are told; never its DETAIL, which carries row values. */
export interface StatementError {
  readonly message: string;
  readonly sqlState?: string | undefined;
  /** From 1, in characters of the statement's text, as PostgreSQL counts them. */
  readonly position?: number | undefined;
}

export interface FailedStatement {
  readonly file: MigrationFile;
  readonly statement: Statement;
  readonly error: StatementError;
  /** "range r0001", "group us-east-1". */
  readonly where: string;
  readonly cause?: unknown;
}

/** The line of the file that the error points at: within the statement when the server says so. */
export function failedLine(statement: Statement, position: number | undefined): number {
  if (position === undefined || !Number.isSafeInteger(position) || position < 1) {
    return statement.line;
  }
  // Code points, as the server counts; one beyond the basic plane is two of JavaScript's characters.
  const before = [...statement.text].slice(0, position - 1);
  return statement.line + before.filter((character) => character === '\n').length;
}

export function migrationFailed(failed: FailedStatement): MeridianError {
  const { file, statement, error, where, cause } = failed;
  const line = failedLine(statement, error.position);
  const state = error.sqlState === undefined ? '' : ` (SQLSTATE ${error.sqlState})`;
  return new MeridianError(
    'ERR_MIGRATION_FAILED',
    `${file.path}:${String(line)} failed in ${where}: ${error.message}${state}`,
    { cause, details: { file: file.path, line, where, sqlState: error.sqlState } },
  );
}
