/** The measurements: each a number of milliseconds a round, taken on the groups in turn. */
import type { ChaosRequest } from '../../src/control/chaos.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { RoutedNode } from '../../src/topology/routing.ts';
import type { Door } from '../../src/verify/doors.ts';
import { Load } from './load.ts';
import { doorsBeside, doorsIn, home, leaderOf, type Stand } from './stand.ts';

const CALM_MS = 1_500;
/** One after the other, so few: the next write is what is measured, not the most that can be done. */
const LIBRARY = { writers: 6, thinkMs: 5 };
const GATEWAY = { writers: 12, thinkMs: 20 };

/** From the loss of the leader until a write is acknowledged by another. */
async function lossOf(
  stand: Stand,
  name: string,
  how: {
    readonly request: (leader: RoutedNode) => ChaosRequest;
    readonly doors: (leader: RoutedNode) => readonly Door[];
  },
): Promise<number> {
  const { cluster, groups, accounts } = stand;
  await home(stand, name);
  const leader = leaderOf(await groups.open(name));
  const doors = how.doors(leader);
  await using load = new Load({ ...LIBRARY, doors, accounts: accounts[name] ?? [] });
  await load.next();
  await systemClock.sleep(CALM_MS * Math.random());
  const fromMs = performance.now();
  const next = load.next(({ node }) => node !== leader.name);
  // Told by whatever comes first.
  next.catch(() => {});
  try {
    await cluster.platform.chaos.inject(how.request(leader));
    return (await next).endedMs - fromMs;
  } finally {
    await cluster.platform.chaos.heal();
  }
}

/** The machine of the leader's server ends, and stays down. */
export function killed(stand: Stand, name: string): Promise<number> {
  return lossOf(stand, name, {
    request: (node) => ({ action: 'kill', target: { kind: 'node', name: node.name } }),
    doors: (leader) => doorsIn(stand, leader),
  });
}

/** The processes stand still, on a machine that obeys, or on one that does not. */
export function hung(stand: Stand, name: string, as: 'process' | 'node'): Promise<number> {
  return lossOf(stand, name, {
    request: (node) => ({ action: 'stop', target: { kind: as, name: node.name } }),
    doors: (leader) => doorsIn(stand, leader),
  });
}

/** The leader's zone, or its region, is cut off from the rest of the world. */
export function partitioned(stand: Stand, name: string): Promise<number> {
  return lossOf(stand, name, {
    request: ({ locality: { region, zone } }) => {
      const place = stand.layout === 'region' ? { region } : { region, zone };
      return { action: 'partition', target: { kind: 'place', place } };
    },
    doors: (leader) => doorsBeside(stand, leader),
  });
}

export interface Switched {
  readonly pauseMs: number;
  readonly failed: number;
}

/** There and back again, under a light load through the gateway of the group's home. */
export async function switched(stand: Stand, name: string): Promise<readonly Switched[]> {
  const { cluster, groups, accounts, layout } = stand;
  await home(stand, name);
  const { homeRegion, nodes, leader } = groups.seen(name);
  const gateway = cluster.regions.find(({ region }) => region === homeRegion)?.gateway;
  const to = nodes.find((node) => node.kind === 'voter' && node.name !== leader)?.locality;
  const back = leaderOf(groups.seen(name)).locality;
  if (gateway === undefined || to === undefined) throw new Error(`nowhere to switch ${name} to`);
  await using load = new Load({
    ...{ doors: [gateway], accounts: accounts[name] ?? [] },
    ...GATEWAY,
  });
  await load.next();
  const done: Switched[] = [];
  for (const { region, zone } of [to, back]) {
    await systemClock.sleep(CALM_MS);
    const failedBefore = failuresOf(load);
    const fromMs = performance.now();
    const place = layout === 'region' ? { region } : { zone };
    await cluster.platform.operate({ kind: 'switchover', group: name, ...place });
    await systemClock.sleep(CALM_MS);
    const pauseMs = load.longestPauseMs(fromMs, performance.now());
    done.push({ pauseMs, failed: failuresOf(load) - failedBefore });
    await groups.whole(name);
  }
  return done;
}

function failuresOf({ failed }: Load): number {
  return Object.values(failed).reduce((sum, times) => sum + times, 0);
}

export interface Rebuilt {
  readonly tookMs: number;
  readonly bytes: number;
}

const REPLICA_BYTES = 25e6;
const FILLER_ROWS = 20_000;

/**
 * A voter that follows, while writes go on; until it streams again. What was logged since the last
 * checkpoint is copied too: there is one before.
 */
export async function rebuilt(stand: Stand, name: string): Promise<Rebuilt> {
  const { cluster, groups, accounts, servers } = stand;
  await home(stand, name);
  const leader = leaderOf(groups.seen(name));
  const voters = groups.seen(name).nodes.filter(({ kind }) => kind === 'voter');
  const followers = voters.filter((voter) => voter.name !== leader.name);
  const [node] = followers;
  if (node === undefined) throw new Error(`${name} has no follower`);
  // A follower's begins where the leader's was, once it has heard of it.
  for (const each of [leader, ...followers]) await servers.query(each.name, 'CHECKPOINT');
  await using load = new Load({
    ...{ doors: doorsIn(stand, leader), accounts: accounts[name] ?? [] },
    ...LIBRARY,
  });
  await load.next();
  let bytes = 0;
  const fromMs = performance.now();
  await cluster.platform.operate(
    { kind: 'rebuild', node: node.name },
    {
      onEvent: (event) => {
        if (event.kind === 'progress' && 'totalBytes' in event)
          bytes = Math.max(bytes, event.totalBytes ?? 0);
      },
    },
  );
  return { tookMs: performance.now() - fromMs, bytes };
}

/** So that a copy of the group has so many bytes. Schema and catalogues alone are most of it. */
export async function fill({ cluster, servers, groups, accounts }: Stand): Promise<void> {
  for (const name of groups.names) {
    const [account = ''] = accounts[name] ?? [];
    const { leader } = await groups.open(name);
    for (let round = 0; (await sizeOf(servers, leader)) < REPLICA_BYTES; round += 1) {
      await cluster.observer.account(account).transaction(
        (tx) =>
          tx.query(
            `INSERT INTO inserted (account_id, id)
             SELECT $1, 'filler.' || $2 || '.' || n || '.' || md5(n::text) FROM generate_series(1, $3::int) n`,
            [account, String(round), FILLER_ROWS],
          ),
        { timeoutMs: 60_000 },
      );
    }
  }
}

async function sizeOf(servers: Stand['servers'], node: string): Promise<number> {
  const [row] = await servers.query<{ bytes: string }>(
    node,
    'SELECT sum(pg_database_size(oid)) AS bytes FROM pg_database',
  );
  return Number(row?.bytes);
}
