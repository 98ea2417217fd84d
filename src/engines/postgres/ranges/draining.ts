/**
 * Groups that are to go get no new accounts; once nothing is in them any more, and nothing can come, a
 * declaration may leave them out. Whose accounts go where is decided elsewhere: they are re-homed like any others.
 */
import { MeridianError } from '../../../kernel/errors.ts';
import type { GroupName } from '../../../topology/position.ts';
import type { AccountId, RangeName } from '../../../topology/routing.ts';
import { coordinatorOf } from '../../two-phase.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import { quorumCommit } from '../quorum.ts';
import { quoteIdentifier } from '../quote.ts';
import { KEY_TABLE } from '../schema-idempotency.ts';
import { preparedOn } from '../two-phase.ts';
import { onPrimary } from './homes.ts';
import type { RangeRegister } from './register.ts';

/**
 * From its return on nobody can open an account in a range of theirs. Stored first, so that routes tell it, and
 * so that nothing is sent there any more; then said by the primary's database, to those with older routes.
 */
export async function drainGroups(cluster: Cluster, groups: readonly GroupName[]): Promise<void> {
  await cluster.register.setDraining(groups, true);
  cluster.services.onRoutes();
  await onPrimary(cluster, async (client, primary) => {
    await client.query(`SET default_transaction_isolation = 'serializable'`);
    await quorumCommit(cluster, primary, {
      client,
      text: 'INSERT INTO meridian.draining SELECT unnest($1::text[]) ON CONFLICT DO NOTHING',
      values: [declaredIn(cluster, groups)],
    });
  });
}

/** New accounts are taken again. */
export async function restoreGroups(cluster: Cluster, groups: readonly GroupName[]): Promise<void> {
  // Not the other way round: nobody takes them for empty while accounts may come. Those that were not to go are
  // left as they are: whoever dies here must not leave behind that they are.
  const { draining } = cluster.register;
  const going = groups.filter((group) => draining.includes(group));
  await cluster.register.setDraining(going, true);
  await onPrimary(cluster, (client, primary) =>
    quorumCommit(cluster, primary, {
      client,
      text: 'DELETE FROM meridian.draining WHERE range = ANY ($1)',
      values: [takingAgain(cluster.register, groups)],
    }),
  );
  await cluster.register.setDraining(groups, false);
  cluster.services.onRoutes();
}

/**
 * Ranges that take new accounts once these groups are not to go any more: one that is in another group that goes
 * does not, wherever it was declared.
 */
export function takingAgain(
  register: Pick<RangeRegister, 'known' | 'draining' | 'homeOf' | 'placeOf'>,
  groups: readonly GroupName[],
): readonly RangeName[] {
  const going = register.draining.filter((group) => !groups.includes(group));
  return register.known.filter((range) => {
    const of = [register.homeOf(range), register.placeOf(range)];
    return !going.some((group) => of.includes(group));
  });
}

/** As Engine.accountsInGroups. */
export async function accountsInGroups(
  cluster: Cluster,
  groups: readonly GroupName[],
  { after, limit }: { readonly after: AccountId; readonly limit: number },
): Promise<readonly AccountId[]> {
  const { rows } = await onPrimary(cluster, (client) =>
    client.query<{ id: string }>(
      'SELECT id FROM meridian.account WHERE range = ANY ($1) AND id > $2 ORDER BY id LIMIT $3',
      [heldBy(cluster, groups), after, limit],
    ),
  );
  return rows.map(({ id }) => id);
}

/**
 * Writes down that nothing is in them any more.
 *
 * @throws ERR_OPERATION_REFUSED with the first thing that is in the way
 */
export async function retireGroups(cluster: Cluster, groups: readonly GroupName[]): Promise<void> {
  // First: what was begun before they were to go may bring something behind the looks that follow. Afterwards nothing
  // that comes there is begun any more.
  nothingUnderWay(cluster, groups);
  const held = heldBy(cluster, groups);
  const { register } = cluster;
  const foreign = held.find(
    (range) => !register.isMade(range) && !register.draining.includes(register.homeOf(range) ?? ''),
  );
  if (foreign !== undefined) throw inTheWay(`${foreign} is there, and is declared elsewhere`);
  await notInDoubt(cluster, groups);
  await noAccounts(cluster, held);
  for (const group of groups) await noRows(cluster, group);
  // And last, in one go with what is written: they may be restored meanwhile.
  nothingUnderWay(cluster, groups);
  await cluster.register.setDrained(groups);
}

function nothingUnderWay({ register }: Cluster, groups: readonly GroupName[]): void {
  const { transfers, moves, draining } = register;
  if (Object.keys(transfers).length > 0) throw inTheWay('accounts are on their way');
  if (Object.keys(moves).length > 0) throw inTheWay('ranges are on their way');
  if (groups.some((group) => !draining.includes(group))) throw inTheWay('they are not to go');
}

/** Nobody waits for what one of them has decided, and they for nobody. */
async function notInDoubt(cluster: Cluster, groups: readonly GroupName[]): Promise<void> {
  for (const { spec, open, leader } of cluster.groups.values()) {
    if (!open) throw inTheWay(`${spec.name} is not open`);
    const prepared = await withAdmin(cluster.admin(leader), preparedOn);
    const ours = groups.includes(spec.name);
    if (prepared.some(({ gid }) => ours || groups.includes(coordinatorOf(gid) ?? ''))) {
      throw inTheWay(`a transaction is in doubt in ${spec.name}`);
    }
  }
}

/** Whoever opens one at this moment has read that its range takes some, and fails: see schema-drain.ts. */
async function noAccounts(cluster: Cluster, ranges: readonly RangeName[]): Promise<void> {
  const found = await onPrimary(cluster, async (client) => {
    await client.query(`SET default_transaction_isolation = 'serializable'`);
    return client.query('SELECT FROM meridian.account WHERE range = ANY ($1) LIMIT 1', [ranges]);
  });
  if (found.rowCount !== 0) throw inTheWay('accounts are there');
}

/** Rows that are no account's would be lost. */
async function noRows(cluster: Cluster, name: GroupName): Promise<void> {
  const { leader } = cluster.group(name);
  await withAdmin(cluster.admin(leader), async (client) => {
    const tables = await client.query<{ range: string; name: string }>(
      `SELECT r.name AS range, c.relname AS name FROM meridian.range r
       JOIN pg_class c ON c.relnamespace = quote_ident(r.name)::regnamespace
       WHERE c.relkind = 'r' AND c.relname <> $1 ORDER BY r.name, c.relname`,
      [KEY_TABLE],
    );
    for (const table of tables.rows) {
      const from = `${quoteIdentifier(table.range)}.${quoteIdentifier(table.name)}`;
      const some = await client.query(`SELECT FROM ${from} LIMIT 1`);
      if (some.rowCount === 0) continue;
      throw inTheWay(
        `${table.name} in ${table.range} has rows that belong to no account`,
        'Delete them, or create the accounts that they belong to.',
      );
    }
  });
}

/** Where new accounts of theirs were put, wherever it is now. */
function declaredIn({ register }: Cluster, groups: readonly GroupName[]): readonly RangeName[] {
  return register.known.filter((range) => groups.includes(register.homeOf(range) ?? ''));
}

function heldBy({ register }: Cluster, groups: readonly GroupName[]): readonly RangeName[] {
  return register.known.filter((range) => groups.includes(register.placeOf(range) ?? ''));
}

function inTheWay(what: string, remedy?: string): MeridianError {
  return new MeridianError(
    'ERR_OPERATION_REFUSED',
    `not drained yet: ${what}`,
    remedy === undefined ? {} : { remedy },
  );
}
