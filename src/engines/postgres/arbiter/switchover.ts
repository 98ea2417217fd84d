/**
 * A planned change of leader: nothing is lost, nobody is cloned, and clients wait for a moment.
 *
 *   preparing  everybody who can wait does so before the pause: the other voter follows the successor,
 *              which follows the leader; a checkpoint makes the shutdown short
 *   closing    the lease is given back, so that no new transaction begins; those under way end
 *   stopping   logical consumers are sent away, then the leader shuts down, which ships all it has. Its
 *              control file says whether the shutdown was clean, and the successor whether it has all
 *
 * To a declared voter of a group that was recovered by force it is the way home as well: homecoming.ts.
 *
 * Until the leader has stopped the change can be taken back by opening the group again; after that the
 * successor is written down as the leader, and the change is finished whatever happens.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from '../../../kernel/clock.ts';
import { MeridianError } from '../../../kernel/errors.ts';
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';
import { ROLE } from '../roles.ts';
import { makeSlotsOn } from '../slots.ts';
import { nodePaths } from '../storage.ts';
import { closeFor } from './failover.ts';
import { settleFollowers } from './following.ts';
import type { GroupEvent } from './group-machine.ts';
import { has, mayNotVote, nearlyHome, secondHas, votersUnder } from './homecoming.ts';
import { ended } from './lease.ts';
import type { Leading, Switchover } from './leading.ts';
import { CONTROL_BYTES, readControl } from './pg-control.ts';
import { reloadRole, writeRoleOf } from './role-files.ts';

const PREPARE_TIMEOUT_MS = 8_000;
/** Of log that the successor may still have to receive when the pause begins. */
const BEHIND_MAX_BYTES = 1024 * 1024;
/** Transactions that take longer are cut, and run again by the library. */
const DRAIN_MAX_MS = 250;
const STOP_TIMEOUT_MS = 3_000;
const POLL_MS = 10;

export async function prepareSwitchover(of: Leading): Promise<GroupEvent> {
  const { group, switchover } = of;
  const { cluster } = of.services;
  if (switchover === undefined) return 'not-prepared';
  const { to } = switchover;
  switchover.voters = votersUnder(of, to);
  const refused = whyNot(of, switchover);
  if (refused !== undefined) throw new MeridianError('ERR_OPERATION_REFUSED', refused);
  try {
    await gatherBehind(of, switchover);
    await withAdmin(cluster.admin(group.leader), (client) => client.query('CHECKPOINT'));
    await (switchover.voters === group.voters ? caughtUp(of, to) : nearlyHome(of, switchover));
  } catch (error) {
    // Nobody stays behind one that may be lost next.
    await settleFollowers(cluster, group.spec.name);
    throw error;
  }
  return 'prepared';
}

/** Who will follow the successor does so already, unless the leader's commits would wait for it then. */
async function gatherBehind(of: Leading, { to, voters: next }: Switchover): Promise<void> {
  const { group } = of;
  const { cluster } = of.services;
  const others = group.spec.nodes
    .map((node) => node.name)
    .filter((name) => name !== group.leader && name !== to);
  const confirms = group.voters.has(to);
  const voters = others.filter(
    (name) =>
      next?.has(name) === true &&
      !group.excluded.has(name) &&
      (confirms || !group.voters.has(name)),
  );
  const cascading = others.filter((name) => next?.has(name) !== true);
  // Non-voters first: none may hang on the successor when it is promoted.
  const host = voters.find((name) => cluster.runs(name)) ?? '';
  await makeSlotsOn(cluster, to, [group.leader, ...voters]);
  if (host !== '') {
    const moved = cascading.filter((name) => cluster.upstreamOf(name) === to);
    await makeSlotsOn(cluster, host, moved);
    for (const name of moved) await streamFrom(cluster, name, host);
  }
  for (const name of voters) await streamFrom(cluster, name, to);
}

function whyNot(
  { group, services: { cluster } }: Leading,
  { to, voters }: Switchover,
): string | undefined {
  if (to === group.leader) return `${to} leads ${group.spec.name} already`;
  if (voters?.has(to) !== true) return mayNotVote(group, to);
  if (group.excluded.has(to)) return `${to} is being cloned`;
  if (!cluster.runs(to)) return `${to} is down`;
  if (!cluster.reaches(to)) return `${to} cannot be reached`;
  return undefined;
}

