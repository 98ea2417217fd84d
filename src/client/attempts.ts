/**
 * Runs one transaction function until it commits, or must not be tried again. The decision is
 * retry-policy.ts; the route of each attempt is taken from the newest view at that moment.
 */
import type { SessionTarget } from '../engines/connector.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { AccountId, RangeName, RoutingView } from '../topology/routing.ts';
import type { Committed } from './api.ts';
import { startDeadline, type Deadline } from './deadline.ts';
import { leads } from './leadership.ts';
import {
  attemptAcross,
  attemptOnce,
  waitsForKey,
  withKeyIn,
  type KeyState,
} from './one-attempt.ts';
import { judge, type Verdict } from './retry-policy.ts';
import { outOfTime, untilNews } from './waiting.ts';
import type { AttemptServices, CrossGroupRoute, Hints, Work } from './work.ts';

type Route = SessionTarget | CrossGroupRoute;

const LEADERLESS_WAIT_MS = 5_000;
/** Longer than a range or a group is handed over. */
const HANDOVER_MS = 1_000;

export async function runAttempts<T>(
  services: AttemptServices,
  work: Work<T>,
): Promise<Committed<T>> {
  const deadline = startDeadline(services.clock, {
    timeoutMs: work.timeoutMs ?? services.limits.timeoutMs,
    signal: work.signal,
  });
  const state: KeyState | undefined =
    work.keyed === undefined
      ? undefined
      : { keyed: work.keyed, used: false, doubt: undefined, standing: false };
  let leave = (): void => {};
  try {
    if (state !== undefined) leave = await services.keysInFlight.enter(state.keyed, deadline);
    return await new Attempts(services, work, { deadline, state }).run();
  } catch (error) {
    throw state?.doubt ?? error;
  } finally {
    leave();
    deadline.end();
  }
}

class Attempts<T> {
  readonly #services: AttemptServices;
  readonly #work: Work<T>;
  readonly #deadline: Deadline;
  readonly #state: KeyState | undefined;
  readonly #hints: { fresh: boolean; leader: boolean } & Pick<Hints, 'departed' | 'deadline'>;
  readonly #retriesMax: number;
  #attempt = 0;
  /** Failures that count towards `retriesMax`. */
  #conflicts = 0;
  /** Others, which are waited out. */
  #waits = 0;
  #staleSinceMs: number | undefined;
  #redirects = 0;
  #last: MeridianError | undefined;

