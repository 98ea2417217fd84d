/**
 * Doubt 3: do non-voters behind a voting standby survive failovers, and do failover slots? One
 * group in the zone layout under eight writers and a slot reader; the leader's postmaster is killed
 * with SIGKILL again and again, and after each failover all five copies are compared row by row.
 *
 *   node dist/bench/doubts/zone-failover.js [kills = 50] [fence | after | leader] [seed = 1]
 *
 * The second argument says when a non-voter leaves an upstream that is being promoted:
 *   fence   while fencing, before the promotion (the design)
 *   after   only after the barrier commit
 *   leader  a control: non-voters stream from the leader all the time (the design forbids it)
 *
 * fsync is off, since SIGKILL of processes doesn't lose what the kernel holds.
 */
import * as fs from 'node:fs';
import { clone } from './base-backup.ts';
import { SlotReader, Writers } from './failover-load.ts';
import type { Route } from './failover-load.ts';
import { report } from './failover-report.ts';
import type { Cycle } from './failover-report.ts';
import { family } from './measure.ts';
import { lsnNumber, sleep, until, withWorkspace } from './postgres.ts';
import type { Server, Settings } from './postgres.ts';
import { createSlot, follow, quorumOf, startZoneGroup, streaming } from './zone-group.ts';

type Mode = 'fence' | 'after' | 'leader';
const KILLS = Number(process.argv[2] ?? 50);
const MODE = (process.argv[3] ?? 'fence') as Mode;
let seed = Number(process.argv[4] ?? 1);

/** Park and Miller's generator: where in the load a kill falls is chance, but repeatable chance. */
const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;

const SETTINGS: Settings = { fsync: 'off', full_page_writes: 'on' };
const VOTER: Settings = { sync_replication_slots: 'on' };

interface State {
  voters: Server[];
  leader: Server;
  readonly others: readonly Server[];
  readonly upstream: Map<Server, Server>;
  readonly route: Route;
  readonly writers: Writers;
}

/** From here on the standby acknowledges nothing; its position is final. */
async function fence(standby: Server, stopped: number | undefined): Promise<number> {
  standby.setRole({ ...standby.role, primary_conninfo: '' });
  if (stopped !== undefined) {
    await sleep(30);
    process.kill(stopped, 'SIGCONT');
  }
  await until(`${standby.name} fenced`, async () => {
    const row = await standby.one<{ n: string }>(`select count(*) n from pg_stat_wal_receiver`);
    return Number(row.n) === 0;
  });
  const { lsn } = await standby.one<{ lsn: string }>(
    `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text lsn`,
  );
  return lsnNumber(lsn);
}

const voterRole = (state: State, voter: Server, upstream: Server): Settings => ({
  ...quorumOf(state.voters, voter),
  ...follow(upstream, voter),
  ...VOTER,
});

const leaderRole = (state: State, leader: Server, witness: Server): Settings => ({
  ...quorumOf(state.voters, leader),
  synchronized_standby_slots: witness.name.replaceAll('-', '_'),
});

async function repoint(state: State, standby: Server, upstream: Server): Promise<void> {
  await createSlot(upstream, standby);
  state.upstream.set(standby, upstream);
  standby.setRole(follow(upstream, standby));
}

/** Whether the standby streams the leader's timeline and has replayed up to `lsn`. */
async function caughtUp(standby: Server, tli: number, lsn: string): Promise<boolean> {
  const row = await standby.one<{ ok: boolean }>(
    `select coalesce((select status = 'streaming' and received_tli = ${String(tli)}
       from pg_stat_wal_receiver), false) and pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn ok`,
  );
  return row.ok;
}

/** Resolves to the milliseconds since `since`, or undefined when it forked or is stuck. */
async function follows(
  standby: Server,
  target: { readonly tli: number; readonly lsn: string; readonly since: number },
): Promise<number | undefined> {
  const what = `${standby.name} follows`;
  return await until(what, () => caughtUp(standby, target.tli, target.lsn), {
    timeoutMs: 15_000,
    everyMs: 20,
  }).then(
    () => performance.now() - target.since,
    () => undefined,
  );
}

