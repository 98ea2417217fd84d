/** What the effects of a move share: what is being moved, and how far this attempt has come. */
import type pg from 'pg';
import { MeridianError } from '../../../kernel/errors.ts';
import type { GroupName, Token } from '../../../topology/position.ts';
import type { RangeName } from '../../../topology/routing.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import type { RangePlaces } from '../routes.ts';

/** How far a sequence has come: rows are followed, sequences are not. */
export interface SequenceState {
  readonly name: string;
  readonly last_value: string;
}

/** Two connections, each in a transaction that sees the moment of the handover. */
export interface ComparisonPoint {
  readonly source: pg.Client;
  readonly target: pg.Client;
}

export interface Moving {
  readonly cluster: Cluster;
  readonly ranges: RangePlaces;
  readonly range: RangeName;
  readonly from: GroupName;
  readonly to: GroupName;
  /** Of this attempt alone: nothing of an earlier one can be taken for it. */
  attemptName: string;
  /** The epochs of both groups when the copy was begun: a change of either makes it worthless. */
  epochs: string | undefined;
  targetGroupEpoch: number;
  /** At which the target will open. */
  rangeEpoch: number;
  sequences: readonly SequenceState[];
  /** Where former groups have closed the range, this source last. */
  origins: Token;
  /** Both sides at the moment of the handover; let go of when they were compared. */
  comparison: ComparisonPoint | undefined;
  /** Why it is not, or not only, where it was to go. */
  failure: MeridianError | undefined;
  /** The operator does not want it any more. */
  cancelled: boolean;
  onProgress(doneBytes: number, totalBytes: number): void;
}

export function sourceOf({ cluster, from }: Moving): ClusterGroup {
  return cluster.group(from);
}

export function targetOf({ cluster, to }: Moving): ClusterGroup {
  return cluster.group(to);
}

/** Throws unless both groups have a leader that the control side reaches. */
export function checkOpen(moving: Moving): void {
  for (const group of [sourceOf(moving), targetOf(moving)]) {
    if (group.open && moving.cluster.reaches(group.leader)) continue;
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${group.spec.name} is not open`);
  }
}

export function epochsOf(moving: Moving): string {
  return [sourceOf(moving), targetOf(moving)]
    .map(({ leader, epoch, open }) => [leader, epoch, open].join(' '))
    .join(', ');
}

/** Throws when it is no use to go on with this attempt. */
export function checkAttempt(moving: Moving): void {
  moving.cluster.notStopping();
  if (moving.cancelled) {
    throw new MeridianError('ERR_ABORTED', `the move of ${moving.range} was cancelled`);
  }
  if (epochsOf(moving) === moving.epochs) return;
  throw new MeridianError(
    'ERR_ENGINE_UNAVAILABLE',
    `a leader changed while ${moving.range} was copied`,
  );
}

/** Publication and subscription; the slot and the markers have the attempt's name. */
export function streamName(range: RangeName): string {
  return `meridian_move_${range}`;
}
