/** Processes and machines that end. */
import { between } from '../../seed.ts';
import {
  leader,
  follower,
  followers,
  pause,
  heal,
  reopened,
  kill,
  tail,
  type MoveKind,
} from './building.ts';

export const kills: readonly MoveKind[] = [
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
    // What was decided and not carried out everywhere yet is for others to carry out. It takes a place
    // that is slow to hear of it, or there would be hardly a moment for that.
    name: 'kill app servers while what they have decided is on its way',
    kinds: ['crash', 'slow'],
    place: true,
    steps: (aim) => [
      { do: 'slow', who: leader(aim), addMs: between(aim.random, 400, 700) },
      pause(aim, 2_000, 3_000),
      kill({ of: 'apps' }, 'process'),
      pause(aim, 1_500, 2_500),
      kill({ of: 'apps' }, 'process'),
      pause(aim, 500, 1_000),
      heal,
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
