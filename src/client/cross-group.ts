/**
 * One attempt of a transaction over several groups: a serializable transaction in each, committed
 * together by last-agent two-phase commit (docs/decisions/0008).
 *
 *   function → PREPARE at all but the last → decision and COMMIT at the last → COMMIT PREPARED
 *
 * Before the decision is sent, every failure rolls all back and nothing has happened. The decision's own
 * answer may be lost: then the coordinator's group is asked, and only if it does not answer in time is
 * the outcome unknown. After the decision it is committed; the caller waits until every half can be
 * seen, so that its token means all of them.
 */
import type {
  PreparedSession,
  SessionTarget,
  TwoPhaseTransaction,
  TwoPhaseVerbs,
} from '../engines/connector.ts';
import { formatGid, type Decision } from '../engines/two-phase.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { Position } from '../topology/position.ts';
import type { Counters } from './counters.ts';
import type { Deadline } from './deadline.ts';
import { commitTakesMs, lastAgent, lockWaitMs, type Participant } from './last-agent.ts';
import type { Resolver } from './resolver.ts';

const FINISH_TIMEOUT_MS = 5_000;

/** Where an attempt is; a group's name says whose step it is. */
export type Phase =
  'begun' | 'preparing' | 'prepared' | 'deciding' | 'decided' | 'finishing' | 'finished';

/** Told before or after each step, and waited for: what the crash tests are built on. */
export type PhaseObserver = (phase: Phase, group: string) => Promise<void> | void;

export interface CrossGroupServices {
  readonly twoPhase: TwoPhaseVerbs;
  readonly resolver: Resolver;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
  readonly observe: PhaseObserver;
}

interface Joined extends Participant {
  readonly node: string;
  readonly session: TwoPhaseTransaction;
}

interface Waiting {
  readonly group: string;
  readonly prepared: PreparedSession;
}

/** Sessions at each target; `run` gets them in the order of the targets. */
export async function acrossGroups<T>(
  services: CrossGroupServices,
  of: {
    readonly targets: readonly SessionTarget[];
    readonly deadline: Deadline;
    readonly run: (sessions: readonly TwoPhaseTransaction[]) => Promise<T>;
    /** The last of its statements; `gid` is the name of the commit, null when one group was used. */
    readonly closing?: ((gid: string | null) => Promise<void>) | undefined;
  },
): Promise<{ readonly value: T; readonly positions: readonly Position[]; readonly node: string }> {
  const { deadline } = of;
  // The caller's signal ends connections, until the decision is made.
  const undecided = new AbortController();
  const onAbort = (): void => {
    undecided.abort(deadline.signal.reason);
  };
  deadline.signal.addEventListener('abort', onAbort, { once: true });
  if (deadline.signal.aborted) onAbort();
  const joined = await beginAll(services, of.targets, undecided.signal);
  try {
    let value: T;
    try {
      value = await of.run(joined.map((one) => one.session));
    } catch (error) {
      // A refusal that the function wrapped in an error of its own is still the reason.
      throw failureIn(joined) ?? error;
    }
    const failure = failureIn(joined);
    if (failure !== undefined) throw failure;
    const commit = new CrossGroupCommit(services, deadline, () => {
      deadline.signal.removeEventListener('abort', onAbort);
      // A connection that hangs now ends by this, and another finishes for it.
      services.clock.schedule(FINISH_TIMEOUT_MS, () => {
        undecided.abort();
      });
    });
    return { value, ...(await commit.run(joined, of.closing)) };
  } finally {
    // Within the deadline too: a server that says nothing does not answer this either.
    await Promise.all(joined.map(({ session }) => session.rollback()));
    deadline.signal.removeEventListener('abort', onAbort);
  }
}

/**
 * In one order for everybody, so that no two callers hold the connections that each other waits for.
 */
