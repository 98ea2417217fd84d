/**
 * Tells the supervisor, every few seconds, what this process has counted. A report that fails is
 * dropped: the next one says all of it again. Owned by whoever started it; `close` ends it at once.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { postReport } from '../post-report.ts';
import type { MetricsReport, Sample } from './sample.ts';

const INTERVAL_MS = 2_500;

export interface MetricsReporterOptions {
  /** Of the control server. */
  readonly url: string;
  readonly token: string;
  readonly process: string;
  readonly clock: Clock;
  readonly read: () => readonly Sample[];
}

export interface MetricsReporter {
  close(): void;
}

export function startMetricsReporter(options: MetricsReporterOptions): MetricsReporter {
  const { clock, token, process } = options;
  const url = new URL('/v1/metrics', options.url);
  const instance = randomUUID();
  const abort = new AbortController();
  let cancel = (): void => {};
  const plan = (): void => {
    if (abort.signal.aborted) return;
    cancel = clock.schedule(INTERVAL_MS, () => {
      const report: MetricsReport = { process, instance, samples: options.read() };
      void postReport({ url, token, signal: abort.signal }, report).then(plan);
    });
  };
  plan();
  return {
    close: () => {
      abort.abort();
      cancel();
    },
  };
}
