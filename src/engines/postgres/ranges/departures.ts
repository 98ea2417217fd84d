/** Who has left a range, told wherever the range goes. */
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import type { Moving } from './moving.ts';
import { onSource } from './source.ts';
import { onTarget } from './target.ts';

/**
 * Whoever is led to the range by an old answer of the directory is told in its new group, too, where the account went:
 * it would find it without rows there. And what was said there of an earlier stay of the range is not true any
 * more.
 *
 * To be called once the copy has a slot, which has waited for every transaction that was open: one that carried
 * accounts away, and whose commit nobody heard of, has ended by then. Others do not begin: accounts and ranges go
 * in turns. So what is read here is final.
 */
export async function keepDepartures(moving: Moving): Promise<void> {
  const { range } = moving;
  const { rows } = await onSource(moving, (client) =>
    client.query<{ readonly account: AccountId; readonly into: RangeName }>(
      'SELECT account, into_range AS into FROM meridian.departed WHERE range = $1',
      [range],
    ),
  );
  await onTarget(moving, (client) =>
    client.query(
      `WITH old AS (DELETE FROM meridian.departed WHERE range = $1 AND account <> ALL ($2::text[]))
       INSERT INTO meridian.departed (range, account, into_range)
       SELECT $1, account, into_range FROM unnest($2::text[], $3::text[]) AS d (account, into_range)
       ON CONFLICT (range, account) DO UPDATE SET into_range = excluded.into_range`,
      [range, rows.map(({ account }) => account), rows.map(({ into }) => into)],
    ),
  );
}