  constructor(
    services: AttemptServices,
    work: Work<T>,
    call: { readonly deadline: Deadline; readonly state: KeyState | undefined },
  ) {
    this.#services = services;
    this.#work = work;
    this.#deadline = call.deadline;
    this.#state = call.state;
    this.#hints = {
      ...{ fresh: false, leader: false, departed: new Map() },
      deadline: call.deadline,
    };
    this.#retriesMax = work.retriesMax ?? services.limits.retriesMax;
  }

  async run(): Promise<Committed<T>> {
    const state = this.#state;
    for (;;) {
      this.#attempt += 1;
      const { view } = this.#services.control;
      let route: Route | undefined;
      try {
        route = await this.#work.route(view, this.#hints);
        const done = await this.#try(route);
        if (done !== undefined) {
          this.#counted(route);
          return done;
        }
      } catch (error) {
        // The application's own error ends the transaction: it is not ours to judge.
        if (!isMeridianError(error)) throw error;
        if (state !== undefined && error.code === 'ERR_IDEMPOTENCY_KEY_USED') state.used = true;
        else await this.#afterFailure(error, view, route);
      }
    }
  }

  /** What a replica answered costs the same wherever the home is. */
  #counted(route: Route): void {
    const { tally } = this.#services;
    if (tally === undefined) return;
    for (const { access, scopes } of 'targets' in route ? route.targets : [route]) {
      if (access.kind === 'replica-read') continue;
      for (const { account } of scopes) if (account !== undefined) tally.count(account);
    }
  }

  #try(route: Route): Promise<Committed<T> | undefined> {
    const services = this.#services;
    const to = {
      ...{ work: this.#work, attempt: this.#attempt },
      ...{ deadline: this.#deadline, state: this.#state },
    };
    return 'targets' in route && this.#state?.used !== true
      ? attemptAcross(services, { ...to, route })
      : attemptOnce(services, { ...to, ...withKeyIn(route) });
  }

  /** Returns when it is time for the next attempt; throws when there is none. */
  async #afterFailure(
    failure: MeridianError,
    view: RoutingView,
    route: Route | undefined,
  ): Promise<void> {
    const { counters } = this.#services;
    const state = this.#state;
    if (failure.outcome === 'unknown') {
      counters.add('commitsUnknown');
      if (state !== undefined) state.doubt = failure;
    } else if (this.#deadline.signal.aborted) throw outOfTime(this.#deadline, this.#last);
    if (this.#work.mayRunAgain?.() === false) throw failure;
    this.#last = failure;
    const replica = this.#replicaOf(route, view);
    const verdict = judge({
      ...{ error: failure, conflicts: this.#conflicts, retriesMax: this.#retriesMax },
      replica: replica?.role,
      redirects: this.#redirects,
      keyed: state !== undefined,
      unresolved: state?.doubt !== undefined || waitsForKey(state, failure),
    });
    if (verdict.kind === 'give-up') throw this.#givenUp(failure, verdict);
    if (verdict.kind === 'use-leader') counters.add('readsRedirected');
    else counters.retried(failure.code);
    if (replica !== undefined && failure.code === 'ERR_ENGINE_UNAVAILABLE') {
      if (failure.details['silent'] === true) counters.add('replicasSilent');
      this.#services.avoided.note(replica.node);
    }
    if (verdict.kind === 'redirected') {
      this.#redirects += 1;
      const { account, into } = failure.details['departed'] as Departed;
      this.#hints.departed.set(account, into);
    }
    this.#hints.leader ||= verdict.kind === 'use-leader';
    this.#hints.fresh = this.#directoryInDoubt(failure, route, replica !== undefined);
    await this.#wait(verdict, view, replica?.leaderless === true);
  }

  /** Of a read that went to a replica: to which, and what the view says of its group. */
  #replicaOf(
    route: Route | undefined,
    view: RoutingView,
  ): { node: string; role: 'leader' | 'follower'; leaderless: boolean } | undefined {
    if (route === undefined || 'targets' in route) return undefined;
    if (route.access.kind !== 'replica-read') return undefined;
    const node = route.node.name;
    const leader = view.groups[route.group]?.leader;
    return {
      node,
      role: node === leader ? 'leader' : 'follower',
      leaderless: leader === undefined,
    };
  }

  /**
   * A refusal as stale that the view explains says nothing of the directory. Nor do those of a moment: whoever
   * hands over a group or a range refuses until everybody has heard of it, and looking an account up may be
   * far. Of an account that has left its range the database says so itself.
   */
  #directoryInDoubt(failure: MeridianError, route: Route | undefined, onReplica: boolean): boolean {
    if (failure.code !== 'ERR_ENGINE_STALE_ROUTE' || onReplica) {
      this.#staleSinceMs = undefined;
      return false;
    }
    const { view } = this.#services.control;
    const targets = route === undefined ? [] : 'targets' in route ? route.targets : [route];
    if (!targets.every((target) => leads(view, target))) return false;
    const nowMs = this.#services.clock.monotonicMs();
    this.#staleSinceMs ??= nowMs;
    if (nowMs - this.#staleSinceMs < HANDOVER_MS) return false;
    this.#staleSinceMs = nowMs;
    return true;
  }

  async #wait(verdict: Verdict, view: RoutingView, leaderless: boolean): Promise<void> {
    const { limits, random, clock } = this.#services;
    const { signal } = this.#deadline;
    const bounds = { baseMs: limits.backoffBaseMs, maxMs: limits.backoffMaxMs };
    if (verdict.kind === 'await-route' || (verdict.kind === 'use-leader' && leaderless)) {
      this.#waits += 1;
      const leaderOf = leaderlessGroup(this.#last);
      // A safety net alone, where the view that is waited for says all there is to know.
      const atMostMs =
        leaderOf === undefined
          ? backoffMs(this.#waits, random, { ...bounds, maxMs: limits.newsWaitMaxMs })
          : LEADERLESS_WAIT_MS;
      await untilNews(this.#services, { version: view.version, leaderOf, atMostMs, signal });
    } else if (verdict.kind === 'again') {
      this.#conflicts += 1;
      if (verdict.wait === 'backoff') {
        const waitMs = backoffMs(this.#conflicts, random, bounds);
        await clock.sleep(waitMs, signal).catch(() => {});
      }
    }
    if (signal.aborted) throw outOfTime(this.#deadline, this.#last);
  }

  #givenUp(
    failure: MeridianError,
    { why }: { readonly why: 'final' | 'exhausted' },
  ): MeridianError {
    if (why === 'final') return failure;
    return new MeridianError(
      'ERR_RETRIES_EXHAUSTED',
      `gave up after ${String(this.#attempt)} attempts; the last failed with ${failure.code}: ${failure.message}`,
      { cause: failure, details: { lastCode: failure.code } },
    );
  }
}

interface Departed {
  readonly account: AccountId;
  readonly into: RangeName;
}

function leaderlessGroup(failure: MeridianError | undefined): string | undefined {
  const name = failure?.details['leaderless'];
  return typeof name === 'string' ? name : undefined;
}
