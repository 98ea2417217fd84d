/**
 * One attempt: takes its sessions, runs the function in them, and commits; or finds the answer that an
 * earlier attempt has kept. It decides nothing about what follows a failure.
 */
import type { Scope, SessionTarget, SessionTransaction } from '../engines/connector.ts';
import { present } from '../kernel/assert.ts';
import { MeridianError } from '../kernel/errors.ts';
import { formatToken, mergeTokens, type Position, type Token } from '../topology/position.ts';
import type { Committed } from './api.ts';
import { acrossGroups, seenIn } from './cross-group.ts';
import type { Deadline } from './deadline.ts';
import { handleOn } from './handle.ts';
import { answerText, KeyClaim, keptAnswer, parseAnswer, type Keyed } from './idempotency.ts';
import { checkLeads } from './leadership.ts';
import type { AttemptServices, CrossGroupRoute, Work } from './work.ts';

/** What is known of a key between the attempts of one call. */
export interface KeyState {
  readonly keyed: Keyed;
  /** The key has been used: its answer is wanted, the function is not to run. */
  used: boolean;
  /** An earlier attempt of unknown outcome. Until that is resolved it is what a failure throws. */
  doubt: MeridianError | undefined;
  /** The claim of the last attempt succeeded. */
  standing: boolean;
}

export interface Once<T> {
  readonly work: Work<T>;
  readonly target: SessionTarget;
  /** The other groups of the transaction. */
  readonly alsoIn: readonly string[];
  readonly attempt: number;
  readonly deadline: Deadline;
  readonly state: KeyState | undefined;
}

/** Undefined: the answer that was to be found has expired, and the key is free again. */
export async function attemptOnce<T>(
  services: AttemptServices,
  once: Once<T>,
): Promise<Committed<T> | undefined> {
  checkLeads(services.control.view, once.target);
  const session = await services.connector.begin(once.target, {
    ...once.work.statementLimits,
    signal: once.deadline.signal,
  });
  try {
    if (once.state?.used === true) return await replay(services, session, once);
    const { value, position } = await runOnce(session, once);
    return committed(once, tokenOf(services, [once.target], [position]), {
      value,
      replayed: false,
    });
  } finally {
    await session.rollback();
  }
}

export async function attemptAcross<T>(
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
  for (const target of route.targets) checkLeads(services.control.view, target);
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
  const token = tokenOf(services, route.targets, positions);
  return { value, token, attempts: attempt, node, replayed: false };
}

/** Where the key of a transaction is: with its first account, in the first group. */
export function withKeyIn(
  to: SessionTarget | CrossGroupRoute,
): Pick<Once<unknown>, 'target' | 'alsoIn'> {
  if (!('targets' in to)) return { target: to, alsoIn: [] };
  const [first, ...others] = to.targets;
  return { target: present(first, 'a target'), alsoIn: others.map(({ group }) => group) };
}

/**
 * The key is held by a transaction that has not ended, such as one in doubt: how often the wait for it
 * was cut short says nothing, the deadline bounds it.
 */
export function waitsForKey(state: KeyState | undefined, failure: MeridianError): boolean {
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
  return committed(once, tokenOf(services, [once.target], positions), {
    value: kept.value as T,
    replayed: true,
  });
}

function committed<T>(
  { target, attempt }: Once<T>,
  token: Token,
  result: Pick<Committed<T>, 'value' | 'replayed'>,
): Committed<T> {
  return {
    ...result,
    token,
    attempts: attempt,
    node: target.node.name,
  };
}

/** What the bearer has seen: with the ranges that were moved, that their former groups have closed them. */
function tokenOf(
  { control }: AttemptServices,
  targets: readonly SessionTarget[],
  positions: readonly Position[],
): Token {
  const token = formatToken(positions);
  const origins = targets.flatMap(({ scopes }) =>
    scopes.flatMap(({ range }) =>
      range === undefined ? [] : (control.view.ranges[range.name]?.origins ?? []),
    ),
  );
  return origins.length === 0 ? token : mergeTokens(token, ...origins);
}
