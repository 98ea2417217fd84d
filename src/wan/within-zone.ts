/**
 * Within a zone there is no distance to emulate and no partition to make (docs/decisions/0006): the
 * proxy's hop would only cost time.
 */
import { roundTripMs, type LatencyMatrix } from '../topology/region.ts';
import type { Wan } from './link.ts';

/** The WAN's links between zones, and none within one. */
export function linksOver(wan: Wan, matrix: LatencyMatrix): Pick<Wan, 'link' | 'retarget'> {
  return {
    link: (route) =>
      roundTripMs(matrix, route.from, route.to) === 0 && route.from.zone === route.to.zone
        ? Promise.resolve(route.target)
        : wan.link(route),
    retarget: (old, next) => wan.retarget(old, next),
  };
}
