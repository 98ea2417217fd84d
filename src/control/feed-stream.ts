/**
 * One subscriber's stream on the server: hello, then always the newest view, pings between.
 *
 * Memory is bounded at one unsent view: while the socket is backed up nothing is computed, and the
 * view is made at the moment it can be sent, so that a slow subscriber skips what it missed. A
 * subscriber that takes nothing for STALL_MS is dropped; it reconnects if it still lives.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import { messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Locality } from '../topology/region.ts';
import type { RoutingView } from '../topology/routing.ts';
import { FEED_SILENCE_MS, PING_INTERVAL_MS, type FeedMessage } from './protocol.ts';

const STALL_MS = 2 * FEED_SILENCE_MS;
const VIEW_RETRY_MS = 250;

export interface Subscriber extends Locality {
  readonly process: string;
  readonly pid?: number;
}

export interface FeedStreamOptions {
  readonly response: ServerResponse;
  readonly subscriber: Subscriber;
  readonly clock: Clock;
  readonly log: Log;
  readonly view: (subscriber: Subscriber) => Promise<RoutingView> | RoutingView;
}

export class FeedStream {
  readonly subscriber: Subscriber;
  readonly #options: FeedStreamOptions;
  #dirty = false;
  #pumping = false;
  #ended = false;
  #sentVersion = -1;
  #lastProgress: number;
  #cancelRetry: (() => void) | undefined;

  constructor(options: FeedStreamOptions) {
    this.#options = options;
    this.subscriber = options.subscriber;
    this.#lastProgress = options.clock.monotonicMs();
    const { response } = options;
    response.on('drain', () => {
      this.#lastProgress = options.clock.monotonicMs();
    });
    response.on('close', () => {
      this.#over();
    });
    response.on('error', () => {
      this.#over();
    });
  }

  send(message: FeedMessage): void {
    const { response, clock } = this.#options;
    if (this.#ended) return;
    if (response.write(JSON.stringify(message) + '\n')) this.#lastProgress = clock.monotonicMs();
  }

  /** There may be a newer view: it is sent as soon as the subscriber can take it. */
  refresh(): void {
    this.#dirty = true;
    if (!this.#pumping) void this.#pump();
  }

  /** Called regularly. */
  ping(): void {
    const { response, clock, log } = this.#options;
    const quietMs = clock.monotonicMs() - this.#lastProgress;
    if (response.writableNeedDrain) {
      if (quietMs <= STALL_MS) return;
      log.warn('a subscriber takes nothing: dropped', { process: this.subscriber.process });
      response.destroy();
    } else if (quietMs >= PING_INTERVAL_MS / 2) {
      this.send({ kind: 'ping' });
    }
  }

  end(): void {
    this.#over();
    this.#options.response.end();
  }

  async #pump(): Promise<void> {
    const { response, view, log } = this.#options;
    this.#pumping = true;
    try {
      while (this.#dirty && !this.#ended) {
        if (response.writableNeedDrain) await writable(response);
        this.#dirty = false;
        const next = await view(this.subscriber);
        if (next.version <= this.#sentVersion) continue;
        this.send({ kind: 'view', view: next });
        this.#sentVersion = next.version;
      }
    } catch (cause) {
      const { process } = this.subscriber;
      log.warn('a view could not be made', { process, error: messageOf(cause) });
      this.#retry();
    } finally {
      this.#pumping = false;
    }
  }

  #retry(): void {
    if (this.#ended) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.schedule(VIEW_RETRY_MS, () => {
      this.refresh();
    });
  }

  #over(): void {
    this.#ended = true;
    this.#cancelRetry?.();
  }
}

/** Resolves when there is room, or nothing to wait for any more. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
