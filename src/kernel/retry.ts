/** Bounded exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", 2015). */
import type { Random } from './random.ts';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** How long to wait before attempt `attempt` (1 = first retry): uniform in [0, min(max, base·2^(n-1))]. */
export function backoffMs(attempt: number, random: Random, options: BackoffOptions): number {
  const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt - 1, 20));
  return random.next() * ceiling;
}
