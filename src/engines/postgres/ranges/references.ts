/**
 * Foreign keys between rows that part: each is looked at as its trigger would have. A key in which the
 * account is a part, on both sides, leads to rows of the same account, which go along: it needs no look.
 */
import type pg from 'pg';
import { MeridianError } from '../../../kernel/errors.ts';
import type { Fence } from '../fence-rules.ts';
import { quoteIdentifier } from '../quote.ts';
import type { Carrying } from './carried-tables.ts';

interface ForeignKey {
  readonly name: string;
  readonly child: string;
  readonly parent: string;
  readonly columns: readonly string[];
  readonly referred: readonly string[];
}

/** @throws ERR_OPERATION_REFUSED when a row would be left without the one that it refers to */
export async function checkReferences(
  client: pg.Client,
  { from, into }: Carrying,
  fence: Fence,
): Promise<void> {
  const { rows } = await client.query<ForeignKey>(FOREIGN_KEYS, [from]);
  for (const key of rows.filter((one) => !staysTogether(one, fence))) {
    for (const range of [from, into]) {
      const dangling = await client.query(danglingQuery(range, key));
      if (dangling.rowCount === 0) continue;
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        `rows of ${key.child} refer to rows of ${key.parent} that belong to other accounts (${key.name}): they cannot part`,
        { remedy: `Take the account into ${key.name}, or let those accounts go together.` },
      );
    }
  }
}

/** Pure. */
export function staysTogether(key: ForeignKey, { tables }: Fence): boolean {
  const [child, parent] = [tables[key.child], tables[key.parent]];
  if (child?.kind !== 'regional' || parent?.kind !== 'regional') return false;
  return key.columns.some(
    (column, index) => column === child.by && key.referred[index] === parent.by,
  );
}

const FOREIGN_KEYS = `
  SELECT k.conname::text AS name, c.relname::text AS child, p.relname::text AS parent,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, n)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n) AS columns,
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
      JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n) AS referred
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
  WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relnamespace = quote_ident($1)::regnamespace
    AND p.relnamespace = c.relnamespace
  ORDER BY 1`;

function danglingQuery(range: string, key: ForeignKey): string {
  const table = (name: string): string => `${quoteIdentifier(range)}.${quoteIdentifier(name)}`;
  const given = key.columns.map((column) => `c.${quoteIdentifier(column)} IS NOT NULL`);
  const equal = key.columns.map(
    (column, index) =>
      `p.${quoteIdentifier(key.referred[index] ?? '')} = c.${quoteIdentifier(column)}`,
  );
  return `SELECT FROM ${table(key.child)} c WHERE ${given.join(' AND ')}
    AND NOT EXISTS (SELECT FROM ${table(key.parent)} p WHERE ${equal.join(' AND ')}) LIMIT 1`;
}
