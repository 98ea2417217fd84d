/** Which groups the declared ranges are in. Pure. */
import { present } from '../kernel/assert.ts';
import type { GroupSpec } from './node.ts';
import type { GroupName } from './position.ts';
import type { Region } from './region.ts';
import { residencyOf } from './residency.ts';

/**
 * One entry for each range. Dealt out over the regions first, so that more ranges rename none: the first stays
 * where it is. Behind all of them one for each group of a residency.
 */
export function dealtRanges(
  regions: readonly Region[],
  groups: readonly GroupSpec[],
  rangesPerRegion: number,
): readonly GroupName[] {
  const dealt = Array.from({ length: rangesPerRegion }, (_, round) =>
    regions.map((region) => {
      const local = groups.filter(
        (group) => group.homeRegion === region.name && residencyOf(group) === null,
      );
      return present(local[round % local.length], 'a group of the region').name;
    }),
  ).flat();
  const pinned = groups.filter((group) => residencyOf(group) !== null);
  return [...dealt, ...pinned.map(({ name }) => name)];
}