async function rebuild(source: Server, target: Server, role: Settings): Promise<void> {
  const pids = [...family([target.child?.pid ?? -1]).keys()];
  await target.stop('SIGKILL');
  await until('its processes ended', async () => {
    await Promise.resolve();
    return pids.every((pid) => !fs.existsSync(`/proc/${String(pid)}`));
  });
  await createSlot(source, target);
  await clone(source, target);
  target.configure(role);
  target.markStandby();
  await target.start();
}

/**
 * In every other cycle one voter's receiver is frozen shortly before the kill, so that the voters
 * end at different positions and the election has something to choose.
 */
async function freezeOne(voters: readonly Server[]): Promise<Freeze | undefined> {
  const voter = voters[random() < 0.5 ? 0 : 1];
  if (voter === undefined || random() < 0.5) return undefined;
  const { pid } = await voter.one<{ pid: number }>(`select pid from pg_stat_wal_receiver`);
  process.kill(pid, 'SIGSTOP');
  await sleep(80);
  return { voter, pid };
}

interface Freeze {
  readonly voter: Server;
  readonly pid: number;
}

async function electAndPromote(
  state: State,
  cycle: Cycle,
  at: { readonly killed: number; readonly frozen: Freeze | undefined },
): Promise<Server[]> {
  const { killed, frozen } = at;
  const [first, second] = state.voters.filter((voter) => voter !== state.leader) as [
    Server,
    Server,
  ];
  const [a = 0, b = 0] = await Promise.all(
    [first, second].map((voter) => fence(voter, frozen?.voter === voter ? frozen.pid : undefined)),
  );
  cycle.fence = performance.now() - killed;
  cycle.spread = Math.abs(a - b);
  const [winner, loser] = a > b || (a === b && random() < 0.5) ? [first, second] : [second, first];
  if (MODE === 'fence') {
    for (const other of state.others) {
      if (state.upstream.get(other) === winner) await repoint(state, other, loser);
    }
  }
  winner.setRole(leaderRole(state, winner, loser));
  await winner.run(`select pg_promote(false)`);
  await until('promoted', async () => {
    const row = await winner.one<{ standby: boolean }>(`select pg_is_in_recovery() standby`);
    return !row.standby;
  });
  cycle.promote = performance.now() - killed;
  return [winner, loser];
}

async function slotsSynced(state: State, voters: readonly Server[]): Promise<void> {
  await until(
    'slots synced on the voters',
    async () => {
      await state.leader.run(`select pg_log_standby_snapshot()`);
      for (const voter of voters) {
        const row = await voter.one<{ n: string }>(
          `select count(*) n from pg_replication_slots
             where slot_name = 'cdc' and synced and not temporary and invalidation_reason is null`,
        );
        if (Number(row.n) !== 1) return false;
      }
      return true;
    },
    { timeoutMs: 60_000, everyMs: 250 },
  );
}

async function failover(state: State, number: number): Promise<Cycle> {
  const cycle = { moved: [], stayed: [], recloned: 0 } as unknown as Cycle;
  const old = state.leader;
  const before = new Map(state.upstream);
  const frozen = await freezeOne(state.voters.filter((voter) => voter !== old));
  const killed = performance.now();
  // The route stays open until the exit is seen: commits in flight must meet the kill.
  await old.stop('SIGKILL');
  state.route.leader = undefined;
  const [winner, loser] = (await electAndPromote(state, cycle, { killed, frozen })) as [
    Server,
    Server,
  ];
  await createSlot(winner, loser);
  loser.setRole(voterRole(state, loser, winner));
  await winner.run(`insert into epoch values (${String(number)})`);
  cycle.durable = performance.now() - killed;
  // The control file still names the old timeline until the first checkpoint; the WAL does not.
  const { tli, lsn } = await winner.one<{ tli: number; lsn: string }>(
    `select pg_current_wal_lsn()::text lsn,
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int tli`,
  );
  state.leader = winner;
  state.route.leader = winner;
  if (MODE !== 'fence') {
    for (const other of state.others) {
      if (MODE === 'leader') await repoint(state, other, winner);
      else if (state.upstream.get(other) === winner) await repoint(state, other, loser);
    }
  }
  await settle(state, { cycle, before, tli, lsn, killed });
  const cloning = performance.now();
  await rebuild(winner, old, voterRole(state, old, winner));
  await streaming(winner, MODE === 'leader' ? 4 : 2);
  cycle.reclone = performance.now() - cloning;
  await slotsSynced(state, [loser, old]);
  cycle.slotReady = performance.now() - cloning - cycle.reclone;
  return cycle;
}

