/**
 * Waits until no gateway uses an app server that has left the routing view, so that it may be ended.
 *
 * A gateway that has not seen the view may still send a request at any moment: it is waited for as
 * long as it lives, however late it is. One that has seen it sends nothing more; what it still has in
 * flight gets as long as a request may take, and what lasts longer (an endless answer) ends with its
 * server, in the server's own orderly way.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';

/** Of one gateway: has not seen the view, waits for answers, or is done with the server. */
export type LetGoAnswer = 'unseen' | 'busy' | 'free';

export interface LetGoOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Gateway → what it says of an app server that a view of at least this version takes out. */
  readonly uses: (instance: string, version: number) => ReadonlyMap<string, LetGoAnswer>;
  /** Of the picture as it is now. */
  readonly version: () => number;
  /** No request is in flight for longer. */
  readonly inFlightMs: number;
  /** While everything stops the waiting is short, whatever the gateways say. */
  readonly stopping: () => boolean;
}

/** Resolves when the instance may be ended. `onLate` is told once, while the waiting goes on. */
export type LetGoOf = (instance: string, onLate: (why: string) => void) => Promise<void>;

/** A gateway that has not seen a view by then is late. */
const NOTICE_MS = 10_000;
const POLL_MS = 10;
/** Ctrl-C's five seconds are for more than this. */
const STOPPING_UNSEEN_MS = 150;
const STOPPING_IN_FLIGHT_MS = 1_500;

/** To be called once the picture shows the instance as not ready. */
export function lettingGo(options: LetGoOptions): LetGoOf {
  const { clock, log } = options;
  return async (instance, onLate) => {
    const version = options.version();
    const startMs = clock.monotonicMs();
    const notFree = (): ReadonlyMap<string, LetGoAnswer> =>
      new Map([...options.uses(instance, version)].filter(([, answer]) => answer !== 'free'));
    let seenMs: number | undefined;
    let stoppingMs: number | undefined;
    let late = false;
    for (let users = notFree(); users.size > 0; users = notFree()) {
      const nowMs = clock.monotonicMs();
      const blind = [...users].filter(([, answer]) => answer === 'unseen').map(([name]) => name);
      if (options.stopping()) {
        stoppingMs ??= nowMs;
        const limitMs = blind.length > 0 ? STOPPING_UNSEEN_MS : STOPPING_IN_FLIGHT_MS;
        if (nowMs - stoppingMs >= limitMs) return;
      }
      if (blind.length === 0) {
        seenMs ??= nowMs;
        if (nowMs - seenMs >= options.inFlightMs) {
          log.warn('an app server ends with answers under way', {
            instance,
            to: [...users.keys()],
          });
          return;
        }
      } else if (!late && nowMs - startMs >= NOTICE_MS) {
        late = true;
        log.error('gateways do not say that they have left an app server', { instance, blind });
        onLate(
          `${blind.join(', ')} may still use ${instance}, which is kept until it says otherwise`,
        );
      }
      await clock.sleep(POLL_MS);
    }
  };
}
