/** What a gateway has done since it started: plain numbers, for metrics and tests. */
import type { ErrorCode } from '../kernel/errors.ts';
import type { RouteReason } from './route.ts';

export interface GatewayCounters {
  readonly requests: number;
  readonly inFlight: number;
  /** Requests sent to an app server, attempts included, by reason. */
  readonly forwarded: Readonly<Record<RouteReason, number>>;
  /** Requests sent to another server, or again, after a failure. */
  readonly retries: number;
  /** Requests routed anew after an app server called their route stale. */
  readonly reroutes: number;
  /** Refusals by error code. */
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Responses that an app server did not finish. */
  readonly truncated: number;
  /** Clients that closed before they were answered. */
  readonly clientAborts: number;
  /** Connections of clients that are open. */
  readonly connections: number;
  /** Connections turned away because there were too many. */
  readonly connectionsRefused: number;
  /** Handshakes that led to a WebSocket. */
  readonly websockets: number;
  /** WebSockets that are open. */
  readonly websocketsOpen: number;
}

export type MutableCounters = {
  -readonly [Key in keyof GatewayCounters]: GatewayCounters[Key] extends number
    ? number
    : { -readonly [Name in keyof GatewayCounters[Key]]: GatewayCounters[Key][Name] };
};

export function zeroCounters(): MutableCounters {
  return {
    requests: 0,
    inFlight: 0,
    forwarded: {
      'local-read': 0,
      'local-write': 0,
      'home-write': 0,
      'failover-read': 0,
      'failover-write': 0,
    },
    retries: 0,
    reroutes: 0,
    refused: {},
    truncated: 0,
    clientAborts: 0,
    connections: 0,
    connectionsRefused: 0,
    websockets: 0,
    websocketsOpen: 0,
  };
}

export function snapshot(counters: MutableCounters): GatewayCounters {
  return {
    ...counters,
    forwarded: { ...counters.forwarded },
    refused: { ...counters.refused },
  };
}