async function beginAll(
  services: CrossGroupServices,
  targets: readonly SessionTarget[],
  signal: AbortSignal,
): Promise<Joined[]> {
  const participants = targets.map(participantOf);
  services.resolver.used(targets.map((target) => target.group));
  const lockTimeoutMs = lockWaitMs(participants, services.random.next());
  const begun = new Map<string, Joined>();
  try {
    for (const target of targets.toSorted((a, b) => (a.group < b.group ? -1 : 1))) {
      const { access, node } = target;
      const bounded = access.kind === 'write' ? { ...access, lockTimeoutMs } : access;
      const session = await services.twoPhase.begin({ ...target, access: bounded }, { signal });
      begun.set(target.group, { ...participantOf(target), node: node.name, session });
      await services.observe('begun', target.group);
    }
  } catch (error) {
    await Promise.all([...begun.values()].map(({ session }) => session.rollback()));
    throw error;
  }
  return targets.flatMap(({ group }) => begun.get(group) ?? []);
}

function participantOf({ group, node }: SessionTarget): Participant {
  return { group, roundTripMs: node.roundTripMs };
}

function failureIn(joined: readonly Joined[]): MeridianError | undefined {
  return joined.find(({ session }) => session.failure !== undefined)?.session.failure;
}

interface Done {
  readonly positions: readonly Position[];
  readonly node: string;
}

class CrossGroupCommit {
  readonly #services: CrossGroupServices;
  readonly #deadline: Deadline;
  /** From here on the caller's signal ends its waiting alone. */
  readonly #shield: () => void;

  constructor(services: CrossGroupServices, deadline: Deadline, shield: () => void) {
    this.#services = services;
    this.#deadline = deadline;
    this.#shield = shield;
  }

  async run(
    joined: readonly Joined[],
    closing: (gid: string | null) => Promise<void> = async () => {},
  ): Promise<Done> {
    // Nothing was asked of them: they have nothing to agree to.
    const touched = joined.filter(({ session }) => session.begun);
    const [only = joined[0]] = touched;
    if (touched.length <= 1) {
      if (only === undefined) throw new MeridianError('ERR_INTERNAL', 'no participants');
      await closing(null);
      return { positions: [await only.session.commit()], node: only.node };
    }
    const neededMs = commitTakesMs(touched);
    if (this.#deadline.remainingMs() < neededMs) {
      throw new MeridianError(
        'ERR_DEADLINE_EXCEEDED',
        `a commit in ${String(touched.length)} groups takes about ${String(Math.ceil(neededMs))} ms, which is more than was left; nothing was committed`,
      );
    }
    const last = touched[lastAgent(touched)] as Joined;
    const gid = formatGid(last.group, this.#services.newId());
    const others = touched.filter((one) => one !== last);
    await closing(gid);
    try {
      const done = await this.#commit(gid, last, others);
      this.#services.counters.add('crossGroupCommitted');
      return done;
    } catch (error) {
      const unknown = isMeridianError(error) && error.outcome === 'unknown';
      this.#services.counters.add(unknown ? 'crossGroupUnknown' : 'crossGroupAborted');
      throw error;
    }
  }

  async #commit(gid: string, last: Joined, others: readonly Joined[]): Promise<Done> {
    const waiting = await this.#prepare(gid, others);
    const decided = await this.#decide(gid, last, waiting);
    await this.#services.observe('decided', last.group);
    const positions = await this.#finish(gid, waiting);
    return { positions: [decided, ...positions], node: last.node };
  }

