/** The target's side of a move: an empty range that is closed, the subscription, and the opening. */
import type pg from 'pg';
import { waitUntil } from '../../../kernel/clock.ts';
import { MeridianError } from '../../../kernel/errors.ts';
import { withAdmin } from '../admin.ts';
import { fenceOf } from '../fence-rules.ts';
import { applyMigrations, appliedIn, rangeTarget } from '../migrating.ts';
import { quorumCommit } from '../quorum.ts';
import { quoteIdentifier, quoteLiteral } from '../quote.ts';
import { DATABASE, ROLE } from '../roles.ts';
import { rangeStatements } from '../schema.ts';
import { keyTableStatement } from '../schema-idempotency.ts';
import { connectionInfo } from '../settings.ts';
import { nodePaths } from '../storage.ts';
import { dropSubscription } from '../subscriptions.ts';
import { checkAttempt, sourceOf, streamName, targetOf, type Moving } from './moving.ts';
import { onSource, removeRange, tablesIn } from './source.ts';

const STATEMENT_TIMEOUT_MS = 30_000;
/** The copy's own bound is the operator's patience; without progress for so long it is given up. */
const COPY_STALL_MS = 60_000;
const LOOK_MS = 100;
const MARKER_LOOK_MS = 5;

export function onTarget<T>(
  moving: Moving,
  run: (client: pg.Client) => Promise<T>,
  statementTimeoutMs = STATEMENT_TIMEOUT_MS,
): Promise<T> {
  const { cluster } = moving;
  return withAdmin(cluster.admin(targetOf(moving).leader), run, { statementTimeoutMs });
}

/**
 * The range as its migrations make it, closed, and without the rows that they make: those come with the
 * others.
 *
 * @throws ERR_OPERATION_REFUSED when the source has other migrations than this supervisor knows
 */
export async function prepareTarget(moving: Moving): Promise<void> {
  const { cluster, range } = moving;
  const { regional } = cluster;
  if (regional === undefined) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the ranges have not been prepared yet');
  }
  const source = await onSource(moving, async (client) => {
    const { rows } = await client.query<{ epoch: string }>(
      'SELECT epoch FROM meridian.range WHERE name = $1',
      [range],
    );
    return { epoch: Number(rows[0]?.epoch), applied: await appliedIn(client, range) };
  });
  moving.rangeEpoch = source.epoch + 1;
  await onTarget(moving, async (client) => {
    await client.query(
      `BEGIN; ${rangeStatements(range)} ${keyTableStatement(range)}
       UPDATE meridian.range SET state = 'closed', epoch = ${String(moving.rangeEpoch)}
       WHERE name = ${quoteLiteral(range)}; COMMIT`,
    );
    await applyMigrations(client, rangeTarget(range, fenceOf(regional)), {
      files: regional.regionalMigrations,
      services: cluster.services,
    });
    const applied = await appliedIn(client, range);
    if (JSON.stringify(applied) !== JSON.stringify(source.applied)) {
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        `${range} has other migrations than this supervisor would make it with in ${moving.to}`,
        { remedy: 'Apply what is pending with `meridian migrate`, or restart the platform.' },
      );
    }
    const tables = await tablesIn(client, range);
    await client.query(`TRUNCATE ${tables.join(', ')}`);
  });
}

/** Makes the slot, too, which waits for every transaction that is open on the source. */
export async function subscribe(moving: Moving): Promise<void> {
  const { cluster, range } = moving;
  const [source, target] = [sourceOf(moving), targetOf(moving)];
  const { passfile } = nodePaths(cluster.server.storage, target.leader);
  const name = streamName(range);
  const connection = connectionInfo(await cluster.link(target.leader, source.leader), {
    ...{ user: ROLE.replication, passfile, dbname: DATABASE, application_name: name },
  });
  // Its own commits wait for nobody: the opening's does, and comes after them in the log.
  const text = `CREATE SUBSCRIPTION ${quoteIdentifier(name)} CONNECTION ${quoteLiteral(connection)}
    PUBLICATION ${quoteIdentifier(name)} WITH (slot_name = ${quoteLiteral(moving.attemptName)},
      copy_data = true, binary = true, origin = none, synchronous_commit = 'off',
      disable_on_error = true)`;
  try {
    await onTarget(moving, (client) => client.query(text));
  } catch (cause) {
    if (!isTimeout(cause)) throw cause;
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `${source.spec.name} made no slot within ${String(STATEMENT_TIMEOUT_MS)} ms: a transaction that is open there, or prepared, holds it up`,
      { cause },
    );
  }
}

function isTimeout(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === 'ERR_STATEMENT_TIMEOUT' || String(message).includes('Query read timeout');
}

/** Resolves when every table has all rows that were there, and follows. */
export async function awaitCopied(moving: Moving): Promise<void> {
  const { clock } = moving.cluster.services;
  const totalBytes = await onSource(moving, (client) => sizeOf(client, moving.range));
  let [movedBytes, movedAtMs] = [-1, clock.monotonicMs()];
  await onTarget(moving, async (client) => {
    for (;;) {
      checkAttempt(moving);
      const left = await client.query<{ waiting: string; enabled: boolean }>(
        `SELECT count(r.srrelid) FILTER (WHERE r.srsubstate <> 'r') AS waiting, s.subenabled AS enabled
         FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
         WHERE s.subname = $1 GROUP BY s.oid, s.subenabled`,
        [streamName(moving.range)],
      );
      const state = left.rows[0];
      if (state?.enabled !== true) throw stopped(moving);
      const doneBytes = await sizeOf(client, moving.range);
      moving.onProgress(state.waiting === '0' ? totalBytes : doneBytes, totalBytes);
      if (state.waiting === '0') return;
      const nowMs = clock.monotonicMs();
      if (doneBytes !== movedBytes) [movedBytes, movedAtMs] = [doneBytes, nowMs];
      if (nowMs - movedAtMs > COPY_STALL_MS) {
        const message = `the copy of ${moving.range} has not grown for ${String(COPY_STALL_MS)} ms`;
        throw new MeridianError('ERR_ENGINE_UNAVAILABLE', message);
      }
      await clock.sleep(LOOK_MS);
    }
  });
}

