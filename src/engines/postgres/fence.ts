/**
 * Puts the tenant fence (fence-rules.ts) around the tables of a schema: looks first and changes only
 * what differs. Runs in the caller's transaction, so that a table and its fence appear together.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import {
  DIGEST_SQL,
  planFence,
  POLICY_FENCE,
  SEALS_SQL,
  unfenced,
  type Fence,
  type ObservedRelation,
} from './fence-rules.ts';
import { GLOBAL_SCHEMA, ROLE } from './roles.ts';

/** Returns how many statements were needed; 0 when all was right. */
export async function applyFence(client: pg.Client, schema: string, fence: Fence): Promise<number> {
  const plan = planFence(schema, fence, await observeFence(client, schema, fence));
  for (const statement of plan.statements) {
    try {
      await client.query(statement);
    } catch (cause) {
      throw new MeridianError(
        'ERR_SCHEMA_MISMATCH',
        `the tenant fence cannot be put around a table of ${schema}: ${(cause as Error).message}`,
        {
          cause,
          remedy:
            'Give the account column a type that text can be cast to and compared with, such as text, uuid or bigint.',
        },
      );
    }
  }
  if (plan.made.length > 0) {
    const seals = await client.query<{ statement: string }>(SEALS_SQL, [
      schema,
      plan.made.map((one) => one.table),
      plan.made.map((one) => one.label),
    ]);
    for (const { statement } of seals.rows) await client.query(statement);
  }
  return plan.statements.length;
}

/** Throws ERR_SCHEMA_MISMATCH when a declared regional table of the schema is not fenced. */
export async function checkFence(client: pg.Client, schema: string, fence: Fence): Promise<void> {
  if (schema === GLOBAL_SCHEMA) return;
  const open = unfenced(fence, await observeFence(client, schema, fence));
  if (open.length === 0) return;
  throw new MeridianError(
    'ERR_SCHEMA_MISMATCH',
    `these tables of ${schema} are declared regional and have no tenant fence: ${open.join(', ')}`,
    { details: { schema, tables: open } },
  );
}

const OBSERVE_SQL = `
  SELECT c.relname::text AS name,
    CASE WHEN c.relkind IN ('r', 'p') THEN 'table' WHEN c.relkind = 'v' THEN 'view'
      ELSE 'unfenceable' END AS kind,
    coalesce((SELECT root.relname::text FROM pg_catalog.pg_class root
      WHERE root.oid = pg_catalog.pg_partition_root(c.oid)), c.relname::text) AS root,
    coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'name', a.attname,
        'type', pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), -1),
        'exact', a.atttypid IN ('text'::regtype, 'varchar'::regtype)
          AND coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l
            WHERE l.oid = a.attcollation), true)))
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname = ANY ($2)), '[]') AS columns,
    c.relrowsecurity AS "rowSecurity",
    ARRAY(SELECT o.polname::text FROM pg_catalog.pg_policy o WHERE o.polrelid = c.oid) AS policies,
    pg_catalog.obj_description(p.oid, 'pg_policy') AS seal,
    CASE WHEN p.oid IS NULL THEN NULL ELSE ${DIGEST_SQL} END AS digest,
    EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
      WHERE o.option_name = 'security_invoker' AND o.option_value::boolean) AS invoker,
    pg_catalog.has_table_privilege('${ROLE.application}', c.oid, 'SELECT') AS granted
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polname = '${POLICY_FENCE}'
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  ORDER BY c.oid`;

async function observeFence(
  client: pg.Client,
  schema: string,
  fence: Fence,
): Promise<ObservedRelation[]> {
  const columns = Object.values(fence.tables).flatMap((one) =>
    one.kind === 'regional' ? [one.by] : [],
  );
  const found = await client.query<ObservedRelation>(OBSERVE_SQL, [schema, [...new Set(columns)]]);
  return found.rows;
}
