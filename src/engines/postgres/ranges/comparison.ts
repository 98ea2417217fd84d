/**
 * Is what has arrived what there was? Both sides are looked at as they are between the closing and the
 * opening: the source changes no more, and of the target a snapshot is kept. So the sums take as long as
 * they need while the target serves already, and the pause does not grow with the range.
 */
import type pg from 'pg';
import type { Clock } from '../../../kernel/clock.ts';
import { connectAdmin } from '../admin.ts';
import { socketOf } from '../closing.ts';
import { quoteLiteral } from '../quote.ts';
import { sourceOf, targetOf, type Moving } from './moving.ts';
import { tablesIn } from './source.ts';

/** 2 MB. */
const PAGES_AT_ONCE = 256;

export type TableSums = Readonly<Record<string, string>>;

/** Between the closing and the opening. */
export async function holdComparison(moving: Moving): Promise<void> {
  const { cluster } = moving;
  const [source, target] = await Promise.all(
    [sourceOf(moving), targetOf(moving)].map(async ({ leader }) => {
      const client = await connectAdmin(cluster.admin(leader));
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      // The snapshot is taken by the first statement.
      await client.query('SELECT 1');
      return client;
    }),
  );
  if (source !== undefined && target !== undefined) moving.comparison = { source, target };
}

/** Idempotent. */
export function letGoOfComparison(moving: Moving): void {
  const { comparison } = moving;
  moving.comparison = undefined;
  if (comparison === undefined) return;
  for (const client of [comparison.source, comparison.target]) socketOf(client).destroy();
}

/**
 * Rows and the sum of their hashes, for each table that holds rows itself. A part at a time, with as long a
 * rest after each: whoever has waited for the handover is served meanwhile.
 */
export async function sumsOf(clock: Clock, client: pg.Client, range: string): Promise<TableSums> {
  const sums: Record<string, string> = {};
  for (const table of await tablesIn(client, range, ['r'])) {
    sums[table] = await sumOf(clock, client, table);
  }
  // Where a sequence has come to can't be seen in a snapshot; whether it is there can.
  const { rows } = await client.query<{ names: string }>(
    `SELECT coalesce(string_agg(c.relname, ',' ORDER BY c.relname), '') AS names FROM pg_class c
     WHERE c.relnamespace = ${quoteLiteral(range)}::regnamespace AND c.relkind = 'S'`,
  );
  return { ...sums, sequences: rows[0]?.names ?? '' };
}

async function sumOf(clock: Clock, client: pg.Client, table: string): Promise<string> {
  const { rows } = await client.query<{ pages: string }>(
    `SELECT pg_relation_size(${quoteLiteral(table)}::regclass)
       / current_setting('block_size')::int AS pages`,
  );
  // The table may grow; what the snapshot sees does not.
  const pages = Number(rows[0]?.pages);
  let [count, sum] = [0n, 0n];
  for (let page = 0; page < pages; page += PAGES_AT_ONCE) {
    const startedMs = clock.monotonicMs();
    const part = await client.query<{ count: string; sum: string }>(
      `SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS sum FROM ${table} AS t
       WHERE ctid >= '(${String(page)},0)' AND ctid < '(${String(page + PAGES_AT_ONCE)},0)'`,
    );
    count += BigInt(part.rows[0]?.count ?? 0);
    sum += BigInt(part.rows[0]?.sum ?? 0);
    if (page + PAGES_AT_ONCE < pages) await clock.sleep(clock.monotonicMs() - startedMs);
  }
  return `${String(count)}:${String(sum)}`;
}

/** Names of what differs. Pure. */
export function differences(source: TableSums, target: TableSums): string[] {
  return [...new Set([...Object.keys(source), ...Object.keys(target)])]
    .filter((name) => source[name] !== target[name])
    .sort();
}
