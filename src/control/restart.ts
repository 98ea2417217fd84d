/**
 * A rolling restart as the supervisor and those who ask for it speak of it. Asked for by
 * POST /v1/restart; answered by RestartEvents, one a line, as they happen. Closing the connection ends
 * it after the step under way.
 */
import { MeridianError } from '../kernel/errors.ts';

export interface RestartRequest {
  readonly apps: boolean;
  readonly gateways: boolean;
  /** Undefined: all. */
  readonly region?: string | undefined;
}

export type RestartEvent =
  | { readonly kind: 'begun'; readonly steps: readonly string[] }
  /** One process has a successor that serves, and owes no answer any more. */
  | { readonly kind: 'restarted'; readonly name: string; readonly tookMs: number }
  | RestartEnd;

export interface RestartEnd {
  readonly kind: 'ended';
  readonly restarted: number;
  /** Not begun, because it was asked to stop. */
  readonly left: number;
}

export interface RestartOptions {
  /** Aborted: the step under way is finished, and no other begun. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RestartEvent) => void;
}

/** Throws ERR_CONTROL_REQUEST. */
export function parseRestart(body: string): RestartRequest {
  type Asked = Partial<Record<keyof RestartRequest, unknown>>;
  let asked: Asked | null = null;
  try {
    asked = JSON.parse(body) as Asked | null;
  } catch {
    // Refused below, like any other wrong shape.
  }
  const { apps, gateways, region } = asked ?? {};
  if (typeof apps !== 'boolean' || typeof gateways !== 'boolean') throw unreadable();
  if (region !== undefined && typeof region !== 'string') throw unreadable();
  return { apps, gateways, region };
}

function unreadable(): MeridianError {
  return new MeridianError('ERR_CONTROL_REQUEST', 'the body is not a request for a restart');
}
