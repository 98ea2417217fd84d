/** Where the accounts of a region go that is left. Pure. */
import { meanRoundTripMs, sum, type Distances } from './preference.ts';

export interface Leaving {
  /** The region that is left. */
  readonly from: number;
  /** Regions that take accounts. */
  readonly allowed: ReadonlySet<number>;
  readonly distances: Distances;
}

/**
 * The nearest to where the account is used; of one that nobody has used lately, the nearest to where it was. Among
 * equally near ones the first. Undefined: no region takes accounts.
 *
 * @param accesses by client region; undefined: not known
 */
export function homeAfter(
  { from, allowed, distances }: Leaving,
  accesses: readonly number[] | undefined,
): number | undefined {
  const known = accesses !== undefined && sum(accesses) > 0;
  const used = known ? accesses : distances.map((_, region) => (region === from ? 1 : 0));
  let best: number | undefined;
  let bestMs = Number.POSITIVE_INFINITY;
  for (const to of [...allowed].sort((a, b) => a - b)) {
    if (to === from) continue;
    const ms = meanRoundTripMs(used, distances, to);
    if (ms < bestMs) [best, bestMs] = [to, ms];
  }
  return best;
}
