/**
 * The catalogue of moves: each the shape of an accident that has cost somebody data. Pure; times are
 * drawn from the seed.
 *
 * A move leaves at most one member of a group down for long. Those that take more (both followers
 * stopped, a successor killed beside its predecessor) are over within seconds: the group may close
 * meanwhile, and must not lie.
 */
import type { Move } from './steps.ts';
import type { Aim, MoveKind } from './moves/building.ts';
import { arrivals } from './moves/arrivals.ts';
import { kills } from './moves/kills.ts';
import { others } from './moves/others.ts';
import { partitions } from './moves/partitions.ts';
import { ranges } from './moves/ranges.ts';
import { stops } from './moves/stops.ts';

export const MOVES: readonly MoveKind[] = [
  ...kills,
  ...stops,
  ...partitions,
  ...others,
  ...arrivals,
];
/** One at a time, beside those of the groups. */
export const RANGE_MOVES: readonly MoveKind[] = ranges;

export function moveOf(kind: MoveKind, aim: Aim): Move {
  return { name: kind.name, kind: kind.kinds[0], steps: kind.steps(aim) };
}
