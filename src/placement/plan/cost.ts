/** What bytes between regions cost, where prices are declared. Pure. */
import type { Prices } from '../../topology/declared.ts';
import { regionPair } from '../../topology/region.ts';
import type { BytesBetween, PlanStep } from './change.ts';

const GIGABYTE = 1e9;

export function copiesOf(steps: readonly PlanStep[]): readonly BytesBetween[] {
  return steps.flatMap((step) => ('copies' in step ? step.copies : []));
}

/** In the currency of the prices; undefined without any. */
export function costOf(
  copies: readonly BytesBetween[],
  prices: Prices | undefined,
): number | undefined {
  if (prices === undefined) return undefined;
  return copies.reduce((sum, { from, to, bytes }) => {
    const price = prices.perGigabyte[regionPair(from, to)] ?? prices.otherPerGigabyte;
    return sum + (from === to ? 0 : (bytes / GIGABYTE) * price);
  }, 0);
}
