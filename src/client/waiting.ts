/** The waits between attempts: each ends at its time, at the call's deadline, or with news. */
import type { ControlSubscription } from '../control/subscription.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { GroupName } from '../topology/position.ts';
import type { RoutingView } from '../topology/routing.ts';
import type { Deadline } from './deadline.ts';

export interface WaitServices {
  readonly clock: Clock;
  readonly control: Pick<ControlSubscription, 'view' | 'newerThan'>;
}

export interface News {
  readonly version: number;
  /** Nothing else is news: other groups change, and this one goes through phases, while many wait. */
  readonly leaderOf?: GroupName | undefined;
  readonly atMostMs: number;
  readonly signal: AbortSignal;
}

/**
 * Resolves with the first view newer than `version`, after `atMostMs`, or when the signal aborts.
 *
 * @throws ERR_ENGINE_CLOSED when there will be no news any more.
 */
export async function untilNews({ clock, control }: WaitServices, wait: News): Promise<void> {
  const { version, leaderOf, signal } = wait;
  const isNews = (view: Pick<RoutingView, 'version' | 'groups'>): boolean =>
    view.version > version &&
    (leaderOf === undefined || view.groups[leaderOf]?.leader !== undefined);
  if (isNews(control.view) || signal.aborted) return;
  const waited = new AbortController();
  const stop = (): void => {
    waited.abort();
  };
  const cancel = clock.schedule(wait.atMostMs, stop);
  signal.addEventListener('abort', stop, { once: true });
  try {
    for (let seen = version; ;) {
      const view = await control.newerThan(seen, waited.signal);
      if (isNews(view)) return;
      seen = view.version;
    }
  } catch (error) {
    // No news in time: the old route may have become right again (a leader that was opening). But whoever
    // tried again after the end of the subscription would do so at once and for ever, and time would stop.
    if (!waited.signal.aborted) throw error;
  } finally {
    cancel();
    signal.removeEventListener('abort', stop);
  }
}

/** What ends a call whose deadline has struck: with what it was waiting out, where that is known. */
export function outOfTime(deadline: Deadline, last: MeridianError | undefined): MeridianError {
  const error = deadline.error();
  if (last === undefined || error.code !== 'ERR_DEADLINE_EXCEEDED') return error;
  return new MeridianError(
    'ERR_DEADLINE_EXCEEDED',
    `${error.message}; the last attempt failed with ${last.code}: ${last.message}`,
    { cause: last, details: { lastCode: last.code } },
  );
}
