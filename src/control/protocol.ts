/**
 * What the supervisor and its processes say to each other: newline-delimited JSON over HTTP on
 * loopback, authorised by the installation's control token (Authorization: Bearer).
 *
 *   GET  /v1/feed?region=R&zone=Z&process=NAME&pid=P   an endless stream of FeedMessage
 *   GET  /v1/status                                    one StatusReport (src/control/status.ts)
 *   POST /v1/activity                                  ActivityReport: keeps heartbeats frequent
 *   POST /v1/migrate                                   MigrationRequest; a stream of MigrationMessage
 *   POST /v1/metrics                                   MetricsReport (src/control/metrics/sample.ts)
 *   GET  /metrics                                      Prometheus text; the one route without a token
 *   POST /v1/restart                                   a stream of RestartEvent (src/control/restart.ts)
 *   POST /v1/chaos                                     ChaosRequest (src/control/chaos.ts); { fault }
 *   POST /v1/chaos/heal                                { id? }; { healed }
 *   GET  /v1/chaos                                     { faults } that are in force
 *   POST /v1/operation                                 a stream of OperationEvent (src/control/operation.ts)
 *
 * Refusals have a status and { error: { code, message, remedy } }. An empty zone stands for the
 * region's first one; the pid is optional.
 *
 * Subscribers keep the last view when the stream breaks, and reconnect with back-off: routing works
 * while the control plane is down.
 */
import type { RoutingView } from '../topology/routing.ts';
import type { LatencyMatrix, Region } from '../topology/region.ts';

/** How a process reaches the databases: least privilege, never printed. */
export interface DatabaseCredentials {
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** Sent once, first. Everything that does not change while the platform runs. */
export interface FeedHello {
  readonly kind: 'hello';
  readonly installation: string;
  /** Rises with every start of the supervisor; a later one's views replace an earlier one's. */
  readonly supervisorStart: number;
  readonly engine: string;
  readonly regions: readonly Region[];
  readonly primaryRegion: string;
  readonly latency: LatencyMatrix;
  readonly database: DatabaseCredentials;
  /** The gateway's options, present for subscribers that are gateways. */
  readonly gateway?: unknown;
}

export interface FeedView {
  readonly kind: 'view';
  readonly view: RoutingView;
}

/** Sent when idle, so that a dead stream is noticed. */
export interface FeedPing {
  readonly kind: 'ping';
}

export type FeedMessage = FeedHello | FeedView | FeedPing;

/** Instead of an end, as the last line of a stream of events: what was asked for failed half-way. */
export interface EventFailure {
  readonly kind: 'failed';
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string };
}

export const PING_INTERVAL_MS = 2_000;
/** Without any message for this long, a subscriber reconnects. */
export const FEED_SILENCE_MS = 7_000;

export interface ActivityReport {
  /** Reads with bounded staleness since the last report. */
  readonly boundedReads: number;
}

/** A message longer than this breaks the stream: some 10,000 nodes and ranges fit. */
export const FEED_LINE_MAX_BYTES = 4 * 1024 * 1024;
export const SUBSCRIBERS_MAX = 256;
export const REQUEST_BODY_MAX_BYTES = 16 * 1024;
