/**
 * A process's subscription to the control server: always holds the newest view it has seen, and
 * reconnects for ever with jittered back-off when the stream breaks. Routing goes on meanwhile.
 *
 * Nothing that arrives is trusted by its mere arrival: wrong shapes, other installations and past
 * supervisors end the connection and change nothing.
 */
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { RoutingView } from '../topology/routing.ts';
import { ActivityReporter } from './activity-reporter.ts';
import { followFeed } from './feed-connection.ts';
import type { FeedHello, FeedMessage } from './protocol.ts';
import type { ControlSubscription } from './subscription.ts';
import { checkSuccessor, newerView, type ShownView } from './view-order.ts';

export interface SubscribeOptions {
  /** Of the control server: "http://127.0.0.1:4100". */
  readonly url: string;
  readonly token: string;
  readonly region: string;
  /** Empty: the region's first. */
  readonly zone: string;
  /** Shown in status. */
  readonly process: string;
  readonly pid?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Gives up subscribing; afterwards only closing ends the subscription. */
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
}

const BACKOFF = { baseMs: 100, maxMs: 2_000 };
/** Full jitter may draw 0: a server that fails at once must not be hammered. */
const BACKOFF_MIN_MS = 20;

/**
 * Resolves after the first view. Throws ERR_CONTROL_UNAVAILABLE after `timeoutMs`, and at once what
 * waiting cannot help: ERR_CONTROL_UNAUTHORIZED, ERR_CONTROL_REQUEST (a place that is not declared).
 */
export async function subscribeControl(options: SubscribeOptions): Promise<ControlSubscription> {
  const subscription = new FeedSubscription(options);
  try {
    await subscription.joined();
    return subscription;
  } catch (error) {
    await subscription[Symbol.asyncDispose]();
    throw error;
  }
}

interface Waiter {
  readonly version: number;
  readonly resolve: (view: RoutingView) => void;
  readonly reject: (error: MeridianError) => void;
}

class FeedSubscription implements ControlSubscription {
  readonly #options: SubscribeOptions;
  readonly #abort = new AbortController();
  readonly #activity: ActivityReporter;
  readonly #listeners = new Set<(view: RoutingView) => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #running: Promise<void>;
  #hello: FeedHello | undefined;
  /** The current connection's, checked, before its first view. */
  #arriving: FeedHello | undefined;
  #shown: ShownView | undefined;
  #lastFailure: MeridianError | undefined;
  #onRefused: (error: MeridianError) => void = () => {};

  constructor(options: SubscribeOptions) {
    this.#options = options;
    const { token, clock } = options;
    const activityUrl = endpoint(options.url, '/v1/activity');
    this.#activity = new ActivityReporter({ url: activityUrl, token, clock });
    this.#running = this.#run();
  }

