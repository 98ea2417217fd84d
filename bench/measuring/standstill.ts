/**
 * How long this process itself stood still: a driver that does not run cannot see who answers. On a machine that
 * others use, too, that happens, and it is not what is measured.
 */

const TICK_MS = 10;
/** Less is how timers are. */
const LATE_MS = 20;

export class Standstill implements Disposable {
  readonly #stalls: { readonly sinceMs: number; readonly untilMs: number }[] = [];
  readonly #timer: NodeJS.Timeout;
  #tickedMs = performance.now();

  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      const lateMs = nowMs - this.#tickedMs - TICK_MS;
      if (lateMs > LATE_MS) this.#stalls.push({ sinceMs: nowMs - lateMs, untilMs: nowMs });
      this.#tickedMs = nowMs;
    }, TICK_MS);
  }

  /** Of the time between two moments. */
  within(fromMs: number, untilMs: number): number {
    return this.#stalls.reduce((sum, stall) => {
      const overlapMs = Math.min(untilMs, stall.untilMs) - Math.max(fromMs, stall.sinceMs);
      return sum + Math.max(0, overlapMs);
    }, 0);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
