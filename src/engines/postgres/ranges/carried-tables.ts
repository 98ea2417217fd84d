/** Which tables of a range have rows of accounts, and which rows those are. */
import type pg from 'pg';
import { MeridianError } from '../../../kernel/errors.ts';
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import type { Fence } from '../fence-rules.ts';
import { quoteIdentifier } from '../quote.ts';

export interface Carrying {
  readonly from: RangeName;
  readonly into: RangeName;
  readonly accounts: readonly AccountId[];
}

export interface CarriedTable {
  readonly name: string;
  readonly by: string;
  readonly type: string;
  readonly exact: boolean;
  readonly columns: readonly string[];
}

/**
 * With the column that says whose each row is. Partitions come with what they are parts of.
 *
 * @throws ERR_OPERATION_REFUSED for a table with rows of which nobody knows whose they are
 */
export async function carriedTables(
  client: pg.Client,
  range: RangeName,
  fence: Fence,
): Promise<CarriedTable[]> {
  const { rows } = await client.query<{
    name: string;
    columns: { name: string; type: string; exact: boolean; kept: boolean }[];
  }>(TABLES, [range]);
  const carried: CarriedTable[] = [];
  for (const { name, columns } of rows) {
    const locality = fence.tables[name];
    const by = locality?.kind === 'regional' ? locality.by : undefined;
    const column = columns.find((one) => one.name === by);
    if (column !== undefined) {
      const kept = columns.filter((one) => one.kept).map((one) => one.name);
      const { type, exact } = column;
      carried.push({ name, by: column.name, type, exact, columns: kept });
      continue;
    }
    const table = `${quoteIdentifier(range)}.${quoteIdentifier(name)}`;
    const some = await client.query(`SELECT FROM ${table} LIMIT 1`);
    if (some.rowCount !== 0) {
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        `${range} has a table with rows that are no account's, ${name}: they cannot go along`,
        { remedy: `Declare ${name} as regional, by the column that names the account.` },
      );
    }
  }
  return carried;
}

const TABLES = `
  SELECT c.relname::text AS name, jsonb_agg(jsonb_build_object('name', a.attname,
      'type', format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), -1),
      'exact', a.atttypid IN ('text'::regtype, 'varchar'::regtype)
        AND coalesce((SELECT l.collisdeterministic FROM pg_collation l WHERE l.oid = a.attcollation), true),
      'kept', a.attgenerated = '') ORDER BY a.attnum) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  GROUP BY c.oid, c.relname ORDER BY c.relname`;

/** Whose rows they are: as the tenant fence compares (fence-rules.ts). */
export function ofAccounts(column: Pick<CarriedTable, 'by' | 'type' | 'exact'>): string {
  const name = quoteIdentifier(column.by);
  return column.exact
    ? `${name} = ANY ($1::text[])`
    : `${name}::text COLLATE "C" = ANY ($1::text[])`;
}