  async #prepare(gid: string, others: readonly Joined[]): Promise<Waiting[]> {
    const { observe } = this.#services;
    const settled = await Promise.allSettled(
      others.map(async ({ group, session }): Promise<Waiting> => {
        await observe('preparing', group);
        const prepared = await session.prepare(gid);
        await observe('prepared', group);
        return { group, prepared };
      }),
    );
    const waiting = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed === undefined) return waiting;
    settled.forEach((one, index) => {
      if (one.status === 'fulfilled' || !mayBePrepared(one.reason)) return;
      void this.#services.resolver.finish(gid, others[index]?.group ?? '', 'abort');
    });
    await this.#end(gid, waiting, 'abort');
    throw failed.reason;
  }

  /** The position of the decision's commit; throws when it is an abort, or not known in time. */
  async #decide(gid: string, last: Joined, waiting: readonly Waiting[]): Promise<Position> {
    const { observe, resolver } = this.#services;
    await observe('deciding', last.group);
    try {
      return await last.session.commitDeciding(gid);
    } catch (error) {
      if (!isMeridianError(error) || error.outcome !== 'unknown') {
        await this.#end(gid, waiting, 'abort');
        throw error;
      }
      const asked = { gid, coordinator: last.group };
      const settled = await resolver.settle(asked, this.#deadline.signal);
      if (settled?.decision === 'commit') return settled.position;
      if (settled?.decision === 'abort') {
        await this.#end(gid, waiting, 'abort');
        throw new MeridianError(
          'ERR_ENGINE_UNAVAILABLE',
          'the connection was lost before the decision; everything was rolled back',
          { cause: error },
        );
      }
      for (const { prepared } of waiting) prepared.leave();
      const groups = waiting.map(({ group }) => group);
      resolver.resolveLater(gid, last.group, groups);
      throw error;
    }
  }

  /** Committed: waits until it is so everywhere, or for as long as the caller waits. */
  async #finish(gid: string, waiting: readonly Waiting[]): Promise<Position[]> {
    this.#shield();
    const positions = await orAborted(this.#end(gid, waiting, 'commit'), this.#deadline.signal);
    return allOf(waiting.length, positions);
  }

  /** On their own connections, or by new ones where those fail. */
  #end(
    gid: string,
    waiting: readonly Waiting[],
    decision: Decision,
  ): Promise<(Position | undefined)[]> {
    const { observe, resolver } = this.#services;
    return Promise.all(
      waiting.map(async ({ group, prepared }) => {
        try {
          await observe('finishing', group);
          const position = await prepared.finish(decision);
          await observe('finished', group);
          return position;
        } catch {
          const finished = resolver.finish(gid, group, decision);
          // Nobody needs to wait for an abort: what runs next waits for its rows at most.
          return decision === 'commit' ? finished : undefined;
        }
      }),
    );
  }
}

/**
 * The positions that show a transaction known to be committed in these groups; a half that still waits
 * for its outcome is finished. Whoever waits for the same is not disturbed: it happens once.
 */
export async function seenIn(
  { resolver }: CrossGroupServices,
  of: { readonly gid: string; readonly groups: readonly string[]; readonly signal: AbortSignal },
): Promise<Position[]> {
  const { gid, groups, signal } = of;
  return allOf(
    groups.length,
    await Promise.all(groups.map((group) => resolver.reveal(gid, group, signal))),
  );
}

function allOf(count: number, positions: readonly (Position | undefined)[] = []): Position[] {
  const known = positions.filter((position) => position !== undefined);
  if (known.length === count) return known;
  throw new MeridianError(
    'ERR_ENGINE_COMMIT_UNKNOWN',
    'the transaction is committed, but was not visible in every group in time; it will be',
    { outcome: 'unknown', details: { decided: 'commit' } },
  );
}

/** An ERROR that names its state rolled back; a lost connection may have prepared first. */
function mayBePrepared(error: unknown): boolean {
  return (
    !isMeridianError(error) ||
    error.code === 'ERR_ENGINE_UNAVAILABLE' ||
    error.code === 'ERR_ABORTED' ||
    error.code === 'ERR_ENGINE_COMMIT_UNKNOWN'
  );
}

/** Undefined as soon as the signal aborts; the promise goes on without us. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let giveUp = (): void => {};
  const aborted = new Promise<undefined>((resolve) => {
    giveUp = () => {
      resolve(undefined);
    };
  });
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
