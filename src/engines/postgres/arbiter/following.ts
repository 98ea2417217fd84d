/**
 * Everybody follows whom they should, and finds a slot there. To be called after whatever changes that: a
 * new leader, a node that came back, was cloned or was given up. Where nothing changes nothing happens.
 */
import type { Cluster } from '../cluster.ts';
import { makeSlots } from '../slots.ts';
import { follow } from './fencing.ts';

/** Failures are left to the nodes' keepers, which look again. */
export async function settleFollowers(cluster: Cluster, name: string): Promise<void> {
  const group = cluster.group(name);
  cluster.chooseUpstreams(name);
  await makeSlots(cluster, group).catch(() => {});
  const followers = group.spec.nodes
    .map((node) => node.name)
    .filter((node) => node !== group.leader && cluster.isUp(node));
  await Promise.all(followers.map((node) => follow(cluster, node).catch(() => {})));
}
