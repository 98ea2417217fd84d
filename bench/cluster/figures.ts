/** Medians and the like, of a few figures. Pure. */

export interface Spread {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest rank; undefined of nothing. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** In whole units; undefined of nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const at = (share: number): number => Math.round(quantile(values, share) ?? NaN);
  return { count: values.length, median: at(0.5), p99: at(0.99), max: at(1) };
}
