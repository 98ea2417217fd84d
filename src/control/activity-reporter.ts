/**
 * Tells the supervisor that bounded reads happen, so that heartbeats stay frequent where they matter.
 * The first read after a pause is told at once, later ones together: at most one request a second and
 * one in flight, none without reads. A report that fails is dropped: the next read makes another.
 */
import type { Clock } from '../kernel/clock.ts';
import { postReport } from './post-report.ts';
import type { ActivityReport } from './protocol.ts';

const INTERVAL_MS = 1_000;

export interface ActivityReporterOptions {
  readonly url: URL;
  readonly token: string;
  readonly clock: Clock;
}

export class ActivityReporter {
  readonly #options: ActivityReporterOptions;
  readonly #abort = new AbortController();
  #boundedReads = 0;
  #lastSent = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;
  #sending = false;

  constructor(options: ActivityReporterOptions) {
    this.#options = options;
  }

  countBoundedRead(): void {
    this.#boundedReads += 1;
    this.#plan();
  }

  close(): void {
    this.#abort.abort();
    this.#cancelTimer?.();
  }

  #plan(): void {
    if (this.#boundedReads === 0 || this.#sending || this.#cancelTimer !== undefined) return;
    if (this.#abort.signal.aborted) return;
    const { clock } = this.#options;
    const wait = Math.max(0, this.#lastSent + INTERVAL_MS - clock.monotonicMs());
    this.#cancelTimer = clock.schedule(wait, () => {
      this.#cancelTimer = undefined;
      this.#sending = true;
      this.#lastSent = clock.monotonicMs();
      const report = { boundedReads: this.#boundedReads };
      this.#boundedReads = 0;
      void this.#send(report).then(() => {
        this.#sending = false;
        this.#plan();
      });
    });
  }

  #send(report: ActivityReport): Promise<void> {
    const { url, token } = this.#options;
    return postReport({ url, token, signal: this.#abort.signal }, report);
  }
}
