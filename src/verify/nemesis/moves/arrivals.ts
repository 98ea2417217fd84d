/**
 * Ranges that come to a group while its leader is struck: what has arrived is not confirmed by a quorum
 * until the range opens there. They take the lane of that group, since they strike it.
 */
import { heal, kill, leader, pause, REOPEN_MS, type Aim, type MoveKind } from './building.ts';
import type { Step } from '../steps.ts';

const coming = ({ group }: Aim): Step => ({ do: 'begin-move', into: group });
const ended: Step = { do: 'end-move' };

export const arrivals: readonly MoveKind[] = [
  {
    name: 'a range comes, and its new leader dies',
    kinds: ['move', 'kill'],
    place: false,
    steps: (aim) => [
      coming(aim),
      pause(aim, 100, 1_500),
      kill(leader(aim), 'node'),
      { do: 'await-open', group: aim.group, timeoutMs: REOPEN_MS },
      heal,
      ended,
    ],
  },
  {
    // What arrives at a leader without followers is lost with it, and was told to have arrived.
    name: 'a range comes to a leader that nobody follows, and it dies',
    kinds: ['move', 'partition', 'kill'],
    place: true,
    steps: (aim) => [
      coming(aim),
      pause(aim, 200, 1_500),
      { do: 'separate', who: leader(aim) },
      pause(aim, 800, 2_500),
      kill(leader(aim), 'node'),
      { do: 'heal', only: 'separate' },
      { do: 'await-open', group: aim.group, timeoutMs: REOPEN_MS },
      heal,
      ended,
    ],
  },
];
