/**
 * The source's side of a move: what is published, the fence that closes the range, and what is taken down
 * afterwards. Each function finds little to do when it was done before.
 */
import type pg from 'pg';
import { present } from '../../../kernel/assert.ts';
import { MeridianError } from '../../../kernel/errors.ts';
import { formatToken, mergeTokens, parseToken, type Token } from '../../../topology/position.ts';
import { withAdmin } from '../admin.ts';
import { LOCK_TIMEOUT_MS, patiently } from '../patience.ts';
import { quorumCommit } from '../quorum.ts';
import { quoteIdentifier, quoteLiteral } from '../quote.ts';
import { ROLE } from '../roles.ts';
import { sourceOf, streamName, type Moving, type SequenceState } from './moving.ts';

const FENCE = 'meridian_moved';
const STATEMENT_TIMEOUT_MS = 30_000;
const TERMINATE_TIMEOUT_MS = 2_000;
const replication = quoteIdentifier(ROLE.replication);

export function onSource<T>(
  moving: Moving,
  run: (client: pg.Client) => Promise<T>,
  statementTimeoutMs = STATEMENT_TIMEOUT_MS,
): Promise<T> {
  const { cluster } = moving;
  return withAdmin(cluster.admin(sourceOf(moving).leader), run, { statementTimeoutMs });
}