  get hello(): FeedHello {
    if (this.#hello === undefined) throw notJoined();
    return this.#hello;
  }

  get view(): RoutingView {
    if (this.#shown === undefined) throw notJoined();
    return this.#shown.view;
  }

  onView(listener: (view: RoutingView) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  newerThan(version: number, signal: AbortSignal): Promise<RoutingView> {
    const view = this.#shown?.view;
    if (view !== undefined && view.version > version) return Promise.resolve(view);
    if (this.#abort.signal.aborted) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        waiter.reject(
          new MeridianError('ERR_ABORTED', 'the wait was aborted', { cause: signal.reason }),
        );
      };
      const settle = (): void => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', aborted);
      };
      const waiter: Waiter = {
        version,
        resolve: (newer) => {
          settle();
          resolve(newer);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', aborted);
      if (signal.aborted) aborted();
    });
  }

  countBoundedRead(): void {
    this.#activity.countBoundedRead();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#activity.close();
    for (const waiter of [...this.#waiters]) waiter.reject(closedError());
    this.#listeners.clear();
    await this.#running;
  }

  /** Resolves with the first view, or fails as `subscribeControl` says. */
  async joined(): Promise<void> {
    const { clock, timeoutMs, url, signal } = this.#options;
    const wait = new AbortController();
    const aborted = (): void => {
      wait.abort(signal?.reason);
    };
    const cancelTimeout = clock.schedule(timeoutMs, () => {
      const reason = this.#lastFailure === undefined ? '' : `: ${this.#lastFailure.message}`;
      this.#onRefused(
        new MeridianError(
          'ERR_CONTROL_UNAVAILABLE',
          `the control server at ${url} gave no view within ${String(timeoutMs)} ms${reason}`,
          { cause: this.#lastFailure },
        ),
      );
    });
    signal?.addEventListener('abort', aborted);
    if (signal?.aborted === true) aborted();
    const refused = new Promise<never>((_, reject) => {
      this.#onRefused = reject;
    });
    const first = this.newerThan(-1, wait.signal);
    first.catch(() => {});
    try {
      await Promise.race([first, refused]);
    } finally {
      cancelTimeout();
      signal?.removeEventListener('abort', aborted);
      this.#onRefused = () => {};
    }
  }

  async #run(): Promise<void> {
    const { token, clock, random, log, process } = this.#options;
    const { signal } = this.#abort;
    const url = feedUrl(this.#options);
    let attempt = 0;
    while (!signal.aborted) {
      const before = this.#shown;
      this.#arriving = undefined;
      const failure = await followFeed({
        url,
        token,
        clock,
        signal,
        onMessage: (message) => {
          this.#receive(message);
        },
      });
      if (signal.aborted) return;
      this.#lastFailure = failure;
      const { code, message } = failure;
      if (code === 'ERR_CONTROL_UNAUTHORIZED' || code === 'ERR_CONTROL_REQUEST') {
        this.#onRefused(failure);
      }
      attempt = this.#shown === before ? attempt + 1 : 1;
      // One line per outage; the many attempts that follow are details.
      const level = attempt === 1 ? 'warn' : 'debug';
      log[level]('the feed broke; the last view stays in use', { process, code, error: message });
      const pause = Math.max(BACKOFF_MIN_MS, backoffMs(attempt, random, BACKOFF));
      await clock.sleep(pause, signal).catch(() => {});
    }
  }

  /** Throws what makes the connection worthless. */
  #receive(message: FeedMessage): void {
    switch (message.kind) {
      case 'ping':
        return;
      case 'hello':
        checkSuccessor(this.#hello, message);
        this.#arriving = message;
        return;
      case 'view':
        this.#receiveView(message.view);
    }
  }

  #receiveView(view: RoutingView): void {
    const hello = this.#arriving;
    if (hello === undefined) {
      throw new MeridianError('ERR_CONTROL_UNAVAILABLE', 'the feed began without a hello');
    }
    this.#hello = hello;
    const next = newerView(this.#shown, hello, view);
    if (next === undefined) return;
    this.#shown = next;
    for (const waiter of [...this.#waiters]) {
      if (next.view.version > waiter.version) waiter.resolve(next.view);
    }
    for (const listener of [...this.#listeners]) {
      try {
        listener(next.view);
      } catch (error) {
        this.#options.log.error('a listener of the view failed', { error: messageOf(error) });
      }
    }
  }
}

function endpoint(base: string, path: string): URL {
  try {
    return new URL(path, base);
  } catch (cause) {
    throw new MeridianError('ERR_CONTROL_UNAVAILABLE', `${base} is not a URL`, { cause });
  }
}

function feedUrl({ url, region, zone, process, pid }: SubscribeOptions): URL {
  const feed = endpoint(url, '/v1/feed');
  feed.search = new URLSearchParams({
    region,
    zone,
    process,
    ...(pid === undefined ? {} : { pid: String(pid) }),
  }).toString();
  return feed;
}

function notJoined(): MeridianError {
  return new MeridianError('ERR_INTERNAL', 'the subscription was used before its first view');
}

function closedError(): MeridianError {
  return new MeridianError('ERR_ENGINE_CLOSED', 'the control subscription is closed');
}
