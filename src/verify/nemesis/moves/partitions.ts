/** Places that others cannot reach. */
import {
  leader,
  follower,
  followers,
  pause,
  heal,
  kill,
  tail,
  cut,
  REOPEN_MS,
  outlasted,
  type MoveKind,
} from './building.ts';

export const partitions: readonly MoveKind[] = [
  {
    name: "cut off the leader's place",
    kinds: ['partition'],
    place: true,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      cut(leader(aim)),
      ...outlasted(aim, 3_000, 7_000),
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
