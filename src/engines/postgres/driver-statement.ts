/** A statement and its result, between the port's words and the driver's. */
import type pg from 'pg';
import type { Statement, StatementResult } from '../connector.ts';
import { statementName } from './prepared.ts';

/**
 * Named per range and text, so that the server parses and plans it once per connection. Without
 * values it goes as it is: a text may then hold several statements.
 */
export function driverStatement(
  client: pg.PoolClient,
  range: string,
  { text, values, rowMode, types }: Statement,
): pg.QueryConfig {
  const reading = {
    ...(rowMode === undefined ? {} : { rowMode }),
    ...(types === undefined ? {} : { types }),
  };
  if (values.length === 0) return { text, ...reading };
  const name = statementName(client, range, text);
  return { text, values: [...values], ...reading, ...(name === undefined ? {} : { name }) };
}

export function statementResult(result: pg.QueryResult | pg.QueryResult[]): StatementResult {
  if (!Array.isArray(result)) {
    const { rows, rowCount, command, fields } = result;
    return { rows, rowCount, command, fields };
  }
  const each = result.map(statementResult);
  const last = each.at(-1) ?? { rows: [], rowCount: null, command: '', fields: [] };
  return { ...last, each };
}
