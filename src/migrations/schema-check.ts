/**
 * Compares the tables that the configuration declares with those that the migrations made. Pure;
 * collects every problem. An engine runs it once the migrations are applied and before it opens for
 * clients, so that no request meets a table whose place is not known.
 */
import { MeridianError } from '../kernel/errors.ts';
import { formatProblems, nearestName, type Problem } from '../kernel/problem.ts';
import type { TableLocality } from '../topology/locality.ts';
import type { MigrationScope } from './files.ts';

export interface ObservedTable {
  /** Which migrations made it. */
  readonly scope: MigrationScope;
  readonly table: string;
  /** Empty when it has none. */
  readonly primaryKey: readonly string[];
  readonly columns: readonly string[];
}

type Declared = Readonly<Record<string, TableLocality>>;

const at = (table: string): string => `tables.${table}`;
const list = (columns: readonly string[]): string => `(${columns.join(', ')})`;

function checkKey(observed: ObservedTable, locality: TableLocality): Problem[] {
  const path = at(observed.table);
  const where = `migrations/${observed.scope}`;
  if (observed.primaryKey.length === 0) {
    const expected = 'a primary key';
    const remedy = `Add one to the table in ${where}: replication finds rows by it.`;
    return [{ path, expected, found: 'none', remedy }];
  }
  if (locality.kind === 'global' || observed.primaryKey.includes(locality.by)) return [];
  if (!observed.columns.includes(locality.by)) {
    const near = nearestName(locality.by, observed.columns);
    return [
      {
        path: `${path}.by`,
        expected: `a column of the table, which has ${list(observed.columns)}`,
        found: `"${locality.by}"`,
        remedy:
          near === undefined
            ? `Name the account column in \`by\`, or add it in ${where}.`
            : `Did you mean '${near}'?`,
      },
    ];
  }
  return [
    {
      path: `${path}.by`,
      expected: `the account column "${locality.by}" in the primary key`,
      found: `PRIMARY KEY ${list(observed.primaryKey)}`,
      remedy: `Declare PRIMARY KEY ${list([locality.by, ...observed.primaryKey])} in ${where}.`,
    },
  ];
}

function checkObserved(observed: ObservedTable, declared: Declared): Problem[] {
  const path = at(observed.table);
  if (!Object.hasOwn(declared, observed.table)) {
    const maker = observed.scope === 'regional' ? "regional({ by: '…' })" : 'global()';
    return [
      {
        path,
        expected: `a declaration: migrations/${observed.scope} makes this table`,
        found: 'nothing',
        remedy: `Declare it as ${maker}.`,
      },
    ];
  }
  const locality = declared[observed.table] as TableLocality;
  const wanted: MigrationScope = locality.kind === 'regional' ? 'regional' : 'database';
  if (wanted !== observed.scope) {
    return [
      {
        path,
        expected: `a ${locality.kind} table, made in migrations/${wanted}`,
        found: `the table in migrations/${observed.scope}`,
        remedy: `Move its migration to ${wanted}/, or declare it the other way.`,
      },
    ];
  }
  return checkKey(observed, locality);
}

/** Everything on which declaration and schema differ, by table name. */
export function schemaProblems(declared: Declared, observed: readonly ObservedTable[]): Problem[] {
  const made = new Set(observed.map((table) => table.table));
  const missing = Object.entries(declared)
    .filter(([table]) => !made.has(table))
    .map(([table, locality]): Problem => {
      const folder = `migrations/${locality.kind === 'regional' ? 'regional' : 'database'}`;
      const near = nearestName(
        table,
        [...made].filter((name) => !Object.hasOwn(declared, name)),
      );
      return {
        path: at(table),
        expected: `a table that ${folder} makes`,
        found: 'none',
        remedy:
          near === undefined
            ? `Create it there, or remove the declaration.`
            : `Did you mean '${near}'?`,
      };
    });
  return [...observed.flatMap((table) => checkObserved(table, declared)), ...missing].toSorted(
    (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0),
  );
}

/** Throws ERR_SCHEMA_MISMATCH with every problem. */
export function checkSchema(declared: Declared, observed: readonly ObservedTable[]): void {
  const problems = schemaProblems(declared, observed);
  if (problems.length === 0) return;
  throw new MeridianError('ERR_SCHEMA_MISMATCH', formatProblems('the schema', problems), {
    details: { problems },
  });
}
