/**
 * Makes a copy of the global tables equal to the publisher's by what differs. The copy is never emptied:
 * readers see the old rows until one commit shows the new ones, and what was equal is not touched.
 *
 * The publisher's rows travel as texts of whole rows, in bounded batches by primary key, into temporary
 * tables beside the copy. The commit carries a replication origin, so that a change stream can tell these
 * writes from the application's.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { GLOBAL_PUBLICATION } from './roles.ts';
import { sqlStateOf } from './sqlstate.ts';

export interface MergeSides {
  /** In a transaction whose snapshot is the slot's. */
  readonly publisher: pg.Client;
  readonly subscriber: pg.Client;
  /** Throws when it is no use to go on. */
  readonly check: () => void;
}

const BATCH_ROWS = 1_000;
/** A reader's row lock holds up the merge, and the merge then holds up others. */
const LOCK_TIMEOUT_MS = 2_000;
const ORIGIN = 'meridian_globals_merge';
const UNIQUE_VIOLATION = '23505';

export interface MergedTable {
  /** Quoted, with its schema. */
  readonly name: string;
  readonly keys: readonly { readonly name: string; readonly type: string }[];
  /** Of the others: what can be updated, and what can only be inserted (identities). */
  readonly values: readonly string[];
  readonly fixed: readonly string[];
}

/** How many rows were put right. */
export async function mergeGlobals(sides: MergeSides): Promise<number> {
  const tables = await publishedTables(sides.publisher);
  for (const [index, table] of tables.entries()) await stage(sides, table, stagedName(index));
  sides.check();
  await asOrigin(sides.subscriber);
  try {
    return await apply(sides, tables, 'update');
  } catch (error) {
    // Rows that swap a unique value stand in each other's way, one after the other.
    if (sqlStateOf(error) !== UNIQUE_VIOLATION) throw error;
    return await apply(sides, tables, 'replace');
  }
}

async function publishedTables(publisher: pg.Client): Promise<MergedTable[]> {
  const { rows } = await publisher.query<MergedTable>(
    `SELECT format('%I.%I', p.schemaname, p.tablename) AS name,
       coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
         ORDER BY array_position(i.indkey::int2[], a.attnum)) FILTER (WHERE a.attnum = ANY (i.indkey)),
         '[]') AS keys,
       coalesce(json_agg(a.attname ORDER BY a.attnum) FILTER (
         WHERE a.attnum <> ALL (i.indkey) AND a.attgenerated = '' AND a.attidentity <> 'a'), '[]') AS values,
       coalesce(json_agg(a.attname ORDER BY a.attnum) FILTER (
         WHERE a.attnum <> ALL (i.indkey) AND a.attgenerated = '' AND a.attidentity = 'a'), '[]') AS fixed
     FROM pg_publication_tables p
     JOIN pg_class c ON c.oid = format('%I.%I', p.schemaname, p.tablename)::regclass
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     WHERE p.pubname = $1 GROUP BY p.schemaname, p.tablename ORDER BY 1`,
    [GLOBAL_PUBLICATION],
  );
  const keyless = rows.find((table) => table.keys.length === 0);
  if (keyless !== undefined) {
    throw new MeridianError(
      'ERR_ENGINE_UNSUPPORTED',
      `the copies of ${keyless.name} cannot be compared: it has no primary key`,
    );
  }
  return rows;
}

async function stage(sides: MergeSides, table: MergedTable, staged: string): Promise<void> {
  const { publisher, subscriber, check } = sides;
  await subscriber.query(`DROP TABLE IF EXISTS pg_temp.${staged}`);
  // Without defaults, identities and generated columns: what is sent is what is kept.
  await subscriber.query(`CREATE TEMPORARY TABLE ${staged} (LIKE ${table.name})`);
  let after: string[] | undefined;
  do {
    check();
    const batch = await publisher.query<{ row: string; key: string[] }>(
      batchQuery(table, after !== undefined),
      after,
    );
    const texts = batch.rows.map(({ row }) => row);
    await subscriber.query(
      `INSERT INTO pg_temp.${staged} SELECT (row::${table.name}).* FROM unnest($1::text[]) AS row`,
      [texts],
    );
    after = batch.rows.length < BATCH_ROWS ? undefined : batch.rows.at(-1)?.key;
  } while (after !== undefined);
  await subscriber.query(`CREATE INDEX ON pg_temp.${staged} (${columns(table.keys)})`);
  await subscriber.query(`ANALYZE pg_temp.${staged}`);
}

