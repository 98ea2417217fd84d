/**
 * Ranges on their way to other groups. They have a lane of their own, beside those of the groups, so that
 * the groups fail meanwhile as it comes.
 */
import { pause, leader, type Aim, type MoveKind } from './building.ts';
import type { Step } from '../steps.ts';

const begun = ({ group }: Aim): Step => ({ do: 'begin-move', group });
const ended: Step = { do: 'end-move' };

export const ranges: readonly MoveKind[] = [
  {
    name: 'a range moves',
    kinds: ['move'],
    place: false,
    steps: (aim) => [begun(aim), ended, pause(aim, 200, 1_000)],
  },
  {
    // Whoever hears of it last asks a group that does not have it any more.
    name: 'a range moves, and clients beside its leader do not hear of it',
    kinds: ['move'],
    place: false,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      begun(aim),
      ended,
      pause(aim, 500, 2_000),
      { do: 'hear' },
    ],
  },
];