/** For the time of the change alone: `chooseUpstreams` has the last word when the group opens. */
async function streamFrom(cluster: Cluster, name: string, upstream: string): Promise<void> {
  if (!cluster.runs(name) || !cluster.reaches(name)) return;
  await writeRoleOf(cluster, name, { upstream: await cluster.link(name, upstream) });
  reloadRole(cluster, name);
}

async function caughtUp(of: Leading, to: string): Promise<void> {
  const { cluster } = of.services;
  const { leader } = of.group;
  const wait = { timeoutMs: PREPARE_TIMEOUT_MS, intervalMs: 50, signal: cluster.stopSignal };
  await withAdmin(cluster.admin(leader), (client) =>
    waitUntil(
      cluster.services.clock,
      { what: `${to} to follow ${leader} closely`, ...wait },
      async () => {
        const { rows } = await client.query<{ behind: string }>(
          `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::text AS behind
           FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`,
          [to],
        );
        const behind = rows[0]?.behind;
        return behind !== undefined && Number(behind) < BEHIND_MAX_BYTES ? true : undefined;
      },
    ),
  );
}

/** Who has begun may end; who has not waits for the next view. */
export async function closeGroup(of: Leading): Promise<GroupEvent> {
  const { group } = of;
  const { cluster, sessions } = of.services;
  const { clock } = cluster.services;
  closeFor(of);
  await sessions.use(group, (client) =>
    client.query(`UPDATE meridian.heartbeat SET lease_until = '-infinity'`),
  );
  const wait = { timeoutMs: DRAIN_MAX_MS, intervalMs: POLL_MS, signal: cluster.stopSignal };
  await waitUntil(clock, { what: `transactions on ${group.leader} to end`, ...wait }, async () => {
    const { rows } = await sessions.use(group, (client) =>
      client.query<{ busy: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_stat_activity
             WHERE usename = $1 AND xact_start IS NOT NULL) AS busy`,
        [ROLE.application],
      ),
    );
    return rows[0]?.busy === false ? true : undefined;
  }).catch((error: unknown) => {
    // Those that are left are cut.
    if (!(error instanceof MeridianError) || error.code !== 'ERR_START_TIMEOUT') throw error;
  });
  return 'drained';
}

export async function stopLeader(of: Leading): Promise<GroupEvent> {
  const { group, switchover } = of;
  const { cluster, sessions } = of.services;
  const { clock } = cluster.services;
  const { to = '', voters = group.voters } = switchover ?? {};
  const old = group.leader;
  // A logical consumer far away would hold up the shutdown until it has confirmed the last byte.
  await sessions.use(group, (client) =>
    client.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
       WHERE slot_type = 'logical' AND active`,
    ),
  );
  sessions.drop(group);
  const { process } = cluster.node(old);
  process?.signal('SIGINT');
  const clean = await Promise.race([
    process?.exited.then((exit) => exit.code === 0) ?? true,
    clock.sleep(STOP_TIMEOUT_MS).then(() => false),
  ]);
  if (!clean) {
    process?.signalTree('SIGKILL');
    return 'not-clean';
  }
  const end = await shutdownPosition(cluster, old);
  if (end === undefined || !(await has(cluster, to, end))) return 'not-clean';
  const home = switchover !== undefined && voters !== group.voters;
  if (home && !(await secondHas(of, switchover, end))) return 'not-clean';
  group.lease = ended(group.lease, clock.monotonicMs());
  // The point of no return. The old leader has nothing that its successor lacks: it may follow as it is.
  await cluster.elect(group.spec.name, { leader: to, excluded: [], voters });
  await writeRoleOf(cluster, to);
  await settleFollowers(cluster, group.spec.name, { decided: true });
  return 'stopped-clean';
}

/** Of the checkpoint that a clean shutdown ends with; undefined when it was not clean. */
async function shutdownPosition(cluster: Cluster, name: string): Promise<bigint | undefined> {
  const { data } = nodePaths(cluster.server.storage, name);
  const file = await open(join(data, 'global', 'pg_control'), 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(CONTROL_BYTES), 0, CONTROL_BYTES, 0);
    const control = readControl(buffer);
    return control.state === 'shut down' ? control.checkpoint : undefined;
  } finally {
    await file.close();
  }
}
