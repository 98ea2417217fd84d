/**
 * Runs one transaction function until it commits, or must not be tried again. The decision is
 * retry-policy.ts; the route of each attempt is taken from the newest view at that moment.
 */
import type { ControlSubscription } from '../control/subscription.ts';
import type {
  Connector,
  Scope,
  SessionTarget,
  SessionTransaction,
  StatementLimits,
} from '../engines/connector.ts';
import { present } from '../kernel/assert.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import { formatToken, type Position } from '../topology/position.ts';
import type { RoutingView } from '../topology/routing.ts';
import type { Committed } from './api.ts';
import type { Counters } from './counters.ts';
import { acrossGroups, seenIn, type CrossGroupServices } from './cross-group.ts';
import { startDeadline, type Deadline } from './deadline.ts';
import { handleOn, type Handle } from './handle.ts';
import { answerText, KeyClaim, keptAnswer, parseAnswer, type Keyed } from './idempotency.ts';
import type { KeysInFlight } from './keys-in-flight.ts';
import type { ClientLimits } from './options.ts';
import { judge } from './retry-policy.ts';

export interface AttemptServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly connector: Connector;
  readonly control: ControlSubscription;
  readonly limits: ClientLimits;
  readonly counters: Counters;
  readonly keysInFlight: KeysInFlight;
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
  readonly keyed?: Keyed | undefined;
}

