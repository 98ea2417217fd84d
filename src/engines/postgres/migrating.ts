/**
 * Applies migrations: each file in one transaction with the record that it ran, so a crash leaves
 * whole files only and the next start goes on after the last one.
 *
 * The application's tables belong to a role that nobody logs in as. Extensions and types need more, so
 * statements run as the administrator and what they made is handed over at the end of the file.
 */
import type pg from 'pg';
import { migrationFailed } from '../../migrations/failure.ts';
import type { MigrationFile } from '../../migrations/files.ts';
import { planMigrations, type AppliedRecord } from '../../migrations/plan.ts';
import { applyFence, checkFence } from './fence.ts';
import type { Fence } from './fence-rules.ts';
import { quoteIdentifier } from './quote.ts';
import { GLOBAL_SCHEMA, ROLE } from './roles.ts';
import { rangeStatements } from './schema.ts';
import { sqlStateOf } from './sqlstate.ts';

export const DATABASE_SCOPE = 'database';

export interface MigrationTarget {
  /** 'database' or a range's name: the key of the records. */
  readonly scope: string;
  /** Where unqualified names go. */
  readonly schema: string;
  /** For messages: "range r0001". */
  readonly where: string;
  readonly fence: Fence;
}

export function databaseTarget(group: string, fence: Fence): MigrationTarget {
  return { scope: DATABASE_SCOPE, schema: GLOBAL_SCHEMA, where: `group ${group}`, fence };
}

export function rangeTarget(range: string, fence: Fence): MigrationTarget {
  return { scope: range, schema: range, where: `range ${range}`, fence };
}

/** Returns how many files ran. Throws ERR_MIGRATION_FAILED or ERR_MIGRATION_CHANGED. */
export async function applyMigrations(
  client: pg.Client,
  target: MigrationTarget,
  files: readonly MigrationFile[],
): Promise<number> {
  const { pending } = planMigrations({
    applied: await appliedIn(client, target.scope),
    files,
    where: target.where,
  });
  for (const file of pending) {
    await client.query('BEGIN');
    try {
      await runFile(client, target, file);
      await client.query(
        'INSERT INTO meridian.migration (scope, name, checksum) VALUES ($1, $2, $3)',
        [target.scope, file.name, file.checksum],
      );
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error;
    }
  }
  await mendFence(client, target);
  return pending.length;
}

/** What no migration has touched: the declaration changed, or somebody's hand. */
async function mendFence(client: pg.Client, target: MigrationTarget): Promise<void> {
  await client.query('BEGIN');
  try {
    await applyFence(client, target.schema, target.fence);
    await checkFence(client, target.schema, target.fence);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

export async function appliedIn(client: pg.Client, scope: string): Promise<AppliedRecord[]> {
  const result = await client.query<AppliedRecord>(
    'SELECT name, checksum FROM meridian.migration WHERE scope = $1 ORDER BY name',
    [scope],
  );
  return result.rows;
}

/** Inside the caller's transaction. */
export async function runFile(
  client: pg.Client,
  target: MigrationTarget,
  file: MigrationFile,
): Promise<void> {
  const path = target.schema === GLOBAL_SCHEMA ? [GLOBAL_SCHEMA] : [target.schema, GLOBAL_SCHEMA];
  await client.query(`SET LOCAL search_path = ${path.map(quoteIdentifier).join(', ')}, pg_temp`);
  for (const statement of file.statements) {
    try {
      await client.query(statement.text);
    } catch (cause) {
      throw migrationFailed({
        file,
        statement,
        error: {
          message: (cause as Error).message,
          sqlState: sqlStateOf(cause),
          position: positionOf(cause),
        },
        where: target.where,
      });
    }
  }
  await handOver(client, target.schema);
  await applyFence(client, target.schema, target.fence);
}

function positionOf(error: unknown): number | undefined {
  const position = Number((error as { position?: unknown }).position);
  return Number.isInteger(position) && position > 0 ? position : undefined;
}

/**
 * Tables, sequences and views of the schema go to the owner role, and the application gets its rights
 * on them; default privileges do not apply to what another role made.
 */
async function handOver(client: pg.Client, schema: string): Promise<void> {
  const found = await client.query<{ kind: string; name: string }>(
    `SELECT c.relkind AS kind, c.relname AS name FROM pg_class c
     WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v', 'm')
       AND c.relowner <> $2::regrole
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))
     ORDER BY c.oid`,
    [quoteIdentifier(schema), ROLE.owner],
  );
  const owner = quoteIdentifier(ROLE.owner);
  for (const { kind, name } of found.rows) {
    const relation = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
    const type = { S: 'SEQUENCE', v: 'VIEW', m: 'MATERIALIZED VIEW' }[kind] ?? 'TABLE';
    await client.query(`ALTER ${type} ${relation} OWNER TO ${owner}`);
  }
  // With its owner's rights a function acts for every caller: not with the administrator's.
  const powerful = await client.query<{ routine: string }>(
    `SELECT p.oid::regprocedure::text AS routine FROM pg_proc p
     WHERE p.pronamespace = $1::regnamespace AND p.prosecdef AND p.proowner <> $2::regrole
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')`,
    [quoteIdentifier(schema), ROLE.owner],
  );
  for (const { routine } of powerful.rows) {
    await client.query(`ALTER ROUTINE ${routine} OWNER TO ${owner}`);
  }
  await client.query(grantsIn(schema));
}

function grantsIn(schema: string): string {
  const inSchema = `IN SCHEMA ${quoteIdentifier(schema)}`;
  const app = quoteIdentifier(ROLE.application);
  if (schema !== GLOBAL_SCHEMA) {
    return `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES ${inSchema} TO ${app};
            GRANT USAGE, SELECT ON ALL SEQUENCES ${inSchema} TO ${app}`;
  }
  const writer = quoteIdentifier(ROLE.globalWriter);
  const replication = quoteIdentifier(ROLE.replication);
  // Only the publisher has the publication; only there may global tables be written.
  return `GRANT SELECT ON ALL TABLES ${inSchema} TO ${app}, ${writer}, ${replication};
    DO $$ BEGIN
      IF EXISTS (SELECT FROM pg_publication WHERE pubname = 'meridian_global') THEN
        GRANT INSERT, UPDATE, DELETE ON ALL TABLES ${inSchema} TO ${writer};
        GRANT USAGE, SELECT ON ALL SEQUENCES ${inSchema} TO ${writer};
      END IF;
    END $$`;
}

/** Makes the range's schema and its row if it has none yet. */
export async function ensureRange(client: pg.Client, range: string): Promise<boolean> {
  const found = await client.query('SELECT 1 FROM meridian.range WHERE name = $1', [range]);
  if (found.rows.length > 0) return false;
  await client.query(`BEGIN; ${rangeStatements(range)} COMMIT`);
  return true;
}
