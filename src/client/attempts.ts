/**
 * Runs one transaction function until it commits, or must not be tried again. The decision is
 * retry-policy.ts; the route of each attempt is taken from the newest view at that moment.
 */
import type { ControlSubscription } from '../control/subscription.ts';
import type { Connector, Scope, SessionTarget, StatementLimits } from '../engines/connector.ts';
import { present } from '../kernel/assert.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import { formatToken } from '../topology/position.ts';
import type { RoutingView } from '../topology/routing.ts';
import type { Committed } from './api.ts';
import type { Counters } from './counters.ts';
import { acrossGroups, type CrossGroupServices } from './cross-group.ts';
import { startDeadline, type Deadline } from './deadline.ts';
import { handleOn, type Handle } from './handle.ts';
import type { ClientLimits } from './options.ts';
import { judge } from './retry-policy.ts';

export interface AttemptServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly connector: Connector;
  readonly control: ControlSubscription;
  readonly limits: ClientLimits;
  readonly counters: Counters;
  /** Undefined: the engine cannot. */
  readonly crossGroup?: CrossGroupServices | undefined;
}

/** A transaction in several groups. */
export interface CrossGroupRoute {
  /** One a group, in the order of the accounts. */
  readonly targets: readonly SessionTarget[];
  /** Of each handle: its target, and which of the target's scopes. */
  readonly places: readonly { readonly target: number; readonly scope: number }[];
}

export interface Work<T> {
  /**
   * Where this attempt goes. `fresh`: the last one met a stale route; `leader`: a replica could not
   * serve it.
   */
  route(
    view: RoutingView,
    hints: { readonly fresh: boolean; readonly leader: boolean; readonly deadline: Deadline },
  ): Promise<SessionTarget | CrossGroupRoute>;
  run(handles: readonly Handle[]): Promise<T>;
  /** False: a failure is final, whatever it is; default: true. */
  readonly mayRunAgain?: (() => boolean) | undefined;
  readonly statementLimits?: StatementLimits;
  readonly timeoutMs: number | undefined;
  readonly retriesMax: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export async function runAttempts<T>(
  services: AttemptServices,
  work: Work<T>,
): Promise<Committed<T>> {
  const { clock, limits, control, counters } = services;
  const deadline = startDeadline(clock, {
    timeoutMs: work.timeoutMs ?? limits.timeoutMs,
    signal: work.signal,
  });
  const hints = { fresh: false, leader: false, deadline };
  try {
    for (let attempt = 1; ; attempt += 1) {
      const { view } = control;
      let target: SessionTarget | CrossGroupRoute | undefined;
      let failure: MeridianError;
      try {
        target = await work.route(view, hints);
        return 'targets' in target
          ? await attemptAcross(services, { work, route: target, attempt, deadline })
          : await attemptOnce(services, { work, target, attempt, deadline });
      } catch (error) {
        // The application's own error ends the transaction: it is not ours to judge.
        if (!isMeridianError(error)) throw error;
        failure = error;
      }
      if (failure.outcome === 'unknown') counters.add('commitsUnknown');
      else if (deadline.signal.aborted) throw deadline.error();
      if (work.mayRunAgain?.() === false) throw failure;
      const onReplica =
        target !== undefined && 'access' in target && target.access.kind === 'replica-read';
      const retriesMax = work.retriesMax ?? limits.retriesMax;
      const verdict = judge({ error: failure, attempt, retriesMax, onReplica });
      if (verdict.kind === 'give-up') throw givenUp(failure, attempt, retriesMax);
      if (verdict.kind === 'use-leader') counters.add('readsRedirected');
      else counters.retried(failure.code);
      hints.leader ||= verdict.kind === 'use-leader';
      hints.fresh = failure.code === 'ERR_ENGINE_STALE_ROUTE' && !onReplica;
      if (verdict.kind === 'reroute') await newerView(services, view, deadline);
      else if (verdict.kind === 'again' && verdict.wait === 'backoff') {
        await pause(services, attempt, deadline);
      }
    }
  } finally {
    deadline.end();
  }
}

async function attemptOnce<T>(
  services: AttemptServices,
  once: {
    readonly work: Work<T>;
    readonly target: SessionTarget;
    readonly attempt: number;
    readonly deadline: Deadline;
  },
): Promise<Committed<T>> {
  const { work, target, attempt, deadline } = once;
  const session = await services.connector.begin(target, {
    ...work.statementLimits,
    signal: deadline.signal,
  });
  let value: T;
  try {
    value = await work.run(
      target.scopes.map((_: Scope, index) =>
        handleOn(session, { scope: index, attempt, signal: deadline.signal }),
      ),
    );
  } catch (error) {
    await session.rollback();
    // A database refusal that the function wrapped in an error of its own is still the reason.
    throw session.failure ?? error;
  }
  try {
    const position = await session.commit();
    return { value, token: formatToken([position]), attempts: attempt, node: target.node.name };
  } finally {
    await session.rollback();
  }
}

async function attemptAcross<T>(
  services: AttemptServices,
  once: {
    readonly work: Work<T>;
    readonly route: CrossGroupRoute;
    readonly attempt: number;
    readonly deadline: Deadline;
  },
): Promise<Committed<T>> {
  const { work, route, attempt, deadline } = once;
  const groups = route.targets.map((target) => target.group);
  if (services.crossGroup === undefined) {
    throw new MeridianError(
      'ERR_CROSS_GROUP_TRANSACTION',
      `the accounts live in several replication groups: ${groups.join(', ')}`,
      { details: { groups } },
    );
  }
  const { value, positions, node } = await acrossGroups(services.crossGroup, {
    targets: route.targets,
    deadline,
    run: (sessions) =>
      work.run(
        route.places.map(({ target, scope }) =>
          handleOn(present(sessions[target], 'a session'), {
            scope,
            attempt,
            signal: deadline.signal,
          }),
        ),
      ),
  });
  return { value, token: formatToken(positions), attempts: attempt, node };
}

async function newerView(
  services: AttemptServices,
  view: RoutingView,
  deadline: Deadline,
): Promise<void> {
  if (services.control.view.version > view.version) return;
  const waited = new AbortController();
  const stop = (): void => {
    waited.abort();
  };
  const cancel = services.clock.schedule(services.limits.rerouteWaitMs, stop);
  deadline.signal.addEventListener('abort', stop, { once: true });
  try {
    await services.control.newerThan(view.version, waited.signal);
  } catch {
    // No news: the old route may have become right again (a leader that was opening).
    if (deadline.signal.aborted) throw deadline.error();
  } finally {
    cancel();
    deadline.signal.removeEventListener('abort', stop);
  }
}

async function pause(
  services: AttemptServices,
  attempt: number,
  deadline: Deadline,
): Promise<void> {
  const ms = backoffMs(attempt, services.random, {
    baseMs: services.limits.backoffBaseMs,
    maxMs: services.limits.backoffMaxMs,
  });
  try {
    await services.clock.sleep(ms, deadline.signal);
  } catch {
    throw deadline.error();
  }
}

function givenUp(failure: MeridianError, attempt: number, retriesMax: number): MeridianError {
  if (attempt <= retriesMax || failure.retry === 'never' || failure.outcome === 'unknown') {
    return failure;
  }
  return new MeridianError(
    'ERR_RETRIES_EXHAUSTED',
    `gave up after ${String(attempt)} attempts; the last failed with ${failure.code}: ${failure.message}`,
    { cause: failure, details: { lastCode: failure.code } },
  );
}
