/**
 * One client request while it is being served: what is known of it, its deadline, and whether the
 * client is still there. It is over when the response closes, whoever closed it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { AccountHome } from '../topology/routing.ts';
import type { AccessEntry } from './access-log.ts';
import type { Admitted } from './access.ts';
import { outcomeOf } from './retry.ts';
import type { RequestToken } from './token.ts';
import { WEBSOCKET_ROUTED_AS, type Upgrade } from './websocket.ts';

export interface ExchangeOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly id: string;
  readonly allowedMs: number;
  /** Undefined for a plain request. */
  readonly upgrade: Upgrading | undefined;
  /** Its line in the access log; undefined when there is none. */
  readonly entry: AccessEntry | undefined;
}

/** A request that wants its connection for a WebSocket. */
export interface Upgrading extends Upgrade {
  /** Keeps the connection when the response is over. */
  readonly detach: () => void;
}

/** What the headers said. */
export interface Head {
  /** Origin form. */
  readonly path: string;
  readonly host: string;
  readonly hopped: boolean;
  readonly token: RequestToken;
  /** It has an idempotency key, and the application honours those. */
  readonly keyed: boolean;
  /** Undefined: chunked. 0: no body. */
  readonly contentLength: number | undefined;
}

/** And what follows from it: who asks, for which account. */
export type Asked = Head & Admitted;

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string;
  readonly method: string;
  readonly upgrade: Upgrading | undefined;
  readonly entry: AccessEntry | undefined;
  readonly tried = new Set<string>();
  home: AccountHome | undefined;
  attempts = 0;
  rerouted = false;
  /** An app server may have received it and acted. */
  sent = false;
  readonly #clock: Clock;
  readonly #allowedMs: number;
  readonly #deadlineMs: number;
  readonly #abort = new AbortController();
  #cancelDeadline: () => void;
  #expired = false;
  #gone = false;

  constructor(options: ExchangeOptions) {
    const { request, response, clock, allowedMs } = options;
    this.request = request;
    this.response = response;
    this.id = options.id;
    this.entry = options.entry;
    this.method = request.method ?? 'GET';
    this.upgrade = options.upgrade;
    this.#clock = clock;
    this.#allowedMs = allowedMs;
    this.#deadlineMs = clock.monotonicMs() + allowedMs;
    this.#cancelDeadline = clock.schedule(allowedMs, () => {
      this.#expired = true;
      this.#abort.abort(this.deadlineExceeded());
    });
    response.once('close', () => {
      this.#cancelDeadline();
      if (response.writableFinished) return;
      this.#gone = true;
      this.#abort.abort(new MeridianError('ERR_ABORTED', 'the client closed the connection'));
    });
  }

  /** Aborts at the deadline and when the client leaves. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The connection to the client is closed: there is nobody to answer. */
  get gone(): boolean {
    return this.#gone;
  }

  get expired(): boolean {
    return this.#expired;
  }

  get leftMs(): number {
    return this.#deadlineMs - this.#clock.monotonicMs();
  }

  /** The method that decides where it is served. */
  get routedAs(): string {
    return this.upgrade === undefined ? this.method : WEBSOCKET_ROUTED_AS;
  }

  /** The answer has begun: from here on progress counts, not the deadline. */
  answering(): void {
    this.#cancelDeadline();
  }

  deadlineExceeded(): MeridianError {
    const allowed = String(Math.round(this.#allowedMs));
    return new MeridianError(
      'ERR_DEADLINE_EXCEEDED',
      `the request was not answered within ${allowed} ms`,
      { outcome: outcomeOf(this) },
    );
  }
}

/** What routing and retrying depend on, as it is now. */
export function routeState(
  exchange: Exchange,
): Pick<Exchange, 'home' | 'tried' | 'method' | 'attempts'> {
  const { home, tried, routedAs, attempts } = exchange;
  return { home, tried, method: routedAs, attempts };
}

/** The promise's result, or the signal's reason as soon as it aborts. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', aborted);
    });
  });
}
