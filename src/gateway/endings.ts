/** The ways in which a gateway ends: for a successor, in order, at once. Each is idempotent. */
import type { Server } from 'node:http';
import { Server as TcpServer } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Scope } from '../kernel/scope.ts';
import { KEEP_ALIVE_TIMEOUT_MS, type Phases } from './phases.ts';

export interface EndingParts {
  readonly server: Server;
  readonly phases: Phases;
  /** Requests, and upgraded connections. */
  readonly inFlight: () => number;
  /** Everything that is to be released in the end. */
  readonly scope: Scope;
  readonly drainTimeoutMs: number;
  /** No request takes longer: what a retiring gateway allows. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Endings {
  retire(): Promise<void>;
  drain(): Promise<void>;
  close(): Promise<void>;
}

const DRAIN_POLL_MS = 10;

export function endings(parts: EndingParts): Endings {
  const { server, phases, inFlight, scope, clock, log } = parts;
  // Told to stop while it retires, it no longer waits for its clients to leave.
  const stopped = new AbortController();
  const stopping = (): void => {
    phases.stop();
    stopped.abort();
  };
  const untilAnswered = async (limitMs: number): Promise<void> => {
    const deadline = clock.monotonicMs() + limitMs;
    while (inFlight() > 0 && clock.monotonicMs() < deadline) await clock.sleep(DRAIN_POLL_MS);
  };
  const drained = async (): Promise<void> => {
    stopping();
    server.close();
    await untilAnswered(parts.drainTimeoutMs);
    if (inFlight() > 0) log.warn('cut requests in flight', { count: inFlight() });
    await scope.close();
  };
  let drainOnce: Promise<void> | undefined;
  const drain = (): Promise<void> => (drainOnce ??= drained());
  const retired = async (): Promise<void> => {
    phases.retire();
    const left = stopAccepting(server);
    const patience = clock.sleep(KEEP_ALIVE_TIMEOUT_MS, stopped.signal).catch(() => {});
    await Promise.race([left, patience]);
    if (!stopped.signal.aborted) await untilAnswered(parts.requestTimeoutMs);
    await drain();
  };
  let retireOnce: Promise<void> | undefined;
  return {
    retire: () => (retireOnce ??= retired()),
    drain,
    close: () => {
      stopping();
      return scope.close();
    },
  };
}

/**
 * Resolves when the last connection has ended. Not by `http.Server.close`, which closes idle
 * connections at once: a request that is on its way over one of them would be lost.
 */
function stopAccepting(server: Server): Promise<void> {
  return new Promise((resolve) => {
    TcpServer.prototype.close.call(server, () => {
      resolve();
    });
  });
}
