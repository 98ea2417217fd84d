/**
 * The catalogue of moves: each the shape of an accident that has cost somebody data. Pure; times are
 * drawn from the seed.
 *
 * A move leaves at most one member of a group down for long. Those that take more (both followers
 * stopped, a successor killed beside its predecessor) are over within seconds: the group may close
 * meanwhile, and must not lie.
 */
import type { Random } from '../../kernel/random.ts';
import { between } from '../seed.ts';
import type { FaultKind, Move, Step, Who } from './steps.ts';

export interface Aim {
  readonly group: string;
  readonly region: string;
  readonly random: Random;
}

export interface MoveKind {
  readonly name: string;
  /** The first is what it counts as; it is played only if all were asked for. (Cancels come whole.) */
  readonly kinds: readonly [FaultKind, ...FaultKind[]];
  /** Touches a place: with region survival every group has a voter there. */
  readonly place: boolean;
  /** What must be there: non-voters, or voters in the zones of one region. */
  readonly needs?: 'non-voter' | 'zones';
  steps(aim: Aim): readonly Step[];
}

/** Clocks of servers are taken to agree within this: offsets in both directions stay in it together. */
export const SKEW_MAX_MS = 100;
const REOPEN_MS = 6_000;
/** The default lease (3 s), and what clocks may be apart here. */
const LEASE_OVER_MS = 3_000 + 2 * SKEW_MAX_MS + 300;

const leader = ({ group }: Aim): Who => ({ of: 'leader', group });
const follower = ({ group }: Aim): Who => ({ of: 'follower', group });
const followers = ({ group }: Aim): Who => ({ of: 'followers', group });
const pause = ({ random }: Aim, least: number, most: number): Step => ({
  do: 'pause',
  ms: between(random, least, most),
});
const heal: Step = { do: 'heal' };
const reopened = ({ group }: Aim, timeoutMs = REOPEN_MS): Step => ({
  do: 'await-open',
  group,
  timeoutMs,
});
const kill = (who: Who, as: 'process' | 'node'): Step => ({ do: 'kill', who, as });
const stop = (who: Who, as: 'process' | 'node'): Step => ({ do: 'stop', who, as });

const kills: readonly MoveKind[] = [
  {
    name: 'kill the leader process',
    kinds: ['crash'],
    place: false,
    steps: (aim) => [kill(leader(aim), 'process'), reopened(aim)],
  },
  {
    name: "kill the leader's node",
    kinds: ['kill'],
    place: false,
    steps: (aim) => [kill(leader(aim), 'node'), pause(aim, 1_000, 6_000), heal],
  },
  {
    name: "kill the leader's node, then its successor's",
    kinds: ['kill'],
    place: false,
    steps: (aim) => [
      kill(leader(aim), 'node'),
      reopened(aim),
      pause(aim, 0, 1_500),
      heal,
      kill(leader(aim), 'node'),
      pause(aim, 1_000, 3_000),
      heal,
    ],
  },
  {
    name: 'kill the leader process twice',
    kinds: ['crash'],
    place: false,
    steps: (aim) => [
      kill(leader(aim), 'process'),
      reopened(aim),
      pause(aim, 0, 300),
      kill(leader(aim), 'process'),
      reopened(aim),
    ],
  },
  {
    name: 'kill an app server, then the leader process',
    kinds: ['crash'],
    place: false,
    steps: (aim) => [
      kill({ of: 'app', region: aim.region }, 'process'),
      pause(aim, 0, 80),
      kill(leader(aim), 'process'),
      reopened(aim),
    ],
  },
  {
    name: 'kill an app server and the gateway',
    kinds: ['crash'],
    place: false,
    steps: (aim) => [
      kill({ of: 'app', region: aim.region }, 'process'),
      pause(aim, 0, 500),
      kill({ of: 'gateway', region: aim.region }, 'process'),
      pause(aim, 500, 1_500),
    ],
  },
  {
    name: 'kill a non-voter',
    kinds: ['kill'],
    place: false,
    needs: 'non-voter',
    steps: (aim) => [
      kill({ of: 'non-voter', group: aim.group }, 'node'),
      pause(aim, 500, 2_000),
      heal,
    ],
  },
  {
    // What they had received is lost with them, unlike that of stopped ones, which is in their sockets:
    // commits of now are on the leader's disk alone, and must not have been acknowledged.
    name: 'kill both voting followers, then the leader',
    kinds: ['kill'],
    place: false,
    steps: (aim) => [
      kill(followers(aim), 'node'),
      pause(aim, 300, 900),
      kill(leader(aim), 'node'),
      { do: 'heal', of: 'followers' },
      pause(aim, 1_500, 3_000),
      heal,
    ],
  },
  {
    name: 'an unacknowledged tail with both followers gone, and a restart',
    kinds: ['kill'],
    place: false,
    steps: (aim) => tail(aim, [kill(followers(aim), 'node')], { do: 'heal', of: 'followers' }),
  },
  {
    // The other one alone has confirmed what came meanwhile: whoever asks only one may elect this one.
    name: 'a voter was down for a while when the leader dies',
    kinds: ['kill'],
    place: false,
    steps: (aim) => [
      kill(follower(aim), 'node'),
      pause(aim, 700, 2_500),
      kill(leader(aim), 'node'),
      pause(aim, 0, 400),
      { do: 'heal', of: 'follower' },
      pause(aim, 1_500, 3_500),
      heal,
    ],
  },
  {
    name: 'kill a voting follower',
    kinds: ['kill'],
    place: false,
    steps: (aim) => [kill(follower(aim), 'node'), pause(aim, 500, 3_000), heal],
  },
];

