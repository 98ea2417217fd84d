/**
 * Accounts go from one range of a group to another: their rows, their idempotency keys, and the word of
 * where they are, in one transaction of the group's leader.
 *
 * The range they leave takes no writes meanwhile (SHARE ROW EXCLUSIVE; readers go on), so it takes as few
 * accounts at a time as the caller chooses. Whoever waits for that lock, or had entered before, has a
 * snapshot in which the account is still there. It is refused by the serializable isolation: its opening
 * has read that the account has not left (`departed`), which this transaction writes, and it would write
 * rows that this one has read. Both must be serializable for that, and all writers are (framing.ts).
 *
 * Triggers and foreign keys do not fire (`session_replication_role`): nothing happens to the rows but that
 * they are somewhere else. What foreign keys would have refused is looked for instead. The commit carries a
 * replication origin, by which a change stream knows that nothing was changed.
 */
import type pg from 'pg';
import { MeridianError } from '../../../kernel/errors.ts';
import { formatToken, mergeTokens, parseToken, type Token } from '../../../topology/position.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import { fenceOf, type Fence } from '../fence-rules.ts';
import { LOCK_TIMEOUT_MS, patiently } from '../patience.ts';
import { quorumCommit } from '../quorum.ts';
import { quoteIdentifier, quoteLiteral } from '../quote.ts';
import { sqlStateOf } from '../sqlstate.ts';
import { carriedTables, ofAccounts, type CarriedTable, type Carrying } from './carried-tables.ts';
import { checkReferences } from './references.ts';
import { tablesIn } from './source.ts';

/** What the range that they came to is now. */
export interface Carried {
  readonly epoch: number;
  readonly origins: Token;
}

const STATEMENT_TIMEOUT_MS = 60_000;
const ORIGIN = 'meridian_transfer';
const UNIQUE_VIOLATION = '23505';

/**
 * Idempotent: accounts that have arrived already have no rows to bring. When it resolves, a quorum has it;
 * when it rejects, it may have.
 *
 * @throws ERR_OPERATION_REFUSED when their rows can't be there, or refer to those of others
 */
export async function carryAccounts(
  cluster: Cluster,
  group: ClusterGroup,
  carrying: Carrying,
): Promise<Carried> {
  const { regional } = cluster;
  if (regional === undefined) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the ranges have not been prepared yet');
  }
  const fence = fenceOf(regional);
  return withAdmin(
    cluster.admin(group.leader),
    async (client) => {
      await asOrigin(client);
      return patiently(cluster.services, () => inOne(cluster, group, { client, carrying, fence }));
    },
    { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
  );
}

