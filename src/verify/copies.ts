/**
 * Are all copies of a group the same? A checksum of every row of every range, computed by each server
 * on what it has, once it has replayed what the leader had. What the platform itself changes meanwhile
 * (keys that expire) may be seen half-way, so a difference counts if it is still there when all are
 * looked at again.
 */
import type { Clock } from '../kernel/clock.ts';
import type { FinalState } from './history.ts';
import type { Servers } from './servers.ts';

export interface GroupCopies {
  readonly group: string;
  readonly leader: string;
  readonly replicas: readonly string[];
}

type Copy = FinalState['copies'][number];

const ATTEMPTS = 4;
const REPLAY_TIMEOUT_MS = 10_000;
const INTERVAL_MS = 50;

/** Order does not matter: the sum of each row's hash. */
const TABLES_SQL = `
  SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
  WHERE schemaname IN (SELECT name FROM meridian.range) ORDER BY 1`;

function checksumSql(table: string): string {
  return `SELECT count(*) || '/' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS sum
          FROM ${table} t`;
}

async function checksum(servers: Servers, node: string): Promise<string> {
  return servers.use(node, async (client) => {
    const { rows } = await client.query<{ name: string }>(TABLES_SQL);
    const sums: string[] = [];
    for (const { name } of rows) {
      const found = await client.query<{ sum: string }>(checksumSql(name));
      sums.push(`${name} ${found.rows[0]?.sum ?? ''}`);
    }
    return sums.join('\n');
  });
}

async function replayed(
  servers: Servers,
  clock: Clock,
  { node, position }: { readonly node: string; readonly position: string },
): Promise<void> {
  const endMs = clock.monotonicMs() + REPLAY_TIMEOUT_MS;
  await servers.use(node, async (client) => {
    while (clock.monotonicMs() < endMs) {
      const { rows } = await client.query<{ reached: boolean | null }>(
        'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS reached',
        [position],
      );
      if (rows[0]?.reached === true) return;
      await clock.sleep(INTERVAL_MS);
    }
  });
}

/** One entry a server; a server that cannot be read has a checksum of its own, which says so. */
export async function copiesOf(
  servers: Servers,
  clock: Clock,
  group: GroupCopies,
): Promise<readonly Copy[]> {
  let copies: readonly Copy[] = [];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    copies = await lookOnce(servers, clock, group);
    if (new Set(copies.map((copy) => copy.checksum)).size <= 1) break;
  }
  return copies;
}

async function lookOnce(servers: Servers, clock: Clock, group: GroupCopies): Promise<Copy[]> {
  const { group: name, leader, replicas } = group;
  const first = await checksum(servers, leader);
  const [at] = await servers.query<{ position: string }>(
    leader,
    'SELECT pg_current_wal_insert_lsn()::text AS position',
  );
  const position = at?.position ?? '';
  const others = await Promise.all(
    replicas.map(async (node): Promise<Copy> => {
      try {
        await replayed(servers, clock, { node, position });
        return { node, group: name, checksum: await checksum(servers, node) };
      } catch (error) {
        return { node, group: name, checksum: `not readable: ${String(error)}` };
      }
    }),
  );
  return [{ node: leader, group: name, checksum: first }, ...others];
}
