/**
 * An answer that is a stream of events, one a line, as work goes on. A refusal before the first event
 * has a status of its own; a failure after it is the last line. Whoever leaves is noticed at once.
 *
 * Bounded: events that only tell how far something is are left out while the reader is slow.
 */
import type { ServerResponse } from 'node:http';
import { isMeridianError } from '../../kernel/errors.ts';
import type { EventFailure } from '../protocol.ts';

export interface EventRun<Event> {
  /** Aborted when whoever asked has left. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: Event) => void;
}

export async function streamEvents<Event extends { readonly kind: string }>(
  response: ServerResponse,
  run: (how: EventRun<Event>) => Promise<unknown>,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => {
    gone.abort();
  });
  const say = (line: Event | EventFailure): void => {
    if (!response.headersSent) {
      response.writeHead(200, {
        'content-type': 'application/x-ndjson',
        'cache-control': 'no-store',
      });
    }
    if (response.destroyed || (line.kind === 'progress' && response.writableNeedDrain)) return;
    response.write(`${JSON.stringify(line)}\n`);
  };
  try {
    await run({ signal: gone.signal, onEvent: say });
  } catch (error) {
    if (!response.headersSent || !isMeridianError(error)) throw error;
    const { code, message, remedy } = error;
    say({ kind: 'failed', error: { code, message, remedy } });
  }
  response.end();
}
