/**
 * What may not change between two declarations of one installation. Pure.
 *
 * The rows of a range, and the global tables, are where an earlier start put them. A declaration that
 * puts them elsewhere (its regions reordered, one removed, more groups, another primary) would make
 * empty ones there and serve those: every account would seem lost. So it is refused until data can move.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { DesiredState } from '../engine.ts';
import type { StoredCluster } from './cluster.ts';

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
