/** Ranges that no declaration knows: made for accounts that go there, removed when they are empty. */
import type pg from 'pg';
import { present } from '../../../kernel/assert.ts';
import { MeridianError } from '../../../kernel/errors.ts';
import type { GroupName } from '../../../topology/position.ts';
import type { RangeName } from '../../../topology/routing.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import { fenceOf } from '../fence-rules.ts';
import { applyMigrations, appliedIn, ensureRange, rangeTarget } from '../migrating.ts';
import { LOCK_TIMEOUT_MS, patiently } from '../patience.ts';
import { quorumCommit } from '../quorum.ts';
import { quoteIdentifier } from '../quote.ts';
import type { RangePlaces } from '../routes.ts';
import { forgottenEverywhere } from './homes.ts';
import { tablesIn } from './source.ts';

interface On {
  readonly cluster: Cluster;
  readonly ranges: RangePlaces;
}

/**
 * As its migrations make it, without the rows that they make: those of the accounts come along with them.
 * Idempotent. Routes lead to it from then on, so that whoever is sent there finds it.
 *
 * @throws ERR_OPERATION_REFUSED when the other range has other migrations than this supervisor knows
 */
export async function makeRange(
  { cluster, ranges }: On,
  range: RangeName,
  { group, like }: { readonly group: GroupName; readonly like: RangeName },
): Promise<void> {
  const { regional } = cluster;
  if (regional === undefined) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the ranges have not been prepared yet');
  }
  const row = await withAdmin(cluster.admin(cluster.group(group).leader), async (client) => {
    await ensureRange(client, range);
    await applyMigrations(client, rangeTarget(range, fenceOf(regional)), {
      files: regional.regionalMigrations,
      services: cluster.services,
    });
    // Before anything is refused: whoever turns round now removes it, if nothing is in it.
    await emptied(client, range);
    const [made, other] = [await appliedIn(client, range), await appliedIn(client, like)];
    if (JSON.stringify(made) !== JSON.stringify(other)) {
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        `${like} has other migrations than this supervisor would make a range with`,
        { remedy: 'Apply what is pending with `meridian migrate`, or restart the platform.' },
      );
    }
    const { rows } = await client.query<{ epoch: string; origins: string }>(
      'SELECT epoch, origins FROM meridian.range WHERE name = $1',
      [range],
    );
    await quorumCommit(cluster, cluster.group(group), {
      client,
      text: 'UPDATE meridian.group_state SET epoch = epoch',
      values: [],
    });
    return present(rows[0], `the row of ${range}`);
  });
  const origins = row.origins === '' ? undefined : row.origins;
  ranges.set(range, { group, epoch: Number(row.epoch), origins, made: true });
  cluster.services.onRoutes();
}

/** Unless accounts have come already, in an earlier life. */
async function emptied(client: pg.Client, range: RangeName): Promise<void> {
  const used = await client.query('SELECT FROM meridian.departed WHERE into_range = $1 LIMIT 1', [
    range,
  ]);
  if (used.rowCount !== 0) return;
  const tables = await tablesIn(client, range);
  await client.query(`TRUNCATE ${tables.join(', ')}`);
}

/**
 * Idempotent. The route ends first: whoever is still led there by an old answer of the directory asks the
 * primary, and whoever is in it ends before its tables do.
 *
 * @throws ERR_OPERATION_REFUSED when there are rows in it
 */
export async function removeMadeRange({ cluster, ranges }: On, range: RangeName): Promise<void> {
  const group = cluster.register.placeOf(range);
  if (group === undefined) return;
  const late = await forgottenEverywhere(cluster, range);
  if (late.length > 0) {
    cluster.services.log.warn('a range goes that directories still lead to', { range, late });
  }
  const of = cluster.group(group);
  if (!of.open) throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${group} is not open`);
  await withAdmin(cluster.admin(of.leader), (client) =>
    patiently(cluster.services, () => drop(cluster, { client, range, group })),
  );
  ranges.delete(range);
  await cluster.register.forgetRange(range);
  cluster.services.onRoutes();
}

async function drop(
  cluster: Cluster,
  { client, range, group }: { client: pg.Client; range: RangeName; group: GroupName },
): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}`);
    const tables = await tablesIn(client, range);
    if (tables.length > 0) {
      await client.query(`LOCK TABLE ${tables.join(', ')} IN ACCESS EXCLUSIVE MODE`);
    }
    for (const table of tables) {
      const some = await client.query(`SELECT FROM ${table} LIMIT 1`);
      if (some.rowCount === 0) continue;
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        `${range} still has rows, in ${table}: it is not removed`,
        { remedy: 'They are of accounts that the directory does not know to be there.' },
      );
    }
    await client.query('DELETE FROM meridian.range WHERE name = $1', [range]);
    await client.query('DELETE FROM meridian.departed WHERE range = $1', [range]);
    await client.query('DELETE FROM meridian.migration WHERE scope = $1', [range]);
    await client.query(`DROP SCHEMA IF EXISTS ${quoteIdentifier(range)} CASCADE`);
    await quorumCommit(cluster, cluster.group(group), { client, text: 'COMMIT', values: [] });
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