async function inOne(
  cluster: Cluster,
  group: ClusterGroup,
  on: { readonly client: pg.Client; readonly carrying: Carrying; readonly fence: Fence },
): Promise<Carried> {
  const { client, carrying, fence } = on;
  const { from, into, accounts } = carrying;
  const tables = await tablesIn(client, from);
  await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
  try {
    await client.query(
      `SET LOCAL lock_timeout = ${String(LOCK_TIMEOUT_MS)}; SET LOCAL session_replication_role = replica`,
    );
    // Before the first look at rows, which takes the snapshot: whoever wrote before is seen.
    await client.query(`LOCK TABLE ${tables.join(', ')} IN SHARE ROW EXCLUSIVE MODE`);
    const carried = await openBoth(client, carrying, group.epoch);
    for (const table of await carriedTables(client, from, fence)) {
      await carryRows(client, carrying, table);
    }
    await client.query(CARRY_SEQUENCES, [from, into]);
    await checkReferences(client, carrying, fence);
    await client.query('DELETE FROM meridian.departed WHERE range = $1 AND account = ANY ($2)', [
      into,
      accounts,
    ]);
    await client.query(
      `INSERT INTO meridian.departed (range, account, into_range)
       SELECT $1, account, $2 FROM unnest($3::text[]) AS account
       ON CONFLICT (range, account) DO UPDATE SET into_range = excluded.into_range`,
      [from, into, accounts],
    );
    await quorumCommit(cluster, group, { client, text: 'COMMIT', values: [] });
    return carried;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** The session's, until it ends; one session has it at a time, and transfers are one at a time. */
async function asOrigin(client: pg.Client): Promise<void> {
  const name = quoteLiteral(ORIGIN);
  await client.query(
    `SELECT pg_replication_origin_create(${name}) WHERE pg_replication_origin_oid(${name}) IS NULL`,
  );
  await client.query(
    `SELECT pg_replication_origin_session_setup(${name})
     WHERE NOT pg_replication_origin_session_is_setup()`,
  );
}

/**
 * Both are open here, and the leader is the one that is meant. Whoever uses an account where it comes to
 * has seen that the groups it was in before have closed its range (`origins`, schema-move.ts); a client
 * whose route does not say so yet must not be let in, so the epoch rises when they do.
 */
async function openBoth(
  client: pg.Client,
  { from, into }: Carrying,
  groupEpoch: number,
): Promise<Carried> {
  const { rows } = await client.query<{ name: string; epoch: string; origins: string }>(
    `SELECT name, epoch, origins FROM meridian.range WHERE name = ANY ($1) AND state = 'open'
       AND (SELECT epoch FROM meridian.group_state) = $2`,
    [[from, into], groupEpoch],
  );
  const [source, target] = [from, into].map((range) => rows.find(({ name }) => name === range));
  if (source === undefined || target === undefined) {
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `${from} and ${into} are not open together at epoch ${String(groupEpoch)}`,
    );
  }
  const origins = mergeOrigins(source.origins, target.origins);
  const epoch = Number(target.epoch);
  if (origins === target.origins) return { epoch, origins };
  await client.query('UPDATE meridian.range SET epoch = $2, origins = $3 WHERE name = $1', [
    into,
    epoch + 1,
    origins,
  ]);
  return { epoch: epoch + 1, origins };
}

function mergeOrigins(source: Token, target: Token): Token {
  const merged = [source, target].filter((token) => token !== '');
  if (merged.length === 0) return '';
  return formatToken(parseToken(mergeTokens(merged[0] ?? '', ...merged.slice(1))));
}

async function carryRows(
  client: pg.Client,
  { from, into, accounts }: Carrying,
  table: CarriedTable,
): Promise<void> {
  const name = quoteIdentifier(table.name);
  const columns = table.columns.map(quoteIdentifier).join(', ');
  try {
    await client.query(
      `WITH carried AS (DELETE FROM ${quoteIdentifier(from)}.${name} WHERE ${ofAccounts(table)}
         RETURNING ${columns})
       INSERT INTO ${quoteIdentifier(into)}.${name} (${columns}) OVERRIDING SYSTEM VALUE
       SELECT ${columns} FROM carried`,
      [accounts],
    );
  } catch (cause) {
    if (sqlStateOf(cause) !== UNIQUE_VIOLATION) throw cause;
    const { constraint = 'a unique key' } = cause as { constraint?: string };
    throw new MeridianError(
      'ERR_OPERATION_REFUSED',
      `rows of ${table.name} cannot be in ${into}: there are others with the same ${constraint} already`,
      { remedy: 'Let keys begin with the account, or be unique everywhere (uuidv7()).' },
    );
  }
}

/** Those who come must not be given what others were given where they come from. */
const CARRY_SEQUENCES = `
  SELECT setval(format('%I.%I', $2::text, s.sequencename)::regclass, s.last_value, true)
  FROM pg_sequences s JOIN pg_sequences t ON t.schemaname = $2 AND t.sequencename = s.sequencename
  WHERE s.schemaname = $1 AND s.last_value IS NOT NULL AND s.last_value > coalesce(t.last_value, s.last_value - 1)`;
