/**
 * What a statement does, from the plan that PostgreSQL makes of it (EXPLAIN, FORMAT JSON, VERBOSE). Pure.
 *
 * A scan of a regional table is bound when its account is compared with something that is given, or with the
 * account of a scan that is. VERBOSE names the table of every column, so conditions can be told apart.
 */
import type { TableLocality } from '../../topology/locality.ts';
import type { StatementFacts } from '../../topology/schema-facts.ts';

export interface PlanNode {
  readonly 'Node Type': string;
  readonly Operation?: string;
  readonly 'Relation Name'?: string;
  readonly Alias?: string;
  readonly Plans?: readonly PlanNode[];
  readonly [key: string]: unknown;
}

/** Where conditions are written. */
const CONDITIONS = [
  ...['Index Cond', 'Recheck Cond', 'Filter', 'Join Filter', 'Hash Cond', 'Merge Cond', 'TID Cond'],
];
const NAME = '(?:"[^"]+"|[a-z_][\\w$]*)';
/** "a.b = c.d", "a.b = ANY c", "a.b = $1": columns have their table's alias. */
const EQUALITY = new RegExp(
  `(${NAME})\\.(${NAME}) = (?:ANY )?(?:(${NAME})\\.(${NAME})|(\\S+))`,
  'g',
);
const GIVEN_FIRST = new RegExp(`(\\$\\d+|'[^']*') = (${NAME})\\.(${NAME})`, 'g');

export function factsOfPlan(
  root: PlanNode,
  tables: Readonly<Record<string, TableLocality>>,
): Pick<StatementFacts, 'reads' | 'writes' | 'scattered'> {
  const nodes = flat(root);
  const writes = new Set<string>();
  const scans = new Map<string, string>();
  for (const node of nodes) {
    const table = node['Relation Name'];
    if (table === undefined || tables[table] === undefined) continue;
    if (node['Node Type'] === 'ModifyTable') writes.add(table);
    else scans.set(node.Alias ?? table, table);
  }
  const bound = boundOf(nodes, scans, tables);
  const loose = [...scans].filter(
    ([alias, table]) => tables[table]?.kind === 'regional' && !bound.has(alias),
  );
  return {
    writes: [...writes].sort(),
    reads: [...new Set(scans.values())].sort(),
    scattered: [...new Set(loose.map(([, table]) => table))].sort(),
  };
}

function flat(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flat)];
}

/** Aliases of scans whose account is given, by themselves or through others. */
function boundOf(
  nodes: readonly PlanNode[],
  scans: ReadonlyMap<string, string>,
  tables: Readonly<Record<string, TableLocality>>,
): ReadonlySet<string> {
  const isAccount = (alias: string, column: string): boolean => {
    const locality = tables[scans.get(alias) ?? ''];
    return locality?.kind === 'regional' && locality.by === column;
  };
  const bound = new Set<string>();
  const same: (readonly [string, string])[] = [];
  for (const condition of nodes.flatMap(conditionsOf)) {
    for (const [, a = '', column = '', b, other = '', given] of condition.matchAll(EQUALITY)) {
      const [left, right] = [bare(a), bare(b ?? '')];
      if (b !== undefined && isAccount(left, bare(column)) && isAccount(right, bare(other))) {
        same.push([left, right]);
      } else if (isAccount(left, bare(column)) && given !== undefined) bound.add(left);
    }
    for (const [, , alias = '', column = ''] of condition.matchAll(GIVEN_FIRST)) {
      if (isAccount(bare(alias), bare(column))) bound.add(bare(alias));
    }
  }
  for (let grew = true; grew;) {
    const before = bound.size;
    for (const [a, b] of same) {
      if (bound.has(a)) bound.add(b);
      else if (bound.has(b)) bound.add(a);
    }
    grew = bound.size > before;
  }
  return bound;
}

/** What all rows must fulfil, without parentheses and casts. */
function conditionsOf(node: PlanNode): string[] {
  return CONDITIONS.flatMap((key) => {
    const text = node[key];
    return typeof text === 'string' ? conjuncts(text) : [];
  }).map((text) => text.replaceAll(/[()]/g, '').replaceAll(/::[a-z ]+(?:\[\])?(?=\s|$)/g, ''));
}

/** Split at AND; what is one of several alternatives (OR) binds nothing, and is left out. */
function conjuncts(condition: string): string[] {
  const text = withoutParentheses(condition.trim());
  const parts: string[] = [];
  let [depth, from, quoted] = [0, 0, false];
  for (let at = 0; at < text.length; at += 1) {
    const here = text[at];
    if (here === "'") quoted = !quoted;
    if (quoted) continue;
    if (here === '(') depth += 1;
    if (here === ')') depth -= 1;
    if (depth > 0) continue;
    if (text.startsWith(' OR ', at)) return [];
    if (!text.startsWith(' AND ', at)) continue;
    parts.push(text.slice(from, at));
    from = at + ' AND '.length;
  }
  if (parts.length === 0) return [text];
  return [...parts, text.slice(from)].flatMap(conjuncts);
}

/** Of those around the whole. */
function withoutParentheses(text: string): string {
  if (!text.startsWith('(') || !text.endsWith(')')) return text;
  let [depth, quoted] = [0, false];
  for (let at = 0; at < text.length - 1; at += 1) {
    if (text[at] === "'") quoted = !quoted;
    if (quoted) continue;
    if (text[at] === '(') depth += 1;
    if (text[at] === ')') depth -= 1;
    if (depth === 0) return text;
  }
  return withoutParentheses(text.slice(1, -1).trim());
}

const bare = (name: string): string => name.replaceAll('"', '');
