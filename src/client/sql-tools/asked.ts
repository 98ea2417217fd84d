/** The many shapes of `query`'s arguments in `pg`, as one; and results in its shape. Pure. */
import type pg from 'pg';
import type { Statement, StatementResult, TypeParsers } from '../../engines/connector.ts';
import { MeridianError } from '../../kernel/errors.ts';

export type Callback = (error: unknown, result?: PgResult) => void;
export type PgResult = pg.QueryResult | pg.QueryResult[];

export interface Asked {
  readonly statement: Statement;
  readonly callback: Callback | undefined;
}

interface Config {
  readonly text?: unknown;
  readonly values?: unknown;
  readonly rowMode?: unknown;
  readonly types?: unknown;
  readonly callback?: unknown;
  readonly submit?: unknown;
  readonly rows?: unknown;
  readonly binary?: unknown;
}

/**
 * Throws at once, as `pg` does for what is no query at all, and for cursors and streams: they hold a
 * place in a connection that is shared and pipelined.
 */
export function askedOf(args: readonly unknown[]): Asked {
  const [first, second, third] = args;
  if (first === undefined || first === null) {
    throw new TypeError('Client was passed a null or undefined query');
  }
  const config: Config = typeof first === 'string' ? { text: first } : first;
  if (typeof config.submit === 'function' || config.rows !== undefined) {
    throw unsupported(
      'cursors and query streams',
      'Read in pages: WHERE id > $1 ORDER BY id LIMIT n.',
    );
  }
  if (config.binary === true) throw unsupported('binary results', 'Leave `binary` out.');
  if (typeof config.text !== 'string') throw new TypeError('A query must have text');
  const values = Array.isArray(second) ? second : config.values;
  return {
    statement: {
      text: config.text,
      values: Array.isArray(values) ? (values as unknown[]) : [],
      rowMode: config.rowMode === 'array' ? 'array' : undefined,
      types: config.types as TypeParsers | undefined,
    },
    callback: [second, third, config.callback].find((one) => typeof one === 'function') as
      Callback | undefined,
  };
}

export function unsupported(what: string, remedy: string): MeridianError {
  return new MeridianError('ERR_ENGINE_UNSUPPORTED', `the library's pools do not do ${what}`, {
    remedy,
  });
}

export function pgResult(result: StatementResult): PgResult {
  if (result.each !== undefined) return result.each.map((one) => pgResult(one) as pg.QueryResult);
  const { command, rowCount, rows, fields } = result;
  // OIDs of rows are gone since PostgreSQL 12; `pg` still has the property.
  return {
    command,
    rowCount,
    oid: null as unknown as number,
    rows: [...rows],
    fields: [...fields],
  };
}

/** The answer to a statement that the library carried out itself. */
export function tagged(command: string): pg.QueryResult {
  return pgResult({ command, rowCount: null, rows: [], fields: [] }) as pg.QueryResult;
}

/** Answers the caller in the way it asked. */
export function answer(
  promise: Promise<PgResult>,
  callback: Callback | undefined,
): Promise<PgResult> | undefined {
  if (callback === undefined) return promise;
  promise.then(
    (result) => {
      callback(null, result);
    },
    (error: unknown) => {
      callback(error);
    },
  );
  return undefined;
}
