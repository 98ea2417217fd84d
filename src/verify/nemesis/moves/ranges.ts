/**
 * Ranges on their way to other groups. They have a lane of their own, beside those of the groups, so that
 * the groups fail meanwhile as it comes.
 */
import { pause, leader, type Aim, type MoveKind } from './building.ts';
import type { Step } from '../steps.ts';

const begun = ({ group }: Aim): Step => ({ do: 'begin-move', group });
const ended: Step = { do: 'end-move' };
const pick = ({ random }: Aim): number => random.below(1_000);

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
  {
    name: 'accounts are re-homed',
    kinds: ['rehome'],
    place: false,
    steps: (aim) => [
      { do: 'begin-rehome', group: aim.group, pick: pick(aim) },
      ended,
      pause(aim, 200, 1_000),
    ],
  },
  {
    name: 'accounts are re-homed, and clients beside the leader do not hear of it',
    kinds: ['rehome'],
    place: false,
    steps: (aim) => [
      { do: 'deafen', who: leader(aim) },
      { do: 'begin-rehome', group: aim.group, pick: pick(aim) },
      ended,
      pause(aim, 500, 2_000),
      { do: 'hear' },
    ],
  },
  {
    // It must be refused, or the checkers see where they are.
    name: 'accounts are asked to leave their residency',
    kinds: ['rehome'],
    place: false,
    needs: 'pinned',
    steps: (aim) => [
      { do: 'begin-rehome', group: aim.group, pick: pick(aim), pinned: true },
      ended,
      pause(aim, 200, 1_000),
    ],
  },
  {
    name: 'an account is split off',
    kinds: ['split'],
    place: false,
    steps: (aim) => [{ do: 'begin-split', pick: pick(aim) }, ended, pause(aim, 200, 1_000)],
  },
  {
    name: 'an account is split off, and its range is merged',
    kinds: ['merge'],
    place: false,
    steps: (aim) => [
      { do: 'begin-split', pick: pick(aim) },
      ended,
      pause(aim, 200, 1_000),
      { do: 'begin-merge' },
      ended,
    ],
  },
];
