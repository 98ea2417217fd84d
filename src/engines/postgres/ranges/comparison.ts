/**
 * Is what has arrived what there was? Both sides are looked at as they are between the closing and the
 * opening: the source changes no more, and of the target a snapshot is kept. So the sums take as long as
 * they need while the target serves already, and the pause does not grow with the range. Nor do they take the
 * processors from those who have waited: both backends give way to everybody else on this machine.
 */
import { constants, setPriority } from 'node:os';
import type pg from 'pg';
import { connectAdmin } from '../admin.ts';
import { socketOf } from '../closing.ts';
import { quoteLiteral } from '../quote.ts';
import { sourceOf, targetOf, type Moving } from './moving.ts';
import { tablesIn } from './source.ts';

export type TableSums = Readonly<Record<string, string>>;

/** Between the closing and the opening. */
export async function holdComparison(moving: Moving): Promise<void> {
  const { cluster } = moving;
  const [source, target] = await Promise.all(
    [sourceOf(moving), targetOf(moving)].map(async ({ leader }) => {
      const client = await connectAdmin(cluster.admin(leader));
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      // The snapshot is taken by the first statement.
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      giveWay(rows[0]?.pid);
      return client;
    }),
  );
  if (source !== undefined && target !== undefined) moving.comparison = { source, target };
}

function giveWay(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // The system does not let us: the sums are as right, and others wait for longer.
  }
}

/** Idempotent. */
export function letGoOfComparison(moving: Moving): void {
  const { comparison } = moving;
  moving.comparison = undefined;
  if (comparison === undefined) return;
  for (const client of [comparison.source, comparison.target]) socketOf(client).destroy();
}

/** Rows and the sum of their hashes, for each table that holds rows itself. */
export async function sumsOf(client: pg.Client, range: string): Promise<TableSums> {
  const sums: Record<string, string> = {};
  for (const table of await tablesIn(client, range, ['r'])) {
    const { rows } = await client.query<{ sum: string }>(
      `SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS sum
       FROM ${table} AS t`,
    );
    sums[table] = rows[0]?.sum ?? '';
  }
  // Where a sequence has come to can't be seen in a snapshot; whether it is there can.
  const { rows } = await client.query<{ names: string }>(
    `SELECT coalesce(string_agg(c.relname, ',' ORDER BY c.relname), '') AS names FROM pg_class c
     WHERE c.relnamespace = ${quoteLiteral(range)}::regnamespace AND c.relkind = 'S'`,
  );
  return { ...sums, sequences: rows[0]?.names ?? '' };
}

/** Names of what differs. Pure. */
export function differences(source: TableSums, target: TableSums): string[] {
  return [...new Set([...Object.keys(source), ...Object.keys(target)])]
    .filter((name) => source[name] !== target[name])
    .sort();
}
