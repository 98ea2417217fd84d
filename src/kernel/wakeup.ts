/**
 * A bell for loops that look at the state of things again: whoever changes something rings, whoever
 * waits looks at once instead of at its next turn. A ring that nobody waits for is kept for the next.
 */
import type { Clock } from './clock.ts';
import { firstOf } from './signal.ts';

export class Wakeup {
  #rung = false;
  #waiting: AbortController | undefined;

  ring(): void {
    this.#rung = true;
    this.#waiting?.abort();
  }

  /** Resolves when it rings, after `ms`, or when the signal aborts; never rejects. One waiter at a time. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const waiting = new AbortController();
      this.#waiting = waiting;
      using either = firstOf(waiting.signal, signal);
      await clock.sleep(ms, either.signal).catch(() => {});
      this.#waiting = undefined;
    }
    this.#rung = false;
  }
}
