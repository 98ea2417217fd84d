/**
 * Deletes decisions that nobody can need. Deleted too early, a decision to commit would be taken for an
 * abort by whoever finds a half of it. So a decision goes only
 *
 * - when it is old enough;
 * - if no group's leader, asked after it was found, has its transaction prepared;
 * - and if a quorum of each group has confirmed the state in which its leader answered: a transaction
 *   finished on one disk alone would come back, prepared, in a failover.
 *
 * A group that cannot be asked keeps everybody's decisions.
 */
import type pg from 'pg';
import { awaitQuorum, preparedOn } from './two-phase.ts';

export interface OpenLeader {
  readonly group: string;
  /** On a superuser's connection of its own. */
  readonly use: <T>(run: (client: pg.Client) => Promise<T>) => Promise<T>;
}

const COLLECTED_AT_ONCE_MAX = 1_000;

/** Of all groups. Returns how many were deleted; rejects when one could not be asked. */
export async function collectDecisions(
  leaders: readonly OpenLeader[],
  options: {
    readonly keptMs: number;
    /** Are they all still the leaders that they were? */
    readonly unchanged: () => boolean;
  },
): Promise<number> {
  const old = new Map(
    await onAll(leaders, async (client) => {
      const found = await client.query<{ gid: string }>(
        `SELECT gid FROM meridian.decision
         WHERE at < clock_timestamp() - $1 * interval '1 ms' LIMIT $2`,
        [options.keptMs, COLLECTED_AT_ONCE_MAX],
      );
      return found.rows.map(({ gid }) => gid);
    }),
  );
  if ([...old.values()].every((gids) => gids.length === 0)) return 0;
  const prepared = await onAll(leaders, async (client) => {
    const seen = await preparedOn(client);
    await awaitQuorum(client);
    return seen.map(({ gid }) => gid);
  });
  if (!options.unchanged()) return 0;
  const needed = new Set(prepared.flatMap(([, gids]) => gids));
  const deleted = await onAll(leaders, async (client, group) => {
    const gids = (old.get(group) ?? []).filter((gid) => !needed.has(gid));
    if (gids.length === 0) return 0;
    const done = await client.query('DELETE FROM meridian.decision WHERE gid = ANY($1)', [gids]);
    return done.rowCount ?? 0;
  });
  return deleted.reduce((sum, [, count]) => sum + count, 0);
}

function onAll<T>(
  leaders: readonly OpenLeader[],
  run: (client: pg.Client, group: string) => Promise<T>,
): Promise<[group: string, T][]> {
  return Promise.all(
    leaders.map(async ({ group, use }): Promise<[string, T]> => [
      group,
      await use((client) => run(client, group)),
    ]),
  );
}