/** Ordinary and partitioned tables, quoted, in the order of their names. */
export async function tablesIn(
  client: pg.Client,
  range: string,
  kinds: readonly ('r' | 'p')[] = ['r', 'p'],
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = ANY ($2::"char"[]) ORDER BY 1`,
    [range, kinds],
  );
  return rows.map((row) => row.name);
}

/**
 * Logical replication finds a changed row by its key, and does not know of tables without a log: publishing
 * the first makes every update of them fail, and the second would arrive empty.
 *
 * @throws ERR_OPERATION_REFUSED
 */
export async function checkMovable(client: pg.Client, range: string): Promise<void> {
  const { rows } = await client.query<{ name: string; unlogged: boolean }>(
    `SELECT c.relname AS name, c.relpersistence <> 'p' AS unlogged
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = 'r' AND (c.relpersistence <> 'p'
       OR NOT (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
         AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)))
     ORDER BY 1`,
    [range],
  );
  const [first] = rows;
  if (first === undefined) return;
  throw new MeridianError(
    'ERR_OPERATION_REFUSED',
    first.unlogged
      ? `${range} has an unlogged table, ${first.name}, whose rows cannot be followed to another group`
      : `${range} has a table without a primary key, ${first.name}: changes of its rows cannot be followed to another group`,
    {
      remedy: first.unlogged
        ? `ALTER TABLE ${first.name} SET LOGGED, in a migration.`
        : `Give ${first.name} a primary key, or REPLICA IDENTITY FULL, in a migration.`,
    },
  );
}

/** What the copy begins with: rights for the reader, and the publication. */
export async function publish(client: pg.Client, range: string): Promise<void> {
  const schema = quoteIdentifier(range);
  await client.query(
    `GRANT USAGE ON SCHEMA ${schema} TO ${replication};
     GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${replication};
     CREATE PUBLICATION ${quoteIdentifier(streamName(range))} FOR TABLES IN SCHEMA ${schema},
       TABLE meridian.move_marker WHERE (range = ${quoteLiteral(range)})`,
  );
}

export async function writeMarker(moving: Moving, marker: string): Promise<void> {
  await onSource(moving, async (client) => {
    // Nobody relies on it: what it proves is told by its arrival.
    await client.query('SET synchronous_commit = local');
    await client.query('INSERT INTO meridian.move_marker (range, marker) VALUES ($1, $2)', [
      moving.range,
      marker,
    ]);
  });
}

/**
 * Closes the range: waits until those who write in it have ended, lets no other in, and tells how far its
 * sequences have come. When it resolves, that is on the disks of a quorum; when it rejects, it may be.
 */
export async function closeRange(
  moving: Moving,
  marker: string,
): Promise<{ readonly sequences: readonly SequenceState[]; readonly origins: Token }> {
  const { cluster, range } = moving;
  const group = sourceOf(moving);
  const expected = group.epoch;
  return onSource(moving, (client) =>
    patiently(cluster.services, async () => {
      await client.query('BEGIN');
      try {
        await client.query(`SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}`);
        const tables = await tablesIn(client, range);
        // Ends with the last writer; readers go on.
        await client.query(`LOCK TABLE ${tables.join(', ')} IN SHARE ROW EXCLUSIVE MODE`);
        await client.query(tables.map(fenceStatement).join('; '));
        const closed = await client.query(
          `UPDATE meridian.range SET state = 'closed' WHERE name = $1 AND state = 'open'
             AND (SELECT epoch FROM meridian.group_state) = $2`,
          [range, expected],
        );
        if (closed.rowCount !== 1) {
          const message = `${range} is not open in ${group.spec.name} at epoch ${String(expected)}`;
          throw new MeridianError('ERR_ENGINE_STALE_ROUTE', message);
        }
        await client.query('INSERT INTO meridian.move_marker (range, marker) VALUES ($1, $2)', [
          range,
          marker,
        ]);
        const { rows } = await client.query<SequenceState>(
          `SELECT sequencename AS name, last_value::text FROM pg_sequences
           WHERE schemaname = $1 AND last_value IS NOT NULL ORDER BY 1`,
          [range],
        );
        await quorumCommit(cluster, group, { client, text: 'COMMIT', values: [] });
        return { sequences: rows, origins: await originsOf(moving, client) };
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {});
        throw error;
      }
    }),
  );
}

/** With the position that everything up to the closing is before. */
async function originsOf(moving: Moving, client: pg.Client): Promise<Token> {
  const { rows } = await client.query<{ epoch: string; log: string; origins: string }>(
    `SELECT at.epoch, (at.log - '0/0'::pg_lsn)::text AS log, r.origins
     FROM meridian.reached() AS at, meridian.range r WHERE r.name = $1`,
    [moving.range],
  );
  const row = present(rows[0], 'the row of the range');
  // Of the target itself a token has a later position of its own.
  const earlier = parseToken(row.origins).filter(({ group }) => group !== moving.to);
  const closed = { group: moving.from, epoch: Number(row.epoch), log: BigInt(row.log) };
  return mergeTokens(formatToken(earlier), formatToken([closed]));
}

function fenceStatement(table: string): string {
  return `CREATE TRIGGER ${FENCE} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
    FOR EACH STATEMENT EXECUTE FUNCTION meridian.refuse_moved()`;
}

/**
 * 'open' and 'closed' are certain: a change that is under way is waited for. 'gone': it was moved away, and
 * its rows were removed.
 */
export async function sourceState(moving: Moving): Promise<'open' | 'closed' | 'gone'> {
  const { rows } = await onSource(moving, (client) =>
    client.query<{ state: 'open' | 'closed' }>(
      'SELECT state FROM meridian.range WHERE name = $1 FOR UPDATE',
      [moving.range],
    ),
  );
  return rows[0]?.state ?? 'gone';
}

/** Of a range that the source has for certain: the fence is lifted, and what was published is withdrawn. */
export async function reopenRange(moving: Moving): Promise<void> {
  const { cluster, range } = moving;
  await onSource(moving, async (client) => {
    await patiently(cluster.services, async () => {
      await client.query('BEGIN');
      try {
        await client.query(`SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}`);
        const fences = await client.query<{ statement: string }>(
          `SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) AS statement
           FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
           JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = $1 AND t.tgname = $2 AND t.tgparentid = 0`,
          [range, FENCE],
        );
        for (const { statement } of fences.rows) await client.query(statement);
        await client.query(
          `UPDATE meridian.range SET state = 'open' WHERE name = $1 AND state <> 'open'`,
          [range],
        );
        await quorumCommit(cluster, sourceOf(moving), { client, text: 'COMMIT', values: [] });
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {});
        throw error;
      }
    });
    await withdrawOn(client, range);
  });
}

/** What was published is not any more; the rows stay. */
export async function withdraw(moving: Moving): Promise<void> {
  await onSource(moving, (client) => withdrawOn(client, moving.range));
}

/** Publication, slots of any attempt, markers and the reader's rights. */
async function withdrawOn(client: pg.Client, range: string): Promise<void> {
  const schema = quoteIdentifier(range);
  await client.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(streamName(range))}`);
  await client.query(
    `SELECT pg_terminate_backend(active_pid, ${String(TERMINATE_TIMEOUT_MS)})
     FROM pg_replication_slots WHERE starts_with(slot_name, $1) AND active_pid IS NOT NULL`,
    [slotPrefix(range)],
  );
  await client.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
     WHERE starts_with(slot_name, $1) AND NOT active`,
    [slotPrefix(range)],
  );
  // It would keep its log for ever: whoever is hard to end is waited for.
  const slots = await client.query(
    'SELECT FROM pg_replication_slots WHERE starts_with(slot_name, $1)',
    [slotPrefix(range)],
  );
  if (slots.rowCount !== 0) {
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `a slot of the move of ${range} is still used`,
    );
  }
  await client.query('DELETE FROM meridian.move_marker WHERE range = $1', [range]);
  const there = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [range]);
  if (there.rowCount === 0) return;
  await client.query(
    `REVOKE SELECT ON ALL TABLES IN SCHEMA ${schema} FROM ${replication};
     REVOKE USAGE ON SCHEMA ${schema} FROM ${replication}`,
  );
}

export function slotPrefix(range: string): string {
  return `${streamName(range)}__`;
}

/** Of a range that the target has for certain. Readers that began before the handover are waited for. */
export async function removeFromSource(moving: Moving): Promise<void> {
  const { cluster, range } = moving;
  await onSource(moving, async (client) => {
    await withdrawOn(client, range);
    await patiently(cluster.services, () => removeRange(client, range));
  });
}

/** Schema, row and records of the range; nothing when there is nothing. One transaction. */
export async function removeRange(client: pg.Client, range: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}`);
    await client.query(`DELETE FROM meridian.range WHERE name = $1 AND state = 'closed'`, [range]);
    const left = await client.query('SELECT FROM meridian.range WHERE name = $1', [range]);
    if (left.rowCount !== 0) {
      throw new MeridianError('ERR_INTERNAL', `${range} is open: it is not removed`);
    }
    await client.query('DELETE FROM meridian.migration WHERE scope = $1', [range]);
    await client.query(`DROP SCHEMA IF EXISTS ${quoteIdentifier(range)} CASCADE`);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
