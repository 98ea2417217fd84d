/**
 * Time as a port. Nothing outside the kernel reads `Date` or sets timers directly, so that tests and
 * simulations can own time.
 */
import { MeridianError } from './errors.ts';

export interface Clock {
  /** Milliseconds since 1970 (wall time; may jump). */
  now(): number;
  /** Milliseconds from an arbitrary origin; never goes back. Use it for durations and deadlines. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with ERR_ABORTED when the signal aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls once after `ms`; the returned function cancels it. Does not keep the process alive. */
  schedule(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const aborted = (): void => {
        clearTimeout(timer);
        reject(new MeridianError('ERR_ABORTED', 'the wait was aborted', { cause: signal?.reason }));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      }, ms);
      if (signal?.aborted === true) aborted();
      else signal?.addEventListener('abort', aborted, { once: true });
    }),
  schedule: (ms, call) => {
    const timer = setTimeout(call, ms);
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Asks `check` until it gives a value, or fails with ERR_START_TIMEOUT naming what was awaited. */
export async function waitUntil<T>(
  clock: Clock,
  options: {
    readonly what: string;
    readonly timeoutMs: number;
    readonly intervalMs?: number;
    readonly signal?: AbortSignal;
  },
  check: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = clock.monotonicMs() + options.timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined) return value;
    if (clock.monotonicMs() >= deadline) {
      throw new MeridianError(
        'ERR_START_TIMEOUT',
        `waited ${String(options.timeoutMs)} ms for ${options.what}`,
      );
    }
    await clock.sleep(options.intervalMs ?? 20, options.signal);
  }
}
