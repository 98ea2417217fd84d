/** Processes and machines that stand still, and may wake. */
import {
  leader,
  followers,
  pause,
  heal,
  stop,
  tail,
  outlasted,
  type MoveKind,
} from './building.ts';

export const stops: readonly MoveKind[] = [
  {
    name: 'stop the leader process, and let it wake',
    kinds: ['stop'],
    place: false,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      stop(leader(aim), 'process'),
      ...outlasted(aim, 2_000, 6_000),
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
      ...outlasted(aim, 2_000, 6_000),
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
