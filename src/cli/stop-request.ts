/**
 * Ctrl-C, as a promise of five seconds: the first asks everything to stop in order; the second, or the
 * end of the budget, ends everything at once.
 */
import type { Clock } from '../kernel/clock.ts';
import type { CliIo } from './io.ts';

/** Leaves half a second of the five for the end of this process itself. */
export const STOP_BUDGET_MS = 4_500;
/** A terminal signals the whole process group, and npm passes its copy on: one Ctrl-C may come twice. */
const SAME_KEY_PRESS_MS = 400;
/** 128 + SIGINT, as shells have it. */
export const EXIT_FORCED = 130;

export class StopRequest implements Disposable {
  readonly #asked = new AbortController();
  #kills: readonly (() => void)[] = [];
  readonly #io: CliIo;
  readonly #unsubscribe: () => void;
  #cancelBudget: () => void = () => {};

  constructor(io: CliIo, clock: Clock) {
    this.#io = io;
    let askedAtMs = 0;
    this.#unsubscribe = io.onStopSignal(() => {
      if (this.#asked.signal.aborted) {
        if (clock.monotonicMs() - askedAtMs > SAME_KEY_PRESS_MS) this.#force('asked again');
        return;
      }
      askedAtMs = clock.monotonicMs();
      this.#cancelBudget = clock.schedule(STOP_BUDGET_MS, () => {
        this.#force('not stopped in time');
      });
      this.#asked.abort();
    });
  }

  /** Aborted by the first Ctrl-C. */
  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** Called, newest first, when there is no more time to stop in order. Gives what takes it back. */
  onForce(kill: () => void): () => void {
    this.#kills = [...this.#kills, kill];
    return () => {
      this.#kills = this.#kills.filter((one) => one !== kill);
    };
  }

  #force(why: string): void {
    this.#io.stderr.write(`meridian: ${why}; ending every process now.\n`);
    for (const kill of this.#kills.toReversed()) {
      try {
        kill();
      } catch {
        // The others must still be ended, and this process too.
      }
    }
    this.#io.exitNow(EXIT_FORCED);
  }

  [Symbol.dispose](): void {
    this.#cancelBudget();
    this.#unsubscribe();
  }
}