const stops: readonly MoveKind[] = [
  {
    name: 'stop the leader process, and let it wake',
    kinds: ['stop'],
    place: false,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      stop(leader(aim), 'process'),
      pause(aim, 2_000, 6_000),
      heal,
      pause(aim, 300, 800),
      { do: 'hear' },
    ],
  },
  {
    name: "stop the leader's node, and let it wake",
    kinds: ['stop'],
    place: false,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      stop(leader(aim), 'node'),
      pause(aim, 2_000, 6_000),
      heal,
      pause(aim, 300, 800),
      { do: 'hear' },
    ],
  },
  {
    name: 'stop both voting followers',
    kinds: ['stop'],
    place: false,
    steps: (aim) => [stop(followers(aim), 'process'), pause(aim, 1_000, 3_000), heal],
  },
  {
    name: 'an unacknowledged tail behind stopped followers, and a restart',
    kinds: ['kill', 'stop'],
    place: false,
    steps: (aim) => tail(aim, [stop(followers(aim), 'process')], { do: 'heal', only: 'stop' }),
  },
];

/**
 * Commits hang on the leader alone; its process ends and comes back with them on its disk. What clients
 * are shown then must not be lost with that disk.
 */
function tail(aim: Aim, isolate: readonly Step[], join: Step): Step[] {
  return [
    ...isolate,
    pause(aim, 300, 700),
    kill(leader(aim), 'process'),
    // It must not come, so all of it is waited for: a restart takes seconds on a busy machine.
    { do: 'await-open', group: aim.group, timeoutMs: 4_000, orGoOn: true },
    pause(aim, 400, 900),
    kill(leader(aim), 'node'),
    join,
    pause(aim, 1_500, 3_000),
    heal,
  ];
}

const cut = (who: Who, way: 'both' | 'out' | 'in' = 'both'): Step => ({ do: 'cut', who, way });

const partitions: readonly MoveKind[] = [
  {
    name: "cut off the leader's place",
    kinds: ['partition'],
    place: true,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      cut(leader(aim)),
      pause(aim, 3_000, 7_000),
      heal,
      pause(aim, 200, 600),
      { do: 'hear' },
    ],
  },
  {
    name: "cut one way at the leader's place",
    kinds: ['partition'],
    place: true,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      cut(leader(aim), aim.random.below(2) === 0 ? 'out' : 'in'),
      pause(aim, 2_000, 5_000),
      heal,
    ],
  },
  {
    name: 'a voter lags behind a cut when the leader dies',
    kinds: ['partition', 'kill'],
    place: true,
    steps: (aim) => [
      cut(follower(aim)),
      pause(aim, 700, 2_500),
      kill(leader(aim), 'node'),
      pause(aim, 0, 400),
      { do: 'heal', only: 'cut' },
      pause(aim, 1_500, 3_500),
      heal,
    ],
  },
  {
    // The arbiter reaches everybody, so a successor is elected; but no voter can follow it, so it must
    // not open. If it did, what it served would be lost with it: the other two can go on without it.
    name: 'a successor that nobody confirms, and its loss',
    kinds: ['partition', 'kill'],
    place: true,
    needs: 'zones',
    steps: (aim) => [
      { do: 'separate', who: follower(aim) },
      pause(aim, 600, 1_500),
      kill(leader(aim), 'node'),
      { do: 'await-open', group: aim.group, timeoutMs: REOPEN_MS },
      pause(aim, 400, 900),
      kill(leader(aim), 'node'),
      { do: 'heal', only: 'separate' },
      pause(aim, 1_500, 3_000),
      heal,
    ],
  },
  {
    name: 'an unacknowledged tail behind a cut, and a restart',
    kinds: ['partition', 'kill'],
    place: true,
    steps: (aim) => tail(aim, [cut(followers(aim))], { do: 'heal', only: 'cut' }),
  },
];

