/**
 * What a schema, and the statements of an application, cost or cannot do because rows of different accounts may
 * be in different regions: each finding with its price in milliseconds, from the round trips that are
 * declared. Pure.
 */
import type { DeclaredPlacement } from '../../topology/declared.ts';
import type { RegionName } from '../../topology/region.ts';
import type {
  ReferenceFacts,
  SchemaFacts,
  StatementFacts,
  TableFacts,
} from '../../topology/schema-facts.ts';
import { betweenMs, quorumMs } from './forecast.ts';

export interface Finding {
  /** 'wrong': it does not do what it says. 'costly': it does, and somebody waits, or cannot move. */
  readonly severity: 'wrong' | 'costly';
  /** "orders.orders_number_key" */
  readonly where: string;
  readonly what: string;
  /** What it costs, or what doing it right would, by the region that asks; empty: nothing. */
  readonly priceMs: readonly { readonly region: RegionName; readonly ms: number }[];
  readonly remedy: string;
}

export function lintSchema(
  { tables, statements }: SchemaFacts,
  placement: DeclaredPlacement,
): readonly Finding[] {
  const byName = new Map(tables.map((table) => [table.name, table]));
  return [
    ...tables.flatMap((table) => uniqueness(table, placement)),
    ...tables.flatMap((table) =>
      table.references.flatMap((reference) =>
        references({ table, reference, to: byName.get(reference.to) }, placement),
      ),
    ),
    ...statements.flatMap((statement) => statementFindings(statement, byName, placement)),
  ];
}

const accountOf = ({ locality }: TableFacts): string | undefined =>
  locality.kind === 'regional' ? locality.by : undefined;

/** An index sees the rows of its own range alone. */
function uniqueness(table: TableFacts, placement: DeclaredPlacement): Finding[] {
  const by = accountOf(table);
  if (by === undefined) return [];
  return table.unique
    .filter(({ columns }) => !columns.includes(by))
    .map(({ name, columns }) => ({
      severity: 'wrong',
      where: `${table.name}.${name}`,
      what: `(${columns.join(', ')}) is unique within a range, not everywhere: accounts of another range or region may have the same, and cannot come to where it is taken`,
      priceMs: claimMs(placement),
      remedy: `Begin the key with ${by}; or make the values unique by themselves (uuidv7()); or claim each in a global table, for the price that is said.`,
    }));
}

function references(
  on: {
    readonly table: TableFacts;
    readonly reference: ReferenceFacts;
    readonly to: TableFacts | undefined;
  },
  placement: DeclaredPlacement,
): Finding[] {
  const { table, reference, to } = on;
  if (to === undefined) return [];
  const where = `${table.name}.${reference.name}`;
  const [by, toBy] = [accountOf(table), accountOf(to)];
  if (by !== undefined && toBy === undefined) {
    if (reference.onDelete === 'nothing') return [];
    return [
      {
        severity: 'wrong',
        where,
        what: `when a row of the global table ${to.name} goes, rows of ${table.name} are to follow it, and do so in the primary region's groups alone: copies of global tables fire no cascades`,
        priceMs: scatterMs(placement),
        remedy:
          'Let the reference forbid the deletion (NO ACTION), and change the rows account by account before.',
      },
    ];
  }
  if (by === undefined || toBy === undefined) return [];
  const same = reference.columns.some(
    (column, at) => column === by && reference.toColumns[at] === toBy,
  );
  if (same) return [];
  return [
    {
      severity: 'costly',
      where,
      what: `a row may refer to one of another account, which must be in the same range then: neither can be moved without the other`,
      priceMs: [],
      remedy: `Let the reference hold (${by}) as well, if both rows are always of one account.`,
    },
  ];
}

function statementFindings(
  statement: StatementFacts,
  tables: ReadonlyMap<string, TableFacts>,
  placement: DeclaredPlacement,
): Finding[] {
  const where = `statements.${statement.name}`;
  if (statement.failure !== '') {
    return [
      {
        ...{ severity: 'wrong', where, priceMs: [] },
        what: `the database does not understand it: ${statement.failure}`,
        remedy: 'Declare it as the application sends it, with $1, $2 for what is given.',
      },
    ];
  }
  const scattered = statement.scattered.map((name): Finding => {
    const by = tables.get(name)?.locality;
    const column = by?.kind === 'regional' ? by.by : 'the account';
    return {
      severity: 'wrong',
      where,
      what: `it goes through ${name} without ${column} = …, and sees the rows of one account or range, not of all`,
      priceMs: scatterMs(placement),
      remedy: `Say whose rows are meant (${column} = $1); or ask every range by itself, for the price that is said.`,
    };
  });
  const global = statement.writes.filter((name) => tables.get(name)?.locality.kind === 'global');
  return [
    ...scattered,
    ...(global.length === 0
      ? []
      : [
          {
            ...({ severity: 'costly', where } as const),
            what: `it writes to ${global.join(', ')}, which is global: every region waits for the primary`,
            priceMs: claimMs(placement),
            remedy: 'Write to global tables seldom, and beside requests that somebody waits for.',
          },
        ]),
  ];
}

/** To the primary region and its quorum. */
function claimMs(placement: DeclaredPlacement): Finding['priceMs'] {
  const { regions, primaryRegion, latency } = placement;
  return regions.map(({ name: region }) => ({
    region,
    ms: betweenMs(latency, region, primaryRegion) + quorumMs(placement, primaryRegion),
  }));
}

/** All regions are asked at once, and the farthest is waited for. */
function scatterMs({ regions, latency }: DeclaredPlacement): Finding['priceMs'] {
  return regions.map(({ name: region }) => ({
    region,
    ms: Math.max(...regions.map(({ name }) => betweenMs(latency, region, name))),
  }));
}
