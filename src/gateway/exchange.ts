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

const NONE: ReadonlySet<string> = new Set();

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string;
  readonly method: string;
  readonly upgrade: Upgrading | undefined;
  readonly entry: AccessEntry | undefined;
  home: AccountHome | undefined;
  attempts = 0;
  rerouted = false;
  /** An app server may have received it and acted. */
  sent = false;
  readonly #clock: Clock;
  readonly #allowedMs: number;
  readonly #deadlineMs: number;
  /** Most requests are over before anything asks for a signal. */
  #abort: AbortController | undefined;
  #reason: Error | undefined;
  #cancelAttempt: ((reason: Error) => void) | undefined;
  #tried: Set<string> | undefined;
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
      this.#stop(this.deadlineExceeded());
    });
  }

  /** The response has closed. */
  over(): void {
    this.#cancelDeadline();
    if (this.response.writableFinished) return;
    this.#gone = true;
    this.#stop(new MeridianError('ERR_ABORTED', 'the client closed the connection'));
  }

  /** Aborts at the deadline and when the client leaves. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#reason !== undefined) this.#abort.abort(this.#reason);
    }
    return this.#abort.signal;
  }

  throwIfStopped(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** `cancel` is called when the signal would abort, at once if it has; undefined ends that. */
  attempting(cancel: ((reason: Error) => void) | undefined): void {
    this.#cancelAttempt = cancel;
    if (this.#reason !== undefined) cancel?.(this.#reason);
  }

  /** Names of the servers that failed this request. */
  get tried(): ReadonlySet<string> {
    return this.#tried ?? NONE;
  }

  addTried(server: string): void {
    (this.#tried ??= new Set()).add(server);
  }

  /** It starts anew, but not with this server. */
  setTried(server: string): void {
    this.#tried = new Set([server]);
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

  #stop(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#cancelAttempt?.(reason);
    this.#abort?.abort(reason);
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
