/**
 * A client's request body on its way to an app server.
 *
 * Invariant: destroying a body never destroys the client's connection, so that the client can still
 * be answered after its app server died; and nothing is taken from the client before an app server's
 * connection stands, so that until then the request can go to another one.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { MeridianError } from '../kernel/errors.ts';

const BUFFERED_BYTES = 64 * 1024;

/** Bodies up to this with a declared length are read whole first, and can be sent again. */
export const REPLAY_BYTES_MAX = 64 * 1024;

export function bodyTooLarge(limitBytes: number): MeridianError {
  return new MeridianError(
    'ERR_GATEWAY_BODY_TOO_LARGE',
    `the request body is larger than ${String(limitBytes)} bytes`,
  );
}

export function bodyCutOff(): MeridianError {
  return new MeridianError('ERR_ABORTED', 'the client closed before its request body was complete');
}

function bodyStalled(stallMs: number): MeridianError {
  return new MeridianError(
    'ERR_GATEWAY_REQUEST_TIMEOUT',
    `nothing came of the request body for ${String(stallMs)} ms`,
  );
}

/** Lets a client begin that asked whether to send its body (RFC 9110 §10.1.1). */
export function inviteBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect !== undefined && request.httpVersion === '1.1') {
    response.writeContinue();
  }
}

/**
 * Calls when the connection has been silent for so long while its request is not complete, each time
 * anew until the returned function is called.
 */
function watchSilence(source: IncomingMessage, stallMs: number, silent: () => void): () => void {
  const { socket } = source;
  const usualMs = socket.timeout ?? 0;
  const onTimeout = (): void => {
    socket.setTimeout(stallMs);
    silent();
  };
  source.on('timeout', onTimeout);
  socket.setTimeout(stallMs);
  return () => {
    source.off('timeout', onTimeout);
    socket.setTimeout(usualMs);
  };
}

export interface BodyLimits {
  readonly bodyLimitBytes: number;
  readonly stallTimeoutMs: number;
}

/** Streams the source with back-pressure, and fails beyond the limit. */
export class RequestBody extends Readable {
  readonly #source: IncomingMessage;
  readonly #limits: BodyLimits;
  /** For the access log. */
  readonly #tally: { bytesIn: number } | undefined;
  #unwatch: (() => void) | undefined;
  #bytes = 0;
  #started = false;
  #wanted = false;

  constructor(source: IncomingMessage, limits: BodyLimits, tally?: { bytesIn: number }) {
    super({ highWaterMark: BUFFERED_BYTES });
    this.#source = source;
    this.#limits = limits;
    this.#tally = tally;
    // The HTTP client stops listening when it is done; a late error is then nobody's.
    this.on('error', () => {});
  }

  /** Something has been taken from the client. */
  get consumed(): boolean {
    return this.#bytes > 0;
  }

  /** The app server's connection stands. */
  start(): void {
    if (this.#started || this.destroyed) return;
    this.#started = true;
    this.#source.on('data', this.#onData);
    this.#source.on('end', this.#onEnd);
    this.#source.on('close', this.#onClose);
    const { stallTimeoutMs } = this.#limits;
    this.#unwatch = watchSilence(this.#source, stallTimeoutMs, () => {
      // Else it is the app server that does not read.
      if (this.#wanted) this.destroy(bodyStalled(stallTimeoutMs));
    });
    if (this.#wanted) this.#source.resume();
    else this.#source.pause();
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#started) this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#source.off('close', this.#onClose);
    this.#unwatch?.();
    if (this.#started) this.#source.pause();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#tally !== undefined) this.#tally.bytesIn = this.#bytes;
    if (this.#bytes > this.#limits.bodyLimitBytes) {
      this.destroy(bodyTooLarge(this.#limits.bodyLimitBytes));
    } else if (!this.push(chunk)) {
      this.#wanted = false;
      this.#source.pause();
    }
  };

  readonly #onEnd = (): void => {
    this.#unwatch?.();
    this.push(null);
  };

  readonly #onClose = (): void => {
    if (!this.#source.readableEnded) this.destroy(bodyCutOff());
  };
}

/**
 * Reads a body of declared (and checked) length whole: the parser delivers no more. Rejects when the
 * client closes or falls silent, or the signal aborts.
 */
export function readWhole(
  source: IncomingMessage,
  stallMs: number,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const stop = (): void => {
      unwatch();
      source.off('data', onData);
      source.off('end', onEnd);
      source.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      stop();
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    };
    const onClose = (): void => {
      stop();
      reject(bodyCutOff());
    };
    const onAbort = (): void => {
      stop();
      source.pause();
      reject(bodyCutOff());
    };
    if (signal.aborted) {
      reject(bodyCutOff());
      return;
    }
    const unwatch = watchSilence(source, stallMs, () => {
      stop();
      source.pause();
      reject(bodyStalled(stallMs));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    source.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}