function batchQuery(table: MergedTable, further: boolean): string {
  const keys = table.keys.map(({ name }) => `t.${quoteIdentifier(name)}`);
  const from = table.keys.map(({ type }, index) => `$${String(index + 1)}::text::${type}`);
  return `SELECT (t.*)::text AS row, ARRAY[${keys.map((key) => `${key}::text`).join(', ')}] AS key
    FROM ${table.name} AS t
    ${further ? `WHERE (${keys.join(', ')}) > (${from.join(', ')})` : ''}
    ORDER BY ${keys.join(', ')} LIMIT ${String(BATCH_ROWS)}`;
}

/** The session's, until it ends; at most one session has it at a time. */
async function asOrigin(subscriber: pg.Client): Promise<void> {
  const name = quoteLiteral(ORIGIN);
  await subscriber.query(
    `SELECT pg_replication_origin_create(${name}) WHERE pg_replication_origin_oid(${name}) IS NULL`,
  );
  await subscriber.query(
    `SELECT pg_replication_origin_session_setup(${name})
     WHERE NOT pg_replication_origin_session_is_setup()`,
  );
}

async function apply(
  { subscriber, check }: MergeSides,
  tables: readonly MergedTable[],
  how: 'update' | 'replace',
): Promise<number> {
  // As apply itself does: no triggers, and so no foreign keys, whose checks the publisher has made.
  await subscriber.query(
    `BEGIN; SET LOCAL session_replication_role = replica;
     SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}; SET LOCAL synchronous_commit = on`,
  );
  try {
    let changed = 0;
    for (const [index, table] of tables.entries()) {
      for (const statement of mergeStatements(table, stagedName(index), how)) {
        changed += (await subscriber.query(statement)).rowCount ?? 0;
      }
      check();
    }
    await subscriber.query('COMMIT');
    return changed;
  } catch (error) {
    await subscriber.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** In this order, so that what is deleted makes room for what comes. */
export function mergeStatements(
  table: MergedTable,
  staged: string,
  how: 'update' | 'replace',
): string[] {
  const same = table.keys.map(({ name }) => equal(name)).join(' AND ');
  const kept = [
    same,
    ...(how === 'replace' ? table.values : []).map((name) => `NOT ${differs(name)}`),
    ...table.fixed.map((name) => `NOT ${differs(name)}`),
  ].join(' AND ');
  const all = columns([
    ...table.keys,
    ...[...table.values, ...table.fixed].map((name) => ({ name })),
  ]);
  const sets = table.values.map((name) => `${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`);
  return [
    `DELETE FROM ${table.name} AS t WHERE NOT EXISTS (SELECT FROM pg_temp.${staged} AS s WHERE ${kept})`,
    ...(sets.length === 0 || how === 'replace'
      ? []
      : [
          `UPDATE ${table.name} AS t SET ${sets.join(', ')} FROM pg_temp.${staged} AS s
           WHERE ${same} AND (${table.values.map(differs).join(' OR ')})`,
        ]),
    `INSERT INTO ${table.name} (${all}) OVERRIDING SYSTEM VALUE SELECT ${all} FROM pg_temp.${staged} AS s
     WHERE NOT EXISTS (SELECT FROM ${table.name} AS t WHERE ${same})`,
  ];
}

const equal = (name: string): string => `t.${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`;

/** As texts: not every type can be compared, and 1.0 is not 1.00 to a reader. */
const differs = (name: string): string =>
  `(t.${quoteIdentifier(name)}::text IS DISTINCT FROM s.${quoteIdentifier(name)}::text)`;

const columns = (list: readonly { readonly name: string }[]): string =>
  list.map(({ name }) => quoteIdentifier(name)).join(', ');

const stagedName = (index: number): string => `meridian_staged_${String(index)}`;
