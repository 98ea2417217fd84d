/**
 * One request to one app server, relayed to the client as it comes.
 *
 * Invariants: exactly one outcome; once the head of the answer is on its way to the client the
 * outcome can only be 'answered' or 'truncated'; `sent` is true as soon as anything may have been
 * written to a connection. Uses undici's handler of raw headers and chunks: it builds neither streams
 * nor header objects, and can be paused when the client is slow.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { RequestBody } from './body.ts';
import { answeredHeaders, type AnsweredHeaders } from './headers.ts';

export type AttemptOutcome =
  | { readonly kind: 'answered' }
  /** The app server switched protocols; its connection was handed over. */
  | { readonly kind: 'upgraded' }
  | { readonly kind: 'truncated'; readonly error: Error }
  /** The app server asks for a fresh route; its answer was dropped. */
  | { readonly kind: 'stale-route' }
  | { readonly kind: 'failed'; readonly sent: boolean; readonly error: Error };

export interface AttemptOptions {
  readonly response: ServerResponse;
  /** A streamed body; one read whole is the dispatcher's alone. */
  readonly body: RequestBody | undefined;
  /** A client that takes nothing for this long is cut. */
  readonly stallTimeoutMs: number;
  /** May a 421 be answered by routing anew? */
  readonly reroutable: boolean;
  /** For the access log. */
  readonly tally?: { bytesOut: number; truncated: boolean } | undefined;
  /** Writes the answer's head to the client. */
  readonly head: (status: number, answered: AnsweredHeaders) => void;
  /** Takes the connection of an app server that answered 101. */
  readonly upgraded: ((answered: AnsweredHeaders, upstream: Socket) => void) | undefined;
}

/** Longer chunks are not worth the copy. */
const JOINED_BYTES_MAX = 16 * 1024;

/** Of an answer that is not passed on; a longer one costs its connection. */
const DROPPED_BYTES_MAX = 64 * 1024;

export class Attempt implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<AttemptOutcome>;
  readonly #options: AttemptOptions;
  #settle: (outcome: AttemptOutcome) => void = () => {};
  #abort: ((error?: Error) => void) | undefined;
  #resume: () => void = () => {};
  #phase: 'waiting' | 'relaying' | 'dropping' | 'over' = 'waiting';
  #droppedBytes = 0;
  #flowing = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Gives up; the outcome follows at once. */
  cancel(reason: Error): void {
    const phase = this.#phase;
    this.#finish(reason);
    this.#options.body?.destroy(reason);
    // Not connected yet: there is nothing to cut, and `onConnect` will refuse to begin.
    if (phase !== 'over') this.#abort?.(reason);
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
    if (this.#phase === 'over') abort(new Error('given up before it began'));
    else this.#options.body?.start();
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void): boolean {
    if (status < 200 || this.#phase !== 'waiting') return true;
    const answered = answeredHeaders(headers);
    const { body, reroutable, response } = this.#options;
    if (status === 421 && answered.staleRoute && reroutable && body?.consumed !== true) {
      this.#phase = 'dropping';
      body?.destroy();
      this.#settle({ kind: 'stale-route' });
      return true;
    }
    // A head that cannot be written throws here: undici cuts the connection and reports the error.
    this.#options.head(status, answered);
    this.#phase = 'relaying';
    this.#resume = resume;
    // A body usually follows in the same packet; only a head that comes alone is sent alone.
    queueMicrotask(() => {
      if (!this.#flowing && this.#phase === 'relaying') response.flushHeaders();
    });
    return true;
  }

  onUpgrade(_status: number, headers: Buffer[] | string[] | null, upstream: Duplex): void {
    const { upgraded } = this.#options;
    if (this.#phase !== 'waiting' || upgraded === undefined) {
      upstream.destroy();
      return;
    }
    this.#phase = 'over';
    // A TCP connection, whatever its type says: undici connects through net.
    upgraded(answeredHeaders(headers ?? []), upstream as Socket);
    this.#settle({ kind: 'upgraded' });
  }

  /** False pauses the app server's connection. */
  onData(chunk: Buffer): boolean {
    if (this.#phase === 'relaying') {
      this.#flowing = true;
      const { tally } = this.#options;
      if (tally !== undefined) tally.bytesOut += chunk.length;
      if (this.#write(chunk)) return true;
      this.#waitForClient();
      return false;
    }
    this.#droppedBytes += chunk.length;
    if (this.#droppedBytes > DROPPED_BYTES_MAX) this.#abort?.(new Error('not wanted'));
    return true;
  }

  onComplete(): void {
    if (this.#phase === 'relaying') {
      this.#phase = 'over';
      const { response, stallTimeoutMs } = this.#options;
      response.end();
      // Until the rest is taken; then the server sets the time for the next request.
      if (response.writableLength > 0) response.socket?.setTimeout(stallTimeoutMs);
      this.#settle({ kind: 'answered' });
    }
    this.#phase = 'over';
  }

  onError(error: Error): void {
    this.#finish(error);
  }

  /**
   * As text, a short chunk leaves in one piece with the head: Node joins the two, and one write of one
   * piece costs the system half of a vectored one. Latin1 maps bytes to characters and back.
   */
  #write(chunk: Buffer): boolean {
    const { response } = this.#options;
    if (chunk.length > JOINED_BYTES_MAX) return response.write(chunk);
    return response.write(chunk.toString('latin1'), 'latin1');
  }

  /** The connection is closed by the server when it makes no progress until the time is over. */
  #waitForClient(): void {
    const { response, stallTimeoutMs } = this.#options;
    const { socket } = response;
    const usualMs = socket?.timeout ?? 0;
    socket?.setTimeout(stallTimeoutMs);
    response.once('drain', () => {
      socket?.setTimeout(usualMs);
      this.#resume();
    });
  }

  #finish(error: Error): void {
    const phase = this.#phase;
    this.#phase = 'over';
    if (phase === 'waiting') {
      this.#settle({ kind: 'failed', sent: this.#abort !== undefined, error });
    } else if (phase === 'relaying') {
      // Before the response closes, which is when its line is written.
      if (this.#options.tally !== undefined) this.#options.tally.truncated = true;
      // Half an answer must not look whole.
      this.#options.response.destroy();
      this.#settle({ kind: 'truncated', error });
    }
  }
}