const others: readonly MoveKind[] = [
  {
    // A cancelled wait makes a commit visible that no other voter has: nobody may look at it who could
    // tell. So the lease runs out first, behind a cut: after that only those who wait already are answered.
    name: 'cancelled quorum waits, then the loss of the leader',
    kinds: ['cancel'],
    place: true,
    steps: (aim) => [
      kill(followers(aim), 'node'),
      pause(aim, 150, 300),
      cut(leader(aim)),
      pause(aim, LEASE_OVER_MS, LEASE_OVER_MS + 500),
      { do: 'cancel-waits', group: aim.group, forMs: between(aim.random, 300, 600) },
      kill(leader(aim), 'node'),
      { do: 'heal', only: 'cut' },
      { do: 'heal', of: 'followers' },
      pause(aim, 1_500, 3_000),
      heal,
    ],
  },
  {
    name: 'switchover',
    kinds: ['switchover'],
    place: false,
    steps: (aim) => [{ do: 'switchover', group: aim.group }, pause(aim, 200, 1_000)],
  },
  {
    name: 'switchover, and the new leader dies',
    kinds: ['switchover', 'kill'],
    place: false,
    steps: (aim) => [
      { do: 'switchover', group: aim.group },
      pause(aim, 0, 300),
      kill(leader(aim), 'node'),
      pause(aim, 1_500, 3_000),
      heal,
    ],
  },
  {
    name: "a slow link at the leader's place",
    kinds: ['slow'],
    place: true,
    steps: (aim) => [
      { do: 'slow', who: leader(aim), addMs: between(aim.random, 30, 250) },
      pause(aim, 2_000, 5_000),
      heal,
    ],
  },
  {
    name: "the leader's clock is wrong",
    kinds: ['skew'],
    place: false,
    steps: (aim) => [
      { do: 'skew', who: leader(aim), offsetMs: offset(aim) },
      pause(aim, 2_000, 5_000),
      heal,
    ],
  },
  {
    name: "the leader's clock is wrong when it is stopped",
    kinds: ['skew', 'stop'],
    place: false,
    steps: (aim) => [
      { do: 'skew', who: leader(aim), offsetMs: offset(aim) },
      { do: 'deafen', who: leader(aim) },
      stop(leader(aim), 'process'),
      pause(aim, 2_000, 4_500),
      { do: 'heal', only: 'stop' },
      pause(aim, 300, 800),
      heal,
    ],
  },
  {
    name: 'restart the leader',
    kinds: ['restart'],
    place: false,
    steps: (aim) => [{ do: 'restart', who: leader(aim), as: 'process' }, reopened(aim)],
  },
  {
    name: 'restart an app server',
    kinds: ['restart'],
    place: false,
    steps: (aim) => [
      { do: 'restart', who: { of: 'app', region: aim.region }, as: 'process' },
      pause(aim, 300, 1_000),
    ],
  },
];

function offset({ random }: Aim): number {
  return between(random, SKEW_MAX_MS / 5, SKEW_MAX_MS) * (random.below(2) === 0 ? 1 : -1);
}

export const MOVES: readonly MoveKind[] = [...kills, ...stops, ...partitions, ...others];

export function moveOf(kind: MoveKind, aim: Aim): Move {
  return { name: kind.name, kind: kind.kinds[0], steps: kind.steps(aim) };
}
