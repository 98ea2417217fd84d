/**
 * From a lost leader to an elected one.
 *
 * A process that ended is started in place first: its data is whole, and that is quicker than to clone
 * it anew. What cannot be started or does not answer is succeeded: both other voters are fenced, and the
 * more advanced one is elected (election.ts). Nothing is given up before that is written down; from
 * then on the old leader's data is not used any more.
 */
import { asMeridianError, isMeridianError, type MeridianError } from '../../../kernel/errors.ts';
import { answersInTime } from './answering.ts';
import { elect, type Candidate } from './election.ts';
import { fenceStandby } from './fencing.ts';
import { settleFollowers } from './following.ts';
import type { GroupEvent } from './group-machine.ts';
import type { Leading } from './leading.ts';
import { beatTimeoutMs } from './pulse.ts';
import { recoverByForce } from './recovery.ts';
import { ensureRunning } from './running.ts';

/** Crash recovery of a leader takes a fraction of a second; what takes longer is succeeded. */
const RESTART_PATIENCE_MS = 4_000;
/** With a whole cluster starting on a few cores a connection may take seconds. */
const START_ANSWER_MS = 10_000;
/** Between two tries while there is no quorum. */
const AGAIN_MS = 250;

export async function restartLeader(of: Leading): Promise<GroupEvent> {
  const { group } = of;
  const { cluster } = of.services;
  closeFor(of);
  if (!cluster.reaches(group.leader)) return 'does-not-come';
  // At a start there is no hurry, and nobody who could lead instead: all are just starting.
  const starting = of.cause === 'started';
  if (cluster.runs(group.leader) && cluster.node(group.leader).launching === undefined) {
    const timeoutMs = starting ? START_ANSWER_MS : lastChanceMs(of);
    return (await answersInTime(cluster, group.leader, timeoutMs)) ? 'answers' : 'does-not-come';
  }
  const patience = starting ? {} : { patienceMs: RESTART_PATIENCE_MS * of.patience };
  try {
    await ensureRunning(cluster, group.leader, patience);
    return 'answers';
  } catch (error) {
    if (isMeridianError(error)) of.failure = error;
    // Half-started it must not come up behind its successor's back.
    if (cluster.reaches(group.leader)) cluster.node(group.leader).process?.signalTree('SIGKILL');
    return 'does-not-come';
  }
}

/** For a leader that has missed its beats, made anew the last time: as long as half of another. */
function lastChanceMs({ group, patience }: Leading): number {
  return (beatTimeoutMs(group.pulse) / 2) * patience;
}

/** Nobody is served until the group is opened again; clients wait for the next view. */
export function closeFor(of: Leading): void {
  const { cluster } = of.services;
  if (!of.group.open) return;
  of.group.open = false;
  cluster.services.onRoutes();
}

export async function fenceAndElect(of: Leading): Promise<GroupEvent> {
  const { group } = of;
  const { cluster } = of.services;
  closeFor(of);
  // Two are what a recovery by force may leave. The other one could lead, and nobody would ever confirm
  // that: so the leader is not given up, and it is for a person to recover the group again.
  if (group.voters.size === 2) {
    of.detail = `both of its voters are needed: ${[...group.voters].join(' and ')}`;
    return 'not-elected';
  }
  // In the layout's order, which is nearest to the home region first (topology/survival.ts).
  const others = group.spec.nodes
    .map(({ name }) => name)
    .filter((name) => group.voters.has(name) && name !== group.leader);
  const candidates = await Promise.all(
    others.map(async (node): Promise<Candidate> => {
      if (group.unconfirmed.has(node)) {
        return { node, position: undefined, excluded: 'unconfirmed' };
      }
      if (group.excluded.has(node)) return { node, position: undefined, excluded: 'confirmed' };
      return { node, position: await positionOf(of, node), excluded: 'no' };
    }),
  );
  const election = elect(candidates);
  if (election.kind === 'not-elected') {
    of.detail = election.why;
    return 'not-elected';
  }
  const old = group.leader;
  cluster.services.log.warn('a successor is elected', {
    ...{ group: group.spec.name, from: old, to: election.winner, cause: of.cause },
    positions: candidates.map(({ node, position }) => `${node} ${String(position)}`),
  });
  const leftOut = candidates
    .filter(({ excluded }) => excluded === 'confirmed')
    .map(({ node }) => node);
  const asked = [election.winner, ...election.rest];
  const to = { leader: election.winner, excluded: [old], leftOut, asked };
  if (!(await cluster.elect(group.spec.name, to))) {
    of.detail = `${[...asked, ...leftOut].join(' and ')} are asked again: one was let go meanwhile`;
    return 'not-elected';
  }
  cluster.node(election.winner).fenced = false;
  // Non-voters leave the elected one before it is promoted: in the moment before its barrier it has no
  // quorum, and they must not have what no other voter has (docs/decisions/0004).
  await settleFollowers(cluster, group.spec.name, { decided: true });
  return 'elected';
}

async function positionOf(of: Leading, node: string): Promise<bigint | undefined> {
  try {
    return await fenceStandby(of.services.cluster, node, of.patience);
  } catch (error) {
    of.failure = isMeridianError(error) ? error : of.failure;
    return undefined;
  }
}

/**
 * Two voters are missing. Whoever returns first is found by trying again. A person's decision is carried out
 * here and nowhere else: a look at the leader before it, or an election, would be taken for one of after it.
 */
export async function waitForQuorum(of: Leading): Promise<GroupEvent> {
  const { clock } = of.services.cluster.services;
  if (of.recovery === undefined) {
    await of.bell.wait(clock, AGAIN_MS, of.services.cluster.stopSignal);
  }
  const { recovery } = of;
  if (recovery === undefined) return 'again';
  let failure: MeridianError | undefined;
  try {
    await recoverByForce(of);
  } catch (error) {
    failure = asMeridianError(error);
  }
  recovery.finish(failure);
  return 'again';
}
