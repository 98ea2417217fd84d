/**
 * Opens a group whose quorum is lost from what is left of it, because a person has said so: acknowledged
 * commits that no remaining copy has are lost with it.
 *
 * Every copy that can be reached is fenced, non-voters too; the most advanced leads, the others that are
 * left vote with it, and all that could not be asked are excluded: whatever they have that the new leader
 * lacks is gone for good. When they come back they are cloned, and a switchover to one of the declared
 * voters makes those the voters again (homecoming.ts).
 */
import { MeridianError } from '../../../kernel/errors.ts';
import { fenceStandby } from './fencing.ts';
import { settleFollowers } from './following.ts';
import type { Leading } from './leading.ts';

/** To be called by its group's machine alone, while it waits for a quorum. */
export async function recoverByForce(of: Leading): Promise<void> {
  const { group } = of;
  const { cluster } = of.services;
  const { log } = cluster.services;
  const names = group.spec.nodes.map((node) => node.name);
  const asked = names.filter((name) => name !== group.leader && !group.excluded.has(name));
  const found = await Promise.all(
    asked.map(async (name) => ({
      name,
      position: await fenceStandby(cluster, name).catch(() => undefined),
    })),
  );
  const left = found
    .flatMap(({ name, position }) => (position === undefined ? [] : [{ name, position }]))
    .sort((a, b) => Number(b.position - a.position));
  const [first] = left;
  if (first === undefined) {
    throw new MeridianError(
      'ERR_OPERATION_REFUSED',
      `no copy of ${group.spec.name} can be reached: there is nothing to open it from`,
    );
  }
  const voters = left.map((one) => one.name);
  const excluded = names.filter((name) => !voters.includes(name));
  const positions = left.map(({ name, position }) => `${name} ${String(position)}`);
  log.error('a group is recovered by force', {
    ...{ group: group.spec.name, leader: first.name, positions },
  });
  const to = { leader: first.name, excluded, voters: new Set(voters), asked: voters };
  if (!(await cluster.elect(group.spec.name, to))) {
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `a copy of ${group.spec.name} was let go while the others were asked`,
    );
  }
  // Who was excluded for it is gone whatever happens: nobody waits for them.
  await cluster.confirm(group.spec.name);
  cluster.node(first.name).fenced = false;
  of.cause = 'recovery';
  await settleFollowers(cluster, group.spec.name, { decided: true });
}
