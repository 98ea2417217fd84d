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
import { lockWarnings } from '../../migrations/lock-warnings.ts';
import { planMigrations, type AppliedRecord } from '../../migrations/plan.ts';
import { applyFence, checkFence } from './fence.ts';
import type { Fence } from './fence-rules.ts';
import type { Statement } from '../../migrations/split.ts';
import { LOCK_TIMEOUT_MS, patiently, type PatienceServices } from './patience.ts';
import { quoteIdentifier } from './quote.ts';
import { GLOBAL_SCHEMA, ROLE } from './roles.ts';
import { rangeStatements } from './schema.ts';
import { keyTableStatement } from './schema-idempotency.ts';
import { sqlStateOf } from './sqlstate.ts';

export const DATABASE_SCOPE = 'database';
const RECORD = 'INSERT INTO meridian.migration (scope, name, checksum) VALUES ($1, $2, $3)';

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

/**
 * Returns how many files ran. Throws ERR_MIGRATION_FAILED or ERR_MIGRATION_CHANGED. `services.log` is
 * told what may lock for long, where there is something to lock.
 */
export async function applyMigrations(
  client: pg.Client,
  target: MigrationTarget,
  by: { readonly files: readonly MigrationFile[]; readonly services: PatienceServices },
): Promise<number> {
  const { services } = by;
  const applied = await appliedIn(client, target.scope);
  const { pending } = planMigrations({ applied, files: by.files, where: target.where });
  const inUse = applied.length > 0;
  for (const { file, line, warning } of inUse ? lockWarnings(pending) : []) {
    const at = `${file}:${String(line)}`;
    services.log.warn(`this migration may lock for long: ${warning.what}`, {
      ...{ at, remedy: warning.remedy, where: target.where },
    });
  }
  for (const file of pending) {
    const [only] = file.statements;
    // Nobody uses an empty schema: there the lock costs nothing, and waiting for others would.
    if (inUse && only?.concurrently !== undefined) {
      await patiently(services, () => runAlone(client, target, { file, only }));
    } else {
      await patiently(services, () => runTogether(client, target, file));
    }
  }
  await patiently(services, () => mendFence(client, target));
  return pending.length;
}

/** What no migration has touched: the declaration changed, or somebody's hand. */
async function mendFence(client: pg.Client, target: MigrationTarget): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}`);
    await applyFence(client, target.schema, target.fence);
    await checkFence(client, target.schema, target.fence);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function runTogether(
  client: pg.Client,
  target: MigrationTarget,
  file: MigrationFile,
): Promise<void> {
  await client.query('BEGIN');
  try {
    await runFile(client, target, file);
    await client.query(RECORD, [target.scope, file.name, file.checksum]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/**
 * Outside a transaction, since the statement is several of its own. What a failure leaves behind, an
 * invalid index that costs every write, is dropped at once, and again before the next try.
 */
async function runAlone(
  client: pg.Client,
  target: MigrationTarget,
  { file, only }: { readonly file: MigrationFile; readonly only: Statement },
): Promise<void> {
  await client.query(`SET search_path = ${searchPath(target)}`);
  try {
    await dropInvalid(client, target, only);
    await runStatement(client, only, { file, where: target.where });
    await client.query(RECORD, [target.scope, file.name, file.checksum]);
  } catch (error) {
    await dropInvalid(client, target, only).catch(() => {});
    throw error;
  } finally {
    await client.query('RESET search_path').catch(() => {});
  }
}

async function dropInvalid(
  client: pg.Client,
  target: MigrationTarget,
  { concurrently }: Statement,
): Promise<void> {
  if (concurrently?.index === undefined) return;
  const found = await client.query(
    `SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = $1::regnamespace AND c.relname = $2 AND NOT i.indisvalid`,
    [quoteIdentifier(target.schema), concurrently.index],
  );
  if (found.rows.length === 0) return;
  const name = `${quoteIdentifier(target.schema)}.${quoteIdentifier(concurrently.index)}`;
  await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
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
  await client.query(
    `SET LOCAL search_path = ${searchPath(target)}; SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}`,
  );
  for (const statement of file.statements) {
    const text = statement.concurrently?.inTransaction ?? statement.text;
    await runStatement(client, { ...statement, text }, { file, where: target.where });
  }
  await handOver(client, target.schema);
  await applyFence(client, target.schema, target.fence);
}

function searchPath({ schema }: MigrationTarget): string {
  const path = schema === GLOBAL_SCHEMA ? [GLOBAL_SCHEMA] : [schema, GLOBAL_SCHEMA];
  return `${path.map(quoteIdentifier).join(', ')}, pg_temp`;
}

async function runStatement(
  client: pg.Client,
  statement: Statement,
  of: { readonly file: MigrationFile; readonly where: string },
): Promise<void> {
  try {
    await client.query(statement.text);
  } catch (cause) {
    throw migrationFailed({
      ...of,
      statement,
      error: {
        message: (cause as Error).message,
        sqlState: sqlStateOf(cause),
        position: positionOf(cause),
      },
    });
  }
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
  await client.query(`BEGIN; ${rangeStatements(range)} ${keyTableStatement(range)} COMMIT`);
  return true;
}
