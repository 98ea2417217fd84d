/**
 * The tenant fence of one schema: what is there × what is declared → statements. Pure; what is right
 * already is left alone, so that a start takes no locks.
 *
 * Each regional table has two policies. The restrictive one is the fence: only rows of the account that
 * the transaction was opened for (`meridian.account`, set by the opening batch). NULL, unset and '' are
 * nobody's. The permissive one lets through what the fence does, and policies of the application's own
 * can only narrow that further, never widen it. The expression is one that the planner turns into an
 * index condition, evaluated once per statement (docs/decisions/0007).
 *
 * Row security holds for the table that a statement names: so partitions have the policies too, views
 * read with their caller's rights, and what cannot have policies (materialized views, foreign tables)
 * is not readable at all. A table that the declaration does not know is closed: nobody has its rows.
 */
import type { TableLocality } from '../../topology/locality.ts';
import type { DesiredState } from '../engine.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { GLOBAL_SCHEMA, ROLE } from './roles.ts';
import { KEY_TABLE, KEY_TABLE_LOCALITY } from './schema-idempotency.ts';

export const ACCOUNT_SETTING = 'meridian.account';
export const POLICY_FENCE = 'meridian_fence';
export const POLICY_ROWS = 'meridian_rows';

export interface Fence {
  readonly enabled: boolean;
  readonly tables: Readonly<Record<string, TableLocality>>;
}

export function fenceOf(desired: Pick<DesiredState, 'tables' | 'tenantFence'>): Fence {
  return {
    enabled: desired.tenantFence,
    tables: { ...desired.tables, [KEY_TABLE]: KEY_TABLE_LOCALITY },
  };
}

export interface ObservedColumn {
  readonly name: string;
  /** As SQL names it, without a length: a cast to varchar(3) would cut the account's name short. */
  readonly type: string;
  /** Equal means the same characters: text in a deterministic collation. */
  readonly exact: boolean;
}

export interface ObservedRelation {
  readonly name: string;
  readonly kind: 'table' | 'view' | 'unfenceable';
  /** Of a partition: the table that it is a part of, in the end; else its own name. */
  readonly root: string;
  /** The declared account columns that it has. */
  readonly columns: readonly ObservedColumn[];
  readonly rowSecurity: boolean;
  readonly policies: readonly string[];
  /** What the fence was when it was made, and what it is now: see `sealStatement`. */
  readonly seal: string | null;
  readonly digest: string | null;
  /** Views: reads with the rights of its caller. */
  readonly invoker: boolean;
  /** The application may read it. */
  readonly granted: boolean;
}

export interface FencePlan {
  readonly statements: readonly string[];
  /** Tables whose fence is made anew, with what it keeps to: to be sealed. */
  readonly made: readonly { readonly table: string; readonly label: string }[];
}

export function planFence(
  schema: string,
  fence: Fence,
  observed: readonly ObservedRelation[],
): FencePlan {
  const statements: string[] = [];
  const made: { table: string; label: string }[] = [];
  // Global tables are everybody's; a view among them may still name a regional table.
  const fenceable = (relation: ObservedRelation): boolean =>
    relation.kind === 'view' || schema !== GLOBAL_SCHEMA;
  for (const relation of observed.filter(fenceable)) {
    const name = `${quoteIdentifier(schema)}.${quoteIdentifier(relation.name)}`;
    if (relation.kind === 'table') {
      const rule = ruleOf(relation, fence);
      if (!fence.enabled) statements.push(...open(relation, name));
      else if (!stands(relation, rule)) {
        statements.push(...close(name, rule));
        made.push({ table: relation.name, label: rule.label });
      }
    } else if (relation.kind === 'view') {
      if (fence.enabled && !relation.invoker) {
        statements.push(`ALTER VIEW ${name} SET (security_invoker = true)`);
      }
    } else if (fence.enabled === relation.granted) {
      const app = quoteIdentifier(ROLE.application);
      statements.push(
        fence.enabled
          ? `REVOKE ALL ON TABLE ${name} FROM ${app}`
          : `GRANT SELECT ON TABLE ${name} TO ${app}`,
      );
    }
  }
  return { statements, made };
}

