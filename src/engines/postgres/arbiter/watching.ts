/** The two phases of a leader that is well: it is opened, then watched. */
import { MeridianError } from '../../../kernel/errors.ts';
import type { NodeName } from '../../../topology/node.ts';
import type { Cluster } from '../cluster.ts';
import { repointGlobals } from '../globals-era.ts';
import { openGroup } from '../opening.ts';
import { answersInTime } from './answering.ts';
import { applyRole } from './fencing.ts';
import { settleFollowers } from './following.ts';
import type { GroupEvent } from './group-machine.ts';
import { reopened } from './lease.ts';
import type { Leading } from './leading.ts';
import { afterOpening, judgePulse, patienceAfter } from './pulse.ts';
import { reloadRole } from './role-files.ts';

/** A safety net: whatever matters rings the bell. */
const LOOK_MS = 500;

export async function openAgain(of: Leading): Promise<GroupEvent> {
  const { group } = of;
  const { cluster } = of.services;
  const { clock } = cluster.services;
  const { name } = group.spec;
  const followers = group.spec.nodes.map((node) => node.name).filter((one) => one !== group.leader);
  // Whoever was fenced before it was elected has lost its password, which its subscriptions need.
  await Promise.all([applyRole(cluster, group.leader), settleFollowers(cluster, name)]);
  // Brought back where it was: they wait a moment before they try it again.
  if (of.previous === group.leader) for (const one of followers) nudge(cluster, one);
  group.lease = reopened(group.lease, group.leader, clock.monotonicMs());
  group.pulse.misses = 0;
  group.pulse.aloneSinceMs = undefined;
  const leader = cluster.node(group.leader).process;
  const gone = async (): Promise<never> => {
    await leader?.exited;
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${group.leader} ended while it was opened`);
  };
  of.detail = `waits for a second voter to confirm that ${group.leader} leads`;
  await Promise.race([openGroup(cluster, name), gone()]);
  const planned = of.cause === 'switchover' && of.previous !== group.leader;
  Object.assign(group.pulse, afterOpening(group.pulse, { planned, nowMs: clock.monotonicMs() }));
  await cluster.confirm(name);
  if (of.previous !== undefined && of.previous !== group.leader) repointGlobals(cluster, name);
  recordChange(of);
  for (const one of followers) cluster.node(one).bell.ring();
  return 'opened';
}

/** Of what it should be nothing has changed. */
function nudge(cluster: Cluster, name: NodeName): void {
  if (cluster.runs(name) && cluster.reaches(name)) reloadRole(cluster, name);
}

function recordChange(of: Leading): void {
  const { group, cause, previous } = of;
  const { clock } = of.services.cluster.services;
  of.lastChange = {
    ...{ cause, from: previous ?? null, to: group.leader, epoch: group.epoch },
    atMs: clock.now(),
    tookMs: Math.round(clock.monotonicMs() - of.noticedAtMs),
  };
  of.changes.set(cause, (of.changes.get(cause) ?? 0) + 1);
}

/** Resolves with what went wrong, or was asked for. */
export async function watchLeader(of: Leading): Promise<GroupEvent> {
  const { group } = of;
  const { cluster } = of.services;
  const { clock } = cluster.services;
  while (!cluster.stopping) {
    // Nobody could tell, on a machine that cannot be reached.
    if (!cluster.runs(group.leader) && cluster.reaches(group.leader)) {
      of.cause = 'died';
      return 'ended';
    }
    const nowMs = clock.monotonicMs();
    const judgement = judgePulse(group.pulse, { nowMs, othersWell: othersWell(of) });
    if (judgement === 'isolated' && !(await othersAnswer(of))) {
      // It is they who are missing: to look for a successor would only close what is still served.
      group.pulse.aloneSinceMs = clock.monotonicMs();
    } else if (judgement !== 'well') {
      of.cause = judgement;
      group.pulse.patience = patienceAfter(group.pulse, clock.monotonicMs());
      return judgement;
    }
    if (of.switchover !== undefined) {
      of.cause = 'switchover';
      return 'switchover-asked';
    }
    await of.bell.wait(clock, LOOK_MS, cluster.stopSignal);
  }
  return 'silent';
}

/** Whoever votes alone, after a recovery by force, is not isolated. */
function othersWell({ group, services: { cluster } }: Leading): boolean {
  const others = [...group.voters].filter(
    (name) => name !== group.leader && !group.excluded.has(name),
  );
  const well = (name: NodeName): boolean =>
    cluster.runs(name) && cluster.reaches(name) && cluster.node(name).launching === undefined;
  return others.length > 0 && others.every(well);
}

async function othersAnswer({ group, services: { cluster } }: Leading): Promise<boolean> {
  const others = [...group.voters].filter(
    (name) => name !== group.leader && !group.excluded.has(name),
  );
  const answers = await Promise.all(others.map((name) => answersInTime(cluster, name)));
  return answers.every(Boolean);
}
