/**
 * The way home after a recovery by force: a switchover to a declared voter makes the declared voters the
 * voters again, in the one write that elects it. Old are the voters of the recovery, new the declared ones.
 *
 * Why nothing that was acknowledged can be lost, whenever the supervisor dies or a server is lost:
 *
 *   until that write  the old voters are stored, and the old leader's commits wait for them alone. The new
 *                     ones only copy, as the non-voters they are; moving them changes no quorum. A crash
 *                     brings the old leader back, and an election fences the old voters: as ever.
 *   at that write     the old leader has shut down, so there is a last record. The successor has it on
 *                     disk, and so has a second new voter: what was acknowledged is where commits of the
 *                     new voters would have put it, on two of three.
 *   after it          the new ones are stored. The successor is started, or promoted, with their names in
 *                     force (quorum-in-force.ts), and its barrier waits for one of them. If it is lost
 *                     before, an election asks *every* new voter whose copy is not given up, so that second
 *                     one too, and takes the most advanced. It is not given up in between: a rebuild has a
 *                     commit confirmed first (rebuild.ts), and one that had begun does not count here.
 *
 * The second one is needed: an election after the write does not ask the old voters. In an ordinary
 * switchover it is the old leader, which goes on voting.
 */
import { waitUntil } from '../../../kernel/clock.ts';
import type { NodeName } from '../../../topology/node.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import { declaredVoters, votesAsDeclared } from '../voters.ts';
import type { Leading, Switchover } from './leading.ts';

const FOLLOW_TIMEOUT_MS = 8_000;
/** Of log that they may still have to receive when the pause begins. */
const BEHIND_MAX_BYTES = 1024 * 1024;
const SHIPPED_TIMEOUT_MS = 1_000;
const ASK_TIMEOUT_MS = 1_000;

/** Who votes once `to` leads: as declared, if it and one more of them can confirm its commits. */
export function votersUnder(
  { group, services: { cluster } }: Leading,
  to: NodeName,
): ReadonlySet<NodeName> {
  if (votesAsDeclared(group)) return group.voters;
  const declared = declaredVoters(group.spec);
  const second = [...declared].some((name) => name !== to && isFit(cluster, name));
  return declared.has(to) && second ? declared : group.voters;
}

/** Why it may not lead, however well it is. */
export function mayNotVote(group: ClusterGroup, to: NodeName): string {
  const declared = declaredVoters(group.spec);
  if (!declared.has(to)) return `${to || 'nobody'} is not a voter of ${group.spec.name}`;
  const others = [...declared].filter((name) => name !== to).join(' and ');
  return `${to} could not confirm commits as a voter of ${group.spec.name} yet: ${others} are lost or down`;
}

/** Its copy is whole, and it could confirm commits now. */
function isFit(cluster: Cluster, name: NodeName): boolean {
  const { repair, rebuildAsked, spec } = cluster.node(name);
  const kept = !cluster.group(spec.group).excluded.has(name) && repair === undefined;
  return kept && !rebuildAsked && cluster.runs(name) && cluster.reaches(name);
}

/** Before the pause: the successor and a second new voter have nearly all that the leader has. */
export async function nearlyHome(of: Leading, { to, voters }: Switchover): Promise<void> {
  const { group } = of;
  const { cluster } = of.services;
  const others = [...(voters ?? [])].filter((name) => name !== to);
  const wait = { timeoutMs: FOLLOW_TIMEOUT_MS, intervalMs: 50, signal: cluster.stopSignal };
  const what = `${to} and another of its voters to follow ${group.leader} closely`;
  await waitUntil(cluster.services.clock, { what, ...wait }, async () => {
    const end = await positionOf(cluster, group.leader);
    const isNear = async (name: NodeName): Promise<boolean> => {
      if (name === group.leader) return true;
      if (!isFit(cluster, name)) return false;
      const at = await positionOf(cluster, name).catch(() => undefined);
      return at !== undefined && (end ?? 0n) - at < BEHIND_MAX_BYTES;
    };
    const [first, ...rest] = await Promise.all([to, ...others].map(isNear));
    return first === true && rest.includes(true) ? true : undefined;
  });
}

/** With the old leader stopped: a second new voter has its last record, and keeps it. */
export async function secondHas(
  of: Leading,
  { to, voters }: Switchover,
  end: bigint,
): Promise<boolean> {
  const { group } = of;
  const { cluster } = of.services;
  if (voters?.has(group.leader) === true) return true;
  const others = [...(voters ?? [])].filter((name) => name !== to);
  const having = async (name: NodeName): Promise<NodeName> => {
    if (isFit(cluster, name) && (await has(cluster, name, end))) return name;
    throw new Error(`${name} has not`);
  };
  const second = await Promise.any(others.map(having)).catch(() => undefined);
  // What has begun to be rebuilt meanwhile is as good as gone.
  return second !== undefined && isFit(cluster, second);
}

/** The record at the position included: replay has gone past it, and so it is on disk. */
export function has(cluster: Cluster, name: NodeName, position: bigint): Promise<boolean> {
  const wait = { timeoutMs: SHIPPED_TIMEOUT_MS, intervalMs: 5, signal: cluster.stopSignal };
  return withAdmin(
    cluster.admin(name),
    (client) =>
      waitUntil(
        cluster.services.clock,
        { what: `${name} to have the last record`, ...wait },
        async () => {
          const { rows } = await client.query<{ at: string | null }>(
            `SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::text AS at`,
          );
          return BigInt(rows[0]?.at ?? '0') > position ? true : undefined;
        },
      ),
    { statementTimeoutMs: ASK_TIMEOUT_MS },
  ).catch(() => false);
}

/** Of a leader the end of its log, of one that streams how far it has replayed it. */
async function positionOf(cluster: Cluster, name: NodeName): Promise<bigint | undefined> {
  return withAdmin(
    cluster.admin(name),
    async (client) => {
      const { rows } = await client.query<{ at: string | null }>(
        `SELECT (CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn()
           WHEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')
           THEN pg_last_wal_replay_lsn() END - '0/0'::pg_lsn)::text AS at`,
      );
      const at = rows[0]?.at;
      return typeof at === 'string' ? BigInt(at) : undefined;
    },
    { statementTimeoutMs: ASK_TIMEOUT_MS },
  );
}
