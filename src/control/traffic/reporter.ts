/**
 * Tells the supervisor what was counted, every few seconds, if there is anything. A report that fails is
 * dropped: placement looks at hours and days. Owned by whoever started it; `close` ends it at once.
 */
import type { Clock } from '../../kernel/clock.ts';
import { postReport } from '../post-report.ts';
import type { TrafficReport } from './report.ts';
import type { TrafficTally } from './tally.ts';

const INTERVAL_MS = 2_500;

export function startTrafficReporter(options: {
  /** Of the control server. */
  readonly url: string;
  readonly token: string;
  readonly region: string;
  readonly clock: Clock;
  readonly tally: TrafficTally;
}): { close(): void } {
  const { clock, token, region, tally } = options;
  const url = new URL('/v1/traffic', options.url);
  const abort = new AbortController();
  let cancel = (): void => {};
  const plan = (): void => {
    if (abort.signal.aborted) return;
    cancel = clock.schedule(INTERVAL_MS, () => {
      const accounts = tally.take();
      const report: TrafficReport = { region, accounts };
      const sent =
        accounts.length === 0
          ? Promise.resolve()
          : postReport({ url, token, signal: abort.signal }, report);
      void sent.then(plan);
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
