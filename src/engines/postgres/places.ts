/**
 * What is stored of the cluster, and so may not change between two declarations of it. Pure.
 *
 * The rows of a range, and the global tables, are where an earlier start put them. A declaration that
 * puts them elsewhere (its regions reordered, one removed, more groups, another primary) would make
 * empty ones there and serve those: every account would seem lost. So it is refused until data can move.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { DesiredState } from '../engine.ts';

export interface StoredGroup {
  readonly leader: string;
  readonly epoch: number;
  /** Its files were on disk once: from then on a missing node is lost data, not a start to repeat. */
  readonly settled: boolean;
  /** The highest number of connections it was started with; see `connectionsMax`. */
  readonly connectionsMax: number;
}

export interface StoredCluster {
  readonly groups: Readonly<Record<string, StoredGroup>>;
  /** Whose database publishes the global tables; absent until the first group has opened. */
  readonly primaryGroup?: string;
  /** Range → the group that holds its rows; written before the range is made. */
  readonly ranges?: Readonly<Record<string, string>>;
}

/** Throws ERR_ENGINE_UNSUPPORTED naming the first thing that would have to move. */
export function checkPlaces(
  stored: StoredCluster,
  desired: Pick<DesiredState, 'groups' | 'primaryGroup' | 'ranges'>,
): void {
  const declared = new Set(desired.groups.map((group) => group.name));
  for (const [name, group] of Object.entries(stored.groups)) {
    if (group.settled && !declared.has(name)) throw refused(`group ${name} would be left out`);
  }
  const { primaryGroup, ranges = {} } = stored;
  if (primaryGroup !== undefined && primaryGroup !== desired.primaryGroup) {
    throw refused(`the global tables would move from ${primaryGroup} to ${desired.primaryGroup}`);
  }
  for (const { name, group } of desired.ranges) {
    const at = ranges[name];
    if (at !== undefined && at !== group) {
      throw refused(`range ${name} would move from ${at} to ${group}`);
    }
  }
  const kept = new Set(desired.ranges.map((range) => range.name));
  const dropped = Object.keys(ranges).find((name) => !kept.has(name));
  if (dropped !== undefined) throw refused(`range ${dropped} would be left out`);
}

function refused(what: string): MeridianError {
  return new MeridianError(
    'ERR_ENGINE_UNSUPPORTED',
    `${what}, and this release cannot move data that is there`,
    {
      remedy:
        'Restore the order and number of `regions`, `primaryRegion`, `groupsPerRegion` and `rangesPerRegion`, or start with --fresh to discard all data.',
    },
  );
}