function stopped(moving: Moving): MeridianError {
  return new MeridianError(
    'ERR_ENGINE_UNAVAILABLE',
    `${moving.to} has stopped following ${moving.range}: the log of ${targetOf(moving).leader} says why`,
  );
}

async function sizeOf(client: pg.Client, range: string): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `SELECT coalesce(sum(pg_table_size(c.oid)), 0) AS bytes FROM pg_class c
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`,
    [range],
  );
  return Number(rows[0]?.bytes);
}

/** Everything that was committed on the source before the marker is here, too. */
export async function awaitMarker(
  moving: Moving,
  marker: string,
  timeoutMs: number,
): Promise<void> {
  const what = `${moving.to} to have followed ${moving.range}`;
  await onTarget(moving, (client) =>
    waitUntil(
      moving.cluster.services.clock,
      { what, timeoutMs, intervalMs: MARKER_LOOK_MS },
      async () => {
        checkAttempt(moving);
        const seen = await client.query(
          'SELECT FROM meridian.move_marker WHERE range = $1 AND marker = $2',
          [moving.range, marker],
        );
        return seen.rowCount === 1 ? true : undefined;
      },
    ),
  );
}

/**
 * A reader that the tenant fence holds copies nothing, and no error says so: a table that has rows must not
 * arrive without any.
 */
export async function checkArrived(moving: Moving): Promise<void> {
  const filled = (client: pg.Client): Promise<Set<string>> => tablesWithRows(client, moving.range);
  const arrived = await onTarget(moving, filled);
  const missing = [...(await onSource(moving, filled))].filter((table) => !arrived.has(table));
  if (missing.length === 0) return;
  throw new MeridianError(
    'ERR_OPERATION_REFUSED',
    `rows of ${missing.join(', ')} do not arrive in ${moving.to}: nothing was moved`,
    { remedy: 'The replication role must read every row (BYPASSRLS); see the log of the servers.' },
  );
}

async function tablesWithRows(client: pg.Client, range: string): Promise<Set<string>> {
  const tables = await tablesIn(client, range, ['r']);
  const looks = tables.map(
    (table) => `SELECT ${quoteLiteral(table)} AS name WHERE EXISTS (SELECT FROM ${table})`,
  );
  const { rows } = await client.query<{ name: string }>(looks.join(' UNION ALL '));
  return new Set(rows.map((row) => row.name));
}

/** The target takes over. When it resolves, a quorum has it; when it rejects, it may have. */
export async function openRange(moving: Moving): Promise<void> {
  const { cluster, range, rangeEpoch, targetGroupEpoch } = moving;
  await onTarget(moving, (client) =>
    quorumCommit(cluster, targetOf(moving), {
      client,
      text: 'SELECT meridian.open_range($1, $2, $3, $4, $5::jsonb)',
      values: [
        ...[range, rangeEpoch, targetGroupEpoch, moving.origins],
        JSON.stringify(moving.sequences),
      ],
    }),
  );
}

/**
 * The target's word, made certain: a change that is under way is waited for, and an open range is confirmed
 * by a quorum before anybody relies on it. One that is not open will not become so by an earlier attempt:
 * its row goes, in a commit that the quorum has.
 */
export async function claimFromTarget(moving: Moving): Promise<'open' | 'not-open'> {
  const { cluster, range } = moving;
  return onTarget(moving, async (client) => {
    await client.query('BEGIN');
    try {
      await client.query(`DELETE FROM meridian.range WHERE name = $1 AND state = 'closed'`, [
        range,
      ]);
      const left = await client.query<{ epoch: string; origins: string }>(
        'SELECT epoch, origins FROM meridian.range WHERE name = $1 FOR UPDATE',
        [range],
      );
      // Something to confirm, in either case.
      await client.query('UPDATE meridian.group_state SET epoch = epoch');
      await quorumCommit(cluster, targetOf(moving), { client, text: 'COMMIT', values: [] });
      const [row] = left.rows;
      if (row === undefined) return 'not-open';
      moving.rangeEpoch = Number(row.epoch);
      moving.origins = row.origins;
      return 'open';
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error;
    }
  });
}

/** Of a range that the source has for certain. */
export async function removeFromTarget(moving: Moving): Promise<void> {
  await onTarget(moving, async (client) => {
    await dropSubscription(client, streamName(moving.range));
    await client.query('DELETE FROM meridian.move_marker WHERE range = $1', [moving.range]);
    await removeRange(client, moving.range);
  });
}

/** Of a range that the target has for certain: the slot goes with the source's part. */
export async function unsubscribe(moving: Moving): Promise<void> {
  await onTarget(moving, async (client) => {
    await dropSubscription(client, streamName(moving.range));
    await client.query('DELETE FROM meridian.move_marker WHERE range = $1', [moving.range]);
  });
}
