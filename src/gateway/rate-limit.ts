/**
 * Token buckets by key, in bounded memory. Pure: time is given.
 *
 * One number a key is enough (the generic cell rate algorithm): the time at which the bucket will be
 * full again. A key that has been full is worth nothing, so keys live in two generations that take
 * turns every `burst / rate` seconds, and what was not asked for during a whole turn is dropped
 * without a trace. Only when more than `keysMax` keys are in use does dropping cost something: keys
 * not asked for since the last turn start with a full bucket again. It never refuses wrongly.
 */
import type { RateLimit } from './options.ts';

export class TokenBuckets {
  readonly limit: RateLimit;
  readonly #intervalMs: number;
  readonly #windowMs: number;
  readonly #generationMax: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #turnedAtMs = 0;

  constructor(limit: RateLimit, keysMax: number) {
    this.limit = limit;
    this.#intervalMs = 1_000 / limit.ratePerSecond;
    this.#windowMs = this.#intervalMs * limit.burst;
    this.#generationMax = Math.max(1, Math.floor(keysMax / 2));
  }

  /** Keys held; at most `keysMax`. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Takes one; the milliseconds to wait when there is none, else 0. `nowMs` must not go back. */
  take(key: string, nowMs: number): number {
    this.#turn(nowMs);
    const fullAtMs = Math.max(this.#young.get(key) ?? this.#old.get(key) ?? 0, nowMs);
    const nextMs = fullAtMs + this.#intervalMs;
    // The slack is for sums of fractions, such as ten times 0.1.
    const waitMs = nextMs - nowMs - this.#windowMs;
    const refused = waitMs > 1e-6 * this.#windowMs;
    // A key that is refused stays in use: else its flood would earn it a fresh bucket.
    this.#young.set(key, refused ? fullAtMs : nextMs);
    return refused ? waitMs : 0;
  }

  #turn(nowMs: number): void {
    if (nowMs - this.#turnedAtMs < this.#windowMs && this.#young.size < this.#generationMax) return;
    const idle = nowMs - this.#turnedAtMs >= 2 * this.#windowMs;
    this.#old = idle ? new Map<string, number>() : this.#young;
    this.#young = new Map();
    this.#turnedAtMs = nowMs;
  }
}
