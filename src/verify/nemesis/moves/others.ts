/** Planned changes, cancelled waits, slow links, wrong clocks, restarts. */
import { between } from '../../seed.ts';
import {
  leader,
  followers,
  pause,
  heal,
  reopened,
  kill,
  stop,
  cut,
  LEASE_OVER_MS,
  SKEW_MAX_MS,
  type Aim,
  type MoveKind,
} from './building.ts';

export const others: readonly MoveKind[] = [
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
