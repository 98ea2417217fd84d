/**
 * One direction of one connection: bytes read from `source` are written to the destination after the
 * delay, in order, with its end (FIN) and its break (RST) travelling at their place among them.
 *
 * Invariants: nothing is lost, reordered or invented; at most WINDOW_BYTES (and WINDOW_CHUNKS) wait
 * here, then the source is not read any more, so that TCP pushes back as over a real path; at most one
 * timer is armed, for the head of the queue, and none when the queue is empty or the delay is 0.
 * While stalled (a cut), the queue only grows up to the window.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../kernel/clock.ts';

/** Fills a one-way path of 100 ms at 80 MiB/s, as a well-tuned socket would. */
export const WINDOW_BYTES = 8 * 1024 * 1024;
export const WINDOW_CHUNKS = 16_384;
/** Timers tick in milliseconds: what is due within half of one is due. */
const TICK_HALF_MS = 0.5;
const COMPACT_AFTER = 1_024;

const FIN = Symbol('end of the stream');
const RST = Symbol('break of the connection');
type Item = Buffer | typeof FIN | typeof RST;

export interface DelayLineOptions {
  readonly clock: Clock;
  readonly source: Socket;
  readonly delayMs: number;
  readonly onForwarded: (bytes: number) => void;
}

export class DelayLine {
  readonly #options: DelayLineOptions;
  #destination: Socket | undefined;
  // Two parallel arrays and a head instead of one object per chunk.
  #items: Item[] = [];
  #dues: number[] = [];
  #head = 0;
  #queuedBytes = 0;
  /** Nothing leaves before this moment: the handshake's round trip. */
  #notBefore = 0;
  #delayMs: number;
  #stalled = false;
  #sourcePaused = false;
  #sourceOver = false;
  /** The destination's own buffer is full. */
  #blocked = false;
  #closed = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: DelayLineOptions) {
    this.#options = options;
    this.#delayMs = options.delayMs;
    const { source } = options;
    source.on('data', (chunk: Buffer) => {
      this.#push(chunk);
    });
    source.on('end', () => {
      this.#sourceOver = true;
      this.#push(FIN);
    });
    source.on('error', () => {
      // 'close' follows and says what there is to say.
    });
    source.on('close', (broken) => {
      // Also after an orderly end: whoever still sends must learn that nobody listens.
      if (broken || !this.#sourceOver) this.#push(RST);
      this.#sourceOver = true;
    });
  }

  /** Bytes leave from `notBefore` (monotonic) plus the delay on. */
  attach(destination: Socket, notBefore: number): void {
    this.#destination = destination;
    this.#notBefore = notBefore;
    destination.on('drain', () => {
      this.#blocked = false;
      this.#advance();
    });
    destination.on('close', () => {
      // Nobody is left to read: let the source run dry, its other direction brings it the news.
      this.#clear();
      this.#resumeSource();
    });
    this.#advance();
  }

  setStalled(stalled: boolean): void {
    this.#stalled = stalled;
    if (stalled) this.#disarm();
    else this.#advance();
  }

  /**
   * For what is read from now on; what waits already leaves no later than by the new delay. The queue
   * keeps its order whatever its moments are, because only its head is looked at.
   */
  setDelay(delayMs: number): void {
    if (delayMs < this.#delayMs) {
      const latest = delayMs === 0 ? 0 : this.#options.clock.monotonicMs() + delayMs;
      this.#dues = this.#dues.map((due) => Math.min(due, latest));
    }
    this.#delayMs = delayMs;
    this.#advance();
  }

  close(): void {
    this.#closed = true;
    this.#clear();
  }

  #push(item: Item): void {
    if (this.#closed || this.#destination?.destroyed === true) return;
    const { clock, source } = this.#options;
    const delayMs = this.#delayMs;
    const open = this.#destination !== undefined && !this.#stalled && !this.#blocked;
    if (open && delayMs === 0 && this.#empty) {
      this.#emit(item);
    } else {
      this.#items.push(item);
      this.#dues.push(delayMs === 0 ? 0 : clock.monotonicMs() + delayMs);
      if (typeof item !== 'symbol') this.#queuedBytes += item.length;
      // An armed timer is for the head, which this item is not.
      if (this.#cancelTimer === undefined) this.#advance();
    }
    if (!this.#sourcePaused && !this.#sourceOver && (this.#congested || this.#holds(1))) {
      this.#sourcePaused = true;
      source.pause();
    }
  }

  get #empty(): boolean {
    return this.#head === this.#items.length;
  }

  /** Without delay there is nothing to keep in flight: the destination's pace is the source's. */
  get #congested(): boolean {
    return this.#blocked && this.#delayMs === 0;
  }

  #holds(share: number): boolean {
    return (
      this.#queuedBytes >= WINDOW_BYTES * share ||
      this.#items.length - this.#head >= WINDOW_CHUNKS * share
    );
  }

  /** Delivers what is due, arms the timer for what is not, and lets the source go on. */
  #advance(): void {
    this.#disarm();
    const destination = this.#destination;
    if (destination === undefined || this.#stalled || this.#closed) return;
    if (!this.#empty && !this.#blocked) {
      const { clock } = this.#options;
      const delayMs = this.#delayMs;
      const floor = delayMs === 0 ? 0 : this.#notBefore + delayMs;
      const now = clock.monotonicMs();
      destination.cork();
      while (!this.#empty && !this.#blocked) {
        const wait = Math.max(this.#dues[this.#head] as number, floor) - now;
        if (wait > TICK_HALF_MS) {
          this.#cancelTimer = clock.schedule(Math.round(wait), () => {
            this.#advance();
          });
          break;
        }
        this.#emit(this.#shift());
      }
      destination.uncork();
    }
    if (!this.#congested && !this.#holds(0.5)) this.#resumeSource();
  }

  #emit(item: Item): void {
    const destination = this.#destination as Socket;
    if (item === FIN) {
      destination.end();
    } else if (item === RST) {
      // What came before the break must have left before it.
      destination.uncork();
      destination.resetAndDestroy();
    } else if (typeof item !== 'symbol') {
      this.#blocked = !destination.write(item);
      this.#options.onForwarded(item.length);
    }
  }

  #shift(): Item {
    const item = this.#items[this.#head] as Item;
    this.#items[this.#head] = FIN; // Frees the chunk before the array is compacted.
    this.#head += 1;
    if (typeof item !== 'symbol') this.#queuedBytes -= item.length;
    if (this.#empty) {
      this.#items.length = 0;
      this.#dues.length = 0;
      this.#head = 0;
    } else if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#dues.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  #resumeSource(): void {
    if (!this.#sourcePaused) return;
    this.#sourcePaused = false;
    this.#options.source.resume();
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #clear(): void {
    this.#disarm();
    this.#items.length = 0;
    this.#dues.length = 0;
    this.#head = 0;
    this.#queuedBytes = 0;
  }
}
