/**
 * The open loop: sends each planned request when its time has come, whatever became of the others.
 * Requests in flight are bounded; one that finds no place counts as an error, and is never queued.
 */
import { setImmediate as yieldToAnswers, setTimeout as sleep } from 'node:timers/promises';
import { classOf, type PlannedRequest } from './mix.ts';
import { perform, type PerformParts } from './perform.ts';
import type { Arrival } from './schedule.ts';
import type { Outcome } from './tally.ts';

export interface LoadPlan {
  readonly nextArrival: () => Arrival;
  readonly nextRequest: (region: string) => PlannedRequest;
  readonly runId: string;
  readonly warmUpSeconds: number;
  /** Measured; undefined: until `stop`. */
  readonly seconds: number | undefined;
  readonly inFlightMax: number;
  /** Ends the sending early; what is in flight is awaited all the same. */
  readonly stop: AbortSignal;
}

export interface LoadProgress {
  inFlight: number;
}

/** So that a long sleep notices `stop`. */
const SLEEP_MAX_MS = 100;
/** So that a driver that has fallen behind still reads answers. */
const BURST_MAX = 64;

/** Resolves when every request is settled, with the length of the measured part in seconds. */
export async function runLoad(
  plan: LoadPlan,
  parts: PerformParts,
  progress: LoadProgress,
): Promise<number> {
  const startMs = performance.now();
  const elapsedMs = (): number => performance.now() - startMs;
  const warmUpMs = plan.warmUpSeconds * 1_000;
  const endMs = plan.seconds === undefined ? Infinity : warmUpMs + plan.seconds * 1_000;
  const inFlight = new Set<Promise<void>>();
  let sent = 0;
  let burst = 0;

  const send = async (arrival: Arrival): Promise<void> => {
    const request = plan.nextRequest(arrival.region);
    sent += 1;
    const requestId = `${plan.runId}.${sent.toString(36)}`;
    const result: Outcome['result'] =
      inFlight.size >= plan.inFlightMax
        ? { kind: 'failed', code: 'DRIVER_OVERLOAD' }
        : await perform(parts, request, requestId);
    parts.tally.add({
      region: request.region,
      class: classOf(request),
      latencyMs: elapsedMs() - arrival.atMs,
      measured: arrival.atMs >= warmUpMs,
      result,
    });
  };

  let arrival = plan.nextArrival();
  while (arrival.atMs < endMs && !plan.stop.aborted) {
    const waitMs = arrival.atMs - elapsedMs();
    if (waitMs > 0) {
      burst = 0;
      await sleep(Math.min(waitMs, SLEEP_MAX_MS));
      continue;
    }
    const settled = send(arrival).finally(() => {
      inFlight.delete(settled);
      progress.inFlight = inFlight.size;
    });
    inFlight.add(settled);
    progress.inFlight = inFlight.size;
    arrival = plan.nextArrival();
    burst += 1;
    if (burst % BURST_MAX === 0) await yieldToAnswers();
  }
  const sendingEndedMs = Math.min(elapsedMs(), endMs);
  await Promise.all(inFlight);
  return Math.max(0, sendingEndedMs - warmUpMs) / 1_000;
}
