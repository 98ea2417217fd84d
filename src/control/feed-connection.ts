/**
 * One connection to the control server's feed, from request to end. It always ends with an error that
 * says why: a feed has no orderly end. Silence counts as an end, because a peer that was cut off
 * without a word looks like an idle one.
 */
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import { parseFeedMessage } from './feed-message.ts';
import { LineReader } from './line-reader.ts';
import {
  FEED_LINE_MAX_BYTES,
  FEED_SILENCE_MS,
  REQUEST_BODY_MAX_BYTES,
  type FeedMessage,
} from './protocol.ts';

export interface FeedConnectionOptions {
  /** With the subscriber's parameters. */
  readonly url: URL;
  readonly token: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** May throw: the connection then ends with that error. */
  readonly onMessage: (message: FeedMessage) => void;
}

/** Resolves, never rejects, with the reason once the connection is over. */
export function followFeed(options: FeedConnectionOptions): Promise<MeridianError> {
  const { url, token, clock, signal } = options;
  if (signal.aborted) return Promise.resolve(abortedError());
  return new Promise((resolve) => {
    let cancelSilence = (): void => {};
    // A connection of its own: it lives as long as the feed.
    let outgoing: ClientRequest;
    try {
      outgoing = request(url, { agent: false, headers: { authorization: `Bearer ${token}` } });
    } catch (cause) {
      // A token with a line break, an address of another protocol.
      resolve(new MeridianError('ERR_CONTROL_UNAVAILABLE', messageOf(cause), { cause }));
      return;
    }
    const end = (cause: unknown): void => {
      cancelSilence();
      signal.removeEventListener('abort', aborted);
      outgoing.destroy();
      resolve(
        isMeridianError(cause)
          ? cause
          : new MeridianError('ERR_CONTROL_UNAVAILABLE', messageOf(cause), { cause }),
      );
    };
    const aborted = (): void => {
      end(abortedError());
    };
    const heard = (): void => {
      cancelSilence();
      cancelSilence = clock.schedule(FEED_SILENCE_MS, () => {
        end(new Error(`the control server was silent for ${String(FEED_SILENCE_MS)} ms`));
      });
    };
    signal.addEventListener('abort', aborted);
    heard();
    outgoing.on('error', end);
    outgoing.on('response', (response) => {
      response.on('error', end);
      if (response.statusCode === 200) readLines(response, { heard, end, options });
      else readRefusal(response, end);
    });
    outgoing.end();
  });
}

function abortedError(): MeridianError {
  return new MeridianError('ERR_ABORTED', 'the subscription was closed');
}

interface Reader {
  readonly heard: () => void;
  readonly end: (cause: unknown) => void;
  readonly options: FeedConnectionOptions;
}

function readLines(response: IncomingMessage, { heard, end, options }: Reader): void {
  const reader = new LineReader(FEED_LINE_MAX_BYTES);
  response.on('data', (chunk: Buffer) => {
    heard();
    try {
      for (const line of reader.push(chunk)) {
        const message = parseFeedMessage(line);
        if (message !== undefined) options.onMessage(message);
      }
    } catch (error) {
      end(error);
    }
  });
  response.on('end', () => {
    end(new Error('the control server ended the feed'));
  });
}

/** A status other than 200: the server's own words where it is ours, else the status. */
function readRefusal(response: IncomingMessage, end: (cause: unknown) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= REQUEST_BODY_MAX_BYTES) chunks.push(chunk);
    else end(new Error('the control server refused the feed at length'));
  });
  response.on('end', () => {
    end(refusal(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8')));
  });
}

function refusal(status: number, body: string): MeridianError {
  const { message, remedy } = saidError(body);
  return new MeridianError(
    status === 401
      ? 'ERR_CONTROL_UNAUTHORIZED'
      : status === 400
        ? 'ERR_CONTROL_REQUEST'
        : 'ERR_CONTROL_UNAVAILABLE',
    typeof message === 'string' ? message : `the control server answered with ${String(status)}`,
    typeof remedy === 'string' ? { remedy } : {},
  );
}

function saidError(body: string): { readonly message?: unknown; readonly remedy?: unknown } {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; remedy?: unknown } };
    return error ?? {};
  } catch {
    return {};
  }
}
