/**
 * Everybody follows whom they should, and finds a slot there. To be called after whatever changes that: a
 * new leader, a node that came back, was cloned or was given up. Where nothing changes nothing happens.
 */
import type { Cluster } from '../cluster.ts';
import { makeSlots } from '../slots.ts';
import { applyRole, follow } from './fencing.ts';

/**
 * Failures are left to the nodes' keepers, which look again.
 *
 * Fences are lifted only while the group is open or being opened, as it is at that moment: whoever was asked
 * for its position must confirm nothing before somebody is elected. Whoever has just decided who leads lifts
 * them at once.
 */
export async function settleFollowers(
  cluster: Cluster,
  name: string,
  { decided = false }: { readonly decided?: boolean } = {},
): Promise<void> {
  const group = cluster.group(name);
  cluster.chooseUpstreams(name);
  await makeSlots(cluster, group).catch(() => {});
  const followers = group.spec.nodes
    .map((node) => node.name)
    .filter((node) => node !== group.leader && cluster.isUp(node));
  const settle = (node: string): Promise<void> =>
    decided || mayFollow(cluster, name) ? follow(cluster, node) : applyRole(cluster, node);
  await Promise.all(followers.map((node) => settle(node).catch(() => {})));
}

function mayFollow(cluster: Cluster, name: string): boolean {
  const { leadership } = cluster.group(name);
  return leadership === undefined || ['open', 'opening'].includes(leadership.phase);
}
