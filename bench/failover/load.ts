/** Closed-loop writers at some doors: who answered what when, and what was refused. */
import { setMaxListeners } from 'node:events';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Door } from '../../src/verify/doors.ts';

export interface Ack {
  readonly account: string;
  readonly endedMs: number;
  /** Who answered. */
  readonly node: string | undefined;
}

export interface LoadOn {
  readonly doors: readonly Door[];
  readonly accounts: readonly string[];
  readonly writers: number;
  /** Between an answer and the next request of a writer. */
  readonly thinkMs: number;
}

const PATIENCE_MS = 60_000;

let rows = 0;

export class Load implements AsyncDisposable {
  readonly acks: Ack[] = [];
  /** By code. */
  readonly failed: Record<string, number> = {};
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  #waiting: (() => void)[] = [];

  constructor({ doors, accounts, writers, thinkMs }: LoadOn) {
    const { signal } = this.#stop;
    setMaxListeners(0, signal);
    this.#running = Promise.all(
      Array.from({ length: writers }, async (_, index) => {
        // Not in step.
        await systemClock.sleep((thinkMs * index) / writers);
        while (!signal.aborted) {
          const [door, account] = [doors[index % doors.length], accounts[index % accounts.length]];
          if (door === undefined || account === undefined) throw new Error('nobody to write');
          await this.#write(door, account);
          await systemClock.sleep(thinkMs, signal).catch(() => {});
        }
      }),
    );
  }

  /** The first one that fits, from those that are acknowledged from now on. */
  async next(fits: (ack: Ack) => boolean = () => true): Promise<Ack> {
    const endMs = performance.now() + PATIENCE_MS;
    const wake = setInterval(() => {
      this.#wake();
    }, 1_000);
    try {
      for (let at = this.acks.length; ;) {
        const ack = this.acks[at];
        if (ack === undefined) {
          if (performance.now() > endMs) {
            throw new Error(`nothing was acknowledged: ${JSON.stringify(this.failed)}`);
          }
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        } else if (fits(ack)) return ack;
        else at += 1;
      }
    } finally {
      clearInterval(wake);
    }
  }

  /** The longest time without an acknowledgement, between two moments. */
  longestPauseMs(fromMs: number, untilMs: number): number {
    return this.longestPause(fromMs, untilMs).pauseMs;
  }

  /** When it began, too; of all acknowledgements, or of some. */
  longestPause(
    fromMs: number,
    untilMs: number,
    of: (ack: Ack) => boolean = () => true,
  ): { readonly sinceMs: number; readonly pauseMs: number } {
    const times = this.acks
      .filter(of)
      .map(({ endedMs }) => endedMs)
      .filter((ms) => ms >= fromMs && ms <= untilMs);
    let [lastMs, longest] = [fromMs, { sinceMs: fromMs, pauseMs: 0 }];
    for (const ms of [...times, untilMs]) {
      if (ms - lastMs > longest.pauseMs) longest = { sinceMs: lastMs, pauseMs: ms - lastMs };
      lastMs = ms;
    }
    return longest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #write(door: Door, account: string): Promise<void> {
    rows += 1;
    const answer = await door.send({ kind: 'insert', account, id: String(rows) });
    if (answer.outcome === 'ok') {
      this.acks.push({ account, endedMs: performance.now(), node: answer.node });
    } else this.failed[answer.code] = (this.failed[answer.code] ?? 0) + 1;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
