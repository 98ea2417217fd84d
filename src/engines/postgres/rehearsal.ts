/**
 * Runs what is pending, and the regional migrations from their beginning in an empty schema, in one
 * transaction that is always rolled back; then compares the tables it made with the declaration. So a
 * mismatch or a failing statement is refused before anything of it is on disk.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import { planMigrations } from '../../migrations/plan.ts';
import { checkSchema, type ObservedTable } from '../../migrations/schema-check.ts';
import type { DesiredState } from '../engine.ts';
import { applyFence, checkFence } from './fence.ts';
import { fenceOf } from './fence-rules.ts';
import { appliedIn, databaseTarget, DATABASE_SCOPE, rangeTarget, runFile } from './migrating.ts';
import { quoteIdentifier } from './quote.ts';
import { GLOBAL_SCHEMA } from './roles.ts';
import { KEY_TABLE, keyTableStatement } from './schema-idempotency.ts';

const SCRATCH = 'meridian_rehearsal';

export async function rehearse(client: pg.Client, desired: DesiredState): Promise<void> {
  const { pending } = planMigrations({
    applied: await appliedIn(client, DATABASE_SCOPE),
    files: desired.databaseMigrations,
    where: `group ${desired.primaryGroup}`,
  });
  const fence = fenceOf(desired);
  const database = databaseTarget(desired.primaryGroup, fence);
  await client.query('BEGIN');
  try {
    for (const file of pending) await runFile(client, database, file);
    await refuseGlobalRows(client);
    await client.query(`CREATE SCHEMA ${quoteIdentifier(SCRATCH)}; ${keyTableStatement(SCRATCH)}`);
    const scratch = { ...rangeTarget(SCRATCH, fence), where: 'the rehearsal, before any range' };
    for (const file of desired.regionalMigrations) await runFile(client, scratch, file);
    checkSchema(desired.tables, await observedTables(client));
    await applyFence(client, SCRATCH, fence);
    await checkFence(client, SCRATCH, fence);
  } finally {
    await client.query('ROLLBACK').catch(() => {});
  }
}

/**
 * Database migrations run in every group, and rows of global tables are replicated there: a row that
 * a migration writes would arrive twice and stop replication.
 */
async function refuseGlobalRows(client: pg.Client): Promise<void> {
  const written = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_stat_xact_user_tables
     WHERE schemaname = $1 AND n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1`,
    [GLOBAL_SCHEMA],
  );
  if (written.rows.length === 0) return;
  const names = written.rows.map((row) => row.name).join(', ');
  throw new MeridianError(
    'ERR_SCHEMA_MISMATCH',
    `tables.${written.rows[0]?.name ?? ''}: a migration in migrations/database writes rows of global tables (${names}), and it runs in every group`,
    { remedy: 'Write rows of global tables with global.write; they are replicated everywhere.' },
  );
}

async function observedTables(client: pg.Client): Promise<ObservedTable[]> {
  const result = await client.query<ObservedTable>(
    `SELECT CASE n.nspname WHEN $1 THEN 'database' ELSE 'regional' END AS scope,
       c.relname AS table,
       coalesce((SELECT array_agg(a.attname::text ORDER BY k.place)
         FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place), pg_attribute a
         WHERE i.indrelid = c.oid AND i.indisprimary
           AND a.attrelid = c.oid AND a.attnum = k.attnum), '{}') AS "primaryKey",
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY ($2)
       AND c.relname <> '${KEY_TABLE}'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1, 2`,
    [GLOBAL_SCHEMA, [GLOBAL_SCHEMA, SCRATCH]],
  );
  return result.rows;
}
