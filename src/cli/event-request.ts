/**
 * Asks the running supervisor for something that takes a while, and hands on the events by which it
 * tells how far it is, one a line. The last one is `ended`, or the failure that it threw.
 */
import { LineReader } from '../control/line-reader.ts';
import type { OperationEvent, OperationRequest } from '../control/operation.ts';
import { FEED_LINE_MAX_BYTES, type EventFailure } from '../control/protocol.ts';
import type { RestartEvent, RestartRequest } from '../control/restart.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { ControlFile } from '../platform-api.ts';
import { said, strange } from './control-client.ts';

export interface EventOptions<Event> {
  readonly signal: AbortSignal;
  readonly onEvent: (event: Event) => void;
}

export function requestRestart(
  control: ControlFile,
  request: RestartRequest,
  options: EventOptions<RestartEvent>,
): Promise<void> {
  return requestEvents(control, { path: '/v1/restart', what: 'restart', request }, options);
}

export function requestOperation(
  control: ControlFile,
  request: OperationRequest,
  options: EventOptions<OperationEvent>,
): Promise<void> {
  return requestEvents(control, { path: '/v1/operation', what: 'operation', request }, options);
}

interface Asked {
  readonly path: string;
  /** "restart" */
  readonly what: string;
  readonly request: unknown;
}

/**
 * Resolves with the end. Throws what was refused or failed, ERR_ABORTED when the signal aborts (the
 * supervisor then finishes the step under way), ERR_CONTROL_UNAVAILABLE when the connection breaks, and
 * as `fetchStatus` does.
 */
async function requestEvents<Event extends { readonly kind: string }>(
  control: ControlFile,
  asked: Asked,
  options: EventOptions<Event>,
): Promise<void> {
  const { signal, onEvent } = options;
  try {
    const response = await fetch(new URL(asked.path, control.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${control.token}` },
      body: JSON.stringify(asked.request),
      signal,
    });
    if (response.status === 401) throw strange();
    if (!response.ok) throw said((await response.json()) as Partial<EventFailure>);
    const reader = new LineReader(FEED_LINE_MAX_BYTES);
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      for (const line of reader.push(Buffer.from(chunk))) {
        const event = JSON.parse(line) as Event | EventFailure;
        if (isFailure(event)) throw said(event);
        onEvent(event);
        if (event.kind === 'ended') return;
      }
    }
  } catch (cause) {
    if (isMeridianError(cause)) throw cause;
    if (signal.aborted) throw new MeridianError('ERR_ABORTED', 'asked to stop', { cause });
    const refused = (cause as { cause?: { code?: unknown } }).cause?.code === 'ECONNREFUSED';
    if (refused) {
      throw new MeridianError('ERR_NOT_RUNNING', 'the platform is not running', { cause });
    }
    throw new MeridianError('ERR_CONTROL_UNAVAILABLE', messageOf(cause), { cause });
  }
  const message = `the supervisor ended during the ${asked.what}`;
  throw new MeridianError('ERR_CONTROL_UNAVAILABLE', message);
}

function isFailure(event: { readonly kind: string }): event is EventFailure {
  return event.kind === 'failed';
}
