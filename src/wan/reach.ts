/**
 * Which places the arbiter can reach. Pure.
 *
 * The supervisor is one process, and a partition that it saw through would make no zombies. So it stands
 * for control points, one in each declared region, as the members of a consensus are placed on a fleet:
 * a place is reachable while it is connected, both ways, with a majority of them. A control point is in
 * its region and in no zone: cutting a zone off separates the zone from it, cutting a region off takes
 * it along.
 *
 * Synchronous: the supervisor orders every cut itself, and need not ask the WAN.
 */
import type { Locality, RegionName } from '../topology/region.ts';
import { addRule, cutState, type CutRule } from './cuts.ts';
import type { CutSelector } from './link.ts';

/** No declared zone has this name. */
const NO_ZONE = '';
/** Cuts speak of places here; those of one address do not touch control points. */
const NO_ADDRESS = { host: '', port: 0 };

export function reachUnder(
  cuts: readonly CutSelector[],
  regions: readonly { readonly name: RegionName }[],
): (place: Locality) => boolean {
  if (cuts.length === 0) return () => true;
  const rules = cuts.reduce<readonly CutRule[]>(
    (all, selector) => addRule(all, { verb: 'cut', selector }),
    [],
  );
  return (place) => {
    const connected = regions.filter(({ name }) => {
      const from = { region: name, zone: NO_ZONE };
      return cutState(rules, { from, to: place, target: NO_ADDRESS }) === 'none';
    });
    return connected.length * 2 > regions.length;
  };
}