interface Settling {
  readonly cycle: Cycle;
  readonly before: ReadonlyMap<Server, Server>;
  readonly tli: number;
  readonly lsn: string;
  readonly killed: number;
}

async function settle(state: State, at: Settling): Promise<void> {
  const { cycle, tli, lsn, killed } = at;
  const acked = until('first ack', async () => {
    await Promise.resolve();
    return state.writers.lastAckAt > killed + cycle.durable;
  }).then(() => (cycle.firstAck = state.writers.lastAckAt - killed));
  for (const other of state.others) {
    const took = await follows(other, { tli, lsn, since: killed });
    const upstream = state.upstream.get(other) as Server;
    if (took === undefined) {
      cycle.recloned++;
      await rebuild(upstream, other, follow(upstream, other));
      await until('it streams again', () => caughtUp(other, tli, lsn));
    } else {
      (at.before.get(other) === upstream ? cycle.stayed : cycle.moved).push(took);
    }
  }
  await acked;
  // A slot left on a server nobody streams from would keep its WAL for ever.
  for (const server of state.voters.filter((voter) => voter.alive)) {
    for (const other of state.others) {
      if (state.upstream.get(other) === server) continue;
      await server.run(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots
          where slot_name = '${other.name.replaceAll('-', '_')}' and not active`,
      );
    }
  }
}

/** Compares every copy with the leader while nobody writes. */
async function differing(state: State): Promise<number> {
  await state.writers.pause();
  const sql = `select count(*) || ':' || coalesce(sum(id), 0) || ':' ||
    coalesce(bit_xor(hashint8extended(id, 7)), 0) sum from ledger`;
  const { lsn } = await state.leader.one<{ lsn: string }>(`select pg_current_wal_lsn()::text lsn`);
  const { sum } = await state.leader.one<{ sum: string }>(sql);
  let different = 0;
  for (const server of [...state.voters, ...state.others]) {
    if (server === state.leader) continue;
    const replayed = `select pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn ok`;
    const reached = await until(
      'replayed',
      async () => (await server.one<{ ok: boolean }>(replayed)).ok,
    ).catch(() => false);
    if (!reached || (await server.one<{ sum: string }>(sql)).sum !== sum) different++;
  }
  state.writers.resume();
  return different;
}

async function bench(): Promise<void> {
  const group = await startZoneGroup('z', SETTINGS, VOTER);
  const route: Route = { leader: undefined };
  const state: State = {
    voters: [group.leader, ...group.voters],
    leader: group.leader,
    others: group.others,
    upstream: new Map([
      [group.others[0], group.voters[0]],
      [group.others[1], group.voters[1]],
    ]),
    route,
    writers: new Writers(route, 8),
  };
  group.leader.setRole(leaderRole(state, group.leader, group.voters[0]));
  await group.leader.run(
    `create table ledger (id bigint primary key, pad text); create table epoch (n int)`,
  );
  await group.leader.run(
    `select pg_create_logical_replication_slot('cdc', 'test_decoding', false, false, true)`,
  );
  if (MODE === 'leader') {
    for (const other of group.others) await repoint(state, other, group.leader);
  }
  const reader = new SlotReader(route);
  route.leader = group.leader;
  await slotsSynced(state, group.voters);
  const cycles: Cycle[] = [];
  let different = 0;
  for (let number = 1; number <= KILLS; number++) {
    await sleep(200 + random() * 600);
    const cycle = await failover(state, number);
    different += await differing(state);
    cycles.push(cycle);
    process.stdout.write(
      `${String(number)} ${JSON.stringify(cycle, (_key, value: unknown) =>
        typeof value === 'number' ? Math.round(value) : value,
      )}\n`,
    );
  }
  await report(state, reader, { mode: MODE, cycles, different });
}

await withWorkspace('failover', bench);