/** What is known of a key between the attempts of one call. */
interface KeyState {
  readonly keyed: Keyed;
  /** The key has been used: its answer is wanted, the function is not to run. */
  used: boolean;
  /** An earlier attempt of unknown outcome. Until that is resolved it is what a failure throws. */
  doubt: MeridianError | undefined;
  /** The claim of the last attempt succeeded. */
  standing: boolean;
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
  const state: KeyState | undefined =
    work.keyed === undefined
      ? undefined
      : { keyed: work.keyed, used: false, doubt: undefined, standing: false };
  let leave = (): void => {};
  try {
    if (state !== undefined) leave = await services.keysInFlight.enter(state.keyed, deadline);
    for (let attempt = 1; ; attempt += 1) {
      const { view } = control;
      let target: SessionTarget | CrossGroupRoute | undefined;
      let failure: MeridianError;
      try {
        target = await work.route(view, hints);
        const to = { work, attempt, deadline, state };
        const done =
          'targets' in target && state?.used !== true
            ? await attemptAcross(services, { ...to, route: target })
            : await attemptOnce(services, { ...to, ...withKeyIn(target) });
        if (done !== undefined) return done;
        continue;
      } catch (error) {
        // The application's own error ends the transaction: it is not ours to judge.
        if (!isMeridianError(error)) throw error;
        failure = error;
      }
      if (state !== undefined && failure.code === 'ERR_IDEMPOTENCY_KEY_USED') {
        state.used = true;
        continue;
      }
      if (failure.outcome === 'unknown') {
        counters.add('commitsUnknown');
        if (state !== undefined) state.doubt = failure;
      } else if (deadline.signal.aborted) throw deadline.error();
      if (work.mayRunAgain?.() === false) throw failure;
      const onReplica =
        target !== undefined && 'access' in target && target.access.kind === 'replica-read';
      const retriesMax = work.retriesMax ?? limits.retriesMax;
      const verdict = judge({
        ...{ error: failure, attempt, retriesMax, onReplica },
        keyed: state !== undefined,
        unresolved: state?.doubt !== undefined || waitsForKey(state, failure),
      });
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
  } catch (error) {
    throw state?.doubt ?? error;
  } finally {
    leave();
    deadline.end();
  }
}

interface Once<T> {
  readonly work: Work<T>;
  readonly target: SessionTarget;
  /** The other groups of the transaction. */
  readonly alsoIn: readonly string[];
  readonly attempt: number;
  readonly deadline: Deadline;
  readonly state: KeyState | undefined;
}

/** Undefined: the answer that was to be found has expired, and the key is free again. */
async function attemptOnce<T>(
  services: AttemptServices,
  once: Once<T>,
): Promise<Committed<T> | undefined> {
  const session = await services.connector.begin(once.target, {
    ...once.work.statementLimits,
    signal: once.deadline.signal,
  });
  try {
    if (once.state?.used === true) return await replay(services, session, once);
    const { value, position } = await runOnce(session, once);
    return committed(once, [position], { value, replayed: false });
  } finally {
    await session.rollback();
  }
}

async function attemptAcross<T>(
  services: AttemptServices,
  once: Omit<Once<T>, 'target' | 'alsoIn'> & { readonly route: CrossGroupRoute },
): Promise<Committed<T>> {
  const { work, route, attempt, deadline, state } = once;
  const { signal } = deadline;
  const groups = route.targets.map((target) => target.group);
  if (services.crossGroup === undefined) {
    throw new MeridianError(
      'ERR_CROSS_GROUP_TRANSACTION',
      `the accounts live in several replication groups: ${groups.join(', ')}`,
      { details: { groups } },
    );
  }
  let claim: KeyClaim | undefined;
  let text: string | null = null;
  const { value, positions, node } = await acrossGroups(services.crossGroup, {
    targets: route.targets,
    deadline,
    run: async (sessions) => {
      // The key is kept with the first account, so its group is one of those that commit together.
      const made = claimOn(present(sessions[0], 'a session'), state);
      claim = made;
      if (state?.doubt !== undefined) await made?.make();
      const seen = sessions.map((session, index) => {
        if (made === undefined) return session;
        return index === 0 ? made.inFront() : made.behind(session);
      });
      const done = await work.run(
        route.places.map(({ target, scope }) =>
          handleOn(present(seen[target], 'a session'), { scope, attempt, signal }),
        ),
      );
      if (made === undefined) return done;
      text = answerText(done);
      await made.make();
      return parseAnswer(text) as T;
    },
    closing: async (gid) => claim?.keep(text, gid),
  });
  const token = formatToken(positions);
  return { value, token, attempts: attempt, node, replayed: false };
}

/** Where the key of a transaction is: with its first account, in the first group. */
function withKeyIn(to: SessionTarget | CrossGroupRoute): Pick<Once<unknown>, 'target' | 'alsoIn'> {
  if (!('targets' in to)) return { target: to, alsoIn: [] };
  const [first, ...others] = to.targets;
  return { target: present(first, 'a target'), alsoIn: others.map(({ group }) => group) };
}

/**
 * The key is held by a transaction that has not ended, such as one in doubt: how often the wait for it
 * was cut short says nothing, the deadline bounds it.
 */
function waitsForKey(state: KeyState | undefined, failure: MeridianError): boolean {
  return state?.standing === false && failure.code === 'ERR_ENGINE_SERIALIZATION';
}

function claimOn(session: SessionTransaction, state: KeyState | undefined): KeyClaim | undefined {
  if (state === undefined) return undefined;
  state.standing = false;
  return new KeyClaim(session, state.keyed, () => {
    // It stands: an earlier attempt is void, and can't be committed any more.
    state.doubt = undefined;
    state.standing = true;
  });
}

async function runOnce<T>(
  session: SessionTransaction,
  once: Once<T>,
): Promise<{ readonly value: T; readonly position: Position }> {
  const { work, target, state, attempt } = once;
  const { signal } = once.deadline;
  const claim = claimOn(session, state);
  let value: T;
  try {
    if (state?.doubt !== undefined) await claim?.make();
    value = await work.run(
      target.scopes.map((_: Scope, index) =>
        handleOn(claim?.inFront() ?? session, { scope: index, attempt, signal }),
      ),
    );
    await claim?.make();
  } catch (error) {
    // A database refusal that the function wrapped in an error of its own is still the reason.
    throw session.failure ?? error;
  }
  if (claim === undefined) return { value, position: await session.commit() };
  const text = answerText(value);
  const position = await claim.commit(text);
  // As a replay would give it, so that what JSON loses is missed the first time.
  return { value: parseAnswer(text) as T, position };
}

async function replay<T>(
  services: AttemptServices,
  session: SessionTransaction,
  once: Once<T>,
): Promise<Committed<T> | undefined> {
  const { state } = once;
  if (state === undefined) return undefined;
  const kept = await keptAnswer(session, state.keyed);
  if (kept === undefined) {
    state.used = false;
    return undefined;
  }
  // On a quorum from here on. A key is committed with its whole transaction or not at all, so what
  // other groups have of that is committed too, or about to be.
  const positions = [await session.commit()];
  const { alsoIn, deadline } = once;
  if (kept.gid !== null && alsoIn.length > 0 && services.crossGroup !== undefined) {
    const asked = { gid: kept.gid, groups: alsoIn, signal: deadline.signal };
    positions.push(...(await seenIn(services.crossGroup, asked)));
  }
  services.counters.add('replays');
  return committed(once, positions, { value: kept.value as T, replayed: true });
}

function committed<T>(
  { target, attempt }: Once<T>,
  positions: readonly Position[],
  result: Pick<Committed<T>, 'value' | 'replayed'>,
): Committed<T> {
  return {
    ...result,
    token: formatToken(positions),
    attempts: attempt,
    node: target.node.name,
  };
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