/** Declared regional tables without a standing fence, after it was applied. */
export function unfenced(fence: Fence, observed: readonly ObservedRelation[]): string[] {
  if (!fence.enabled) return [];
  return Object.entries(fence.tables)
    .filter(([, locality]) => locality.kind === 'regional')
    .map(([table]) => table)
    .filter((table) => {
      const relation = observed.find((one) => one.name === table && one.kind === 'table');
      if (relation === undefined) return true;
      const rule = ruleOf(relation, fence);
      return rule.condition === CLOSED || !stands(relation, rule);
    });
}

interface Rule {
  /** For people and for comparison: what the condition was made from. */
  readonly label: string;
  readonly condition: string;
}

const CLOSED = 'false';

function ruleOf(relation: ObservedRelation, fence: Fence): Rule {
  const declared = Object.hasOwn(fence.tables, relation.root)
    ? fence.tables[relation.root]
    : undefined;
  const by = declared?.kind === 'regional' ? declared.by : undefined;
  const column = relation.columns.find((one) => one.name === by);
  if (column === undefined) return { label: 'closed', condition: CLOSED };
  const account = `NULLIF(pg_catalog.current_setting(${quoteLiteral(ACCOUNT_SETTING)}, true), '')`;
  const name = quoteIdentifier(column.name);
  const equal = `${name} = ${account}::${column.type}`;
  // '1' and '01' are two accounts and one number; so are differences of case in some types.
  const same = column.exact ? '' : ` AND ${name}::pg_catalog.text COLLATE "C" = ${account}`;
  return { label: `${column.name} ${column.type}`, condition: `${equal}${same}` };
}

function stands(relation: ObservedRelation, rule: Rule): boolean {
  return (
    relation.rowSecurity &&
    relation.policies.includes(POLICY_FENCE) &&
    relation.policies.includes(POLICY_ROWS) &&
    relation.digest !== null &&
    relation.seal === sealOf(rule.label, relation.digest)
  );
}

function close(name: string, rule: Rule): string[] {
  const { condition } = rule;
  return [
    `DROP POLICY IF EXISTS ${POLICY_FENCE} ON ${name}`,
    `DROP POLICY IF EXISTS ${POLICY_ROWS} ON ${name}`,
    `CREATE POLICY ${POLICY_FENCE} ON ${name} AS RESTRICTIVE
       USING (${condition}) WITH CHECK (${condition})`,
    `CREATE POLICY ${POLICY_ROWS} ON ${name} USING (true) WITH CHECK (true)`,
    `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
  ];
}

/** Takes away what is ours. The application's own policies stay in force. */
function open(relation: ObservedRelation, name: string): string[] {
  const ours = relation.policies.filter((one) => one === POLICY_FENCE || one === POLICY_ROWS);
  if (ours.length === 0) return [];
  const last = ours.length === relation.policies.length;
  return [
    ...ours.map((policy) => `DROP POLICY ${policy} ON ${name}`),
    ...(last ? [`ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY`] : []),
  ];
}

function sealOf(label: string, digest: string): string {
  return `${label} ${digest}`;
}

/**
 * Everything that makes a policy what it is, in the server's own words: `p` is a row of pg_policy. The
 * seal is this digest at the time of making, kept as the policy's comment; a fence that was altered
 * since, or that was made from another declaration, does not match it and is made anew.
 */
export const DIGEST_SQL = `pg_catalog.md5(pg_catalog.concat_ws('|', p.polcmd, p.polpermissive,
  p.polroles::pg_catalog.text, pg_catalog.pg_get_expr(p.polqual, p.polrelid),
  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)))`;

/** Seals the fences just made: labels by table, $1 the schema and $2 the tables, $3 the labels. */
export const SEALS_SQL = `
  SELECT pg_catalog.format('COMMENT ON POLICY ${POLICY_FENCE} ON %I.%I IS %L',
    n.nspname, c.relname, m.label || ' ' || ${DIGEST_SQL}) AS statement
  FROM unnest($2::text[], $3::text[]) AS m(name, label)
  JOIN pg_catalog.pg_namespace n ON n.nspname = $1
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = m.name
  JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polname = '${POLICY_FENCE}'`;
