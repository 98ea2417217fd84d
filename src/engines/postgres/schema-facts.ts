/** Keys and references of the declared tables, and what declared statements would do, as the primary has them. */
import type pg from 'pg';
import { MeridianError, messageOf } from '../../kernel/errors.ts';
import type {
  ReferenceFacts,
  SchemaFacts,
  StatementFacts,
  TableFacts,
} from '../../topology/schema-facts.ts';
import type { DesiredState } from '../engine.ts';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import { quoteIdentifier } from './quote.ts';
import { GLOBAL_SCHEMA } from './roles.ts';
import { factsOfPlan, type PlanNode } from './statement-plan.ts';

const STATEMENT_TIMEOUT_MS = 10_000;

const UNIQUE_SQL = `
  SELECT c.relname AS table, i.relname AS name,
    array_agg(coalesce(a.attname, '(an expression)')::text ORDER BY k.place) AS columns
  FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class i ON i.oid = x.indexrelid
  CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k(attnum, place)
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum AND k.attnum > 0
  WHERE x.indisunique AND k.place <= x.indnkeyatts AND n.nspname = ANY ($1) AND NOT c.relispartition
  GROUP BY 1, 2 ORDER BY 1, 2`;

const REFERENCES_SQL = `
  SELECT c.relname AS table, o.conname AS name, t.relname AS to, o.confdeltype AS "onDelete",
    (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(o.conkey) WITH ORDINALITY AS k(attnum, place)
      JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.attnum) AS columns,
    (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(o.confkey) WITH ORDINALITY AS k(attnum, place)
      JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.attnum) AS "toColumns"
  FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class t ON t.oid = o.confrelid
  WHERE o.contype = 'f' AND o.conparentid = 0 AND n.nspname = ANY ($1) ORDER BY 1, 2`;

type UniqueRow = TableFacts['unique'][number] & { readonly table: string };
type ReferenceRow = Omit<ReferenceFacts, 'onDelete'> & {
  readonly table: string;
  readonly onDelete: string;
};

export async function schemaFacts(
  cluster: Cluster,
  { tables, primaryGroup }: DesiredState,
  statements: Readonly<Record<string, string>>,
): Promise<SchemaFacts> {
  const group = cluster.group(primaryGroup);
  // A group keeps one of those that it is declared with.
  const [range] = cluster.register.declaredIn(primaryGroup);
  if (!group.open || !cluster.reaches(group.leader) || range === undefined) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${primaryGroup} is not open`);
  }
  return withAdmin(
    cluster.admin(group.leader),
    async (client) => {
      const schemas = [range, GLOBAL_SCHEMA];
      const unique = await client.query<UniqueRow>(UNIQUE_SQL, [schemas]);
      const references = await client.query<ReferenceRow>(REFERENCES_SQL, [schemas]);
      const found: StatementFacts[] = [];
      for (const [name, text] of Object.entries(statements)) {
        found.push({ name, ...(await lookAt(client, { text, schemas, tables })) });
      }
      return {
        statements: found,
        tables: Object.entries(tables).map(([name, locality]): TableFacts => ({
          ...{ name, locality },
          unique: unique.rows
            .filter((row) => row.table === name)
            .map((row) => ({ name: row.name, columns: row.columns })),
          references: references.rows
            .filter((row) => row.table === name)
            .map(({ table: _, onDelete, ...row }) => ({ ...row, onDelete: actionOf(onDelete) })),
        })),
      };
    },
    { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
  );
}

/** pg_constraint.confdeltype */
function actionOf(code: string): ReferenceFacts['onDelete'] {
  if (code === 'c') return 'cascade';
  return code === 'n' || code === 'd' ? 'set' : 'nothing';
}

/** Planned, and not run. */
async function lookAt(
  client: pg.Client,
  on: {
    readonly text: string;
    readonly schemas: readonly string[];
    readonly tables: DesiredState['tables'];
  },
): Promise<Omit<StatementFacts, 'name'>> {
  const nothing = { reads: [], writes: [], scattered: [] };
  const text = on.text.trim().replace(/;$/, '');
  // Behind it another statement would be run.
  if (text.includes(';')) return { ...nothing, failure: 'it is more than one statement' };
  await client.query('BEGIN READ ONLY');
  try {
    const path = on.schemas.map(quoteIdentifier).join(', ');
    await client.query(`SET LOCAL search_path = ${path}`);
    const { rows } = await client.query<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
      `EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) ${text}`,
    );
    const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
    if (plan === undefined) return { ...nothing, failure: 'it has no plan' };
    return { failure: '', ...factsOfPlan(plan, on.tables) };
  } catch (error) {
    return { ...nothing, failure: messageOf(error) };
  } finally {
    await client.query('ROLLBACK');
  }
}
