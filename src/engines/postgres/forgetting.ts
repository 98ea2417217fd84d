/**
 * What no declaration knows any more goes: servers that run, what others keep for them, their files, and at last
 * their names. Each may be done again.
 */
import { rm } from 'node:fs/promises';
import type { NodeName } from '../../topology/node.ts';
import type { GroupName } from '../../topology/position.ts';
import type { StepOutcome } from '../engine.ts';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import { dropSlots } from './globals-slot.ts';
import { subscriptionName } from './observe.ts';
import { dropSlotsOf } from './slots.ts';
import { nodePaths, removeLeftovers } from './storage.ts';
import { stopStray } from './stray-server.ts';

type Done = StepOutcome['kind'];

/** It was drained before a declaration could leave it out, or was never complete. */
export async function forgetGroup(
  cluster: Cluster,
  of: { readonly group: GroupName; readonly primaryGroup: GroupName },
): Promise<Done> {
  const nodes = cluster.leftOut.groups[of.group];
  if (nodes === undefined) return 'already-done';
  const { leader } = cluster.group(of.primaryGroup);
  await withAdmin(cluster.admin(leader), (client) => dropSlots(client, subscriptionName(of.group)));
  for (const node of nodes) await removeServer(cluster, node);
  await cluster.forgetGroup(of.group);
  cluster.services.log.info('a group was removed', { group: of.group });
  return 'done';
}

export async function forgetNode(
  cluster: Cluster,
  of: { readonly node: NodeName; readonly group: GroupName },
): Promise<Done> {
  if (cluster.leftOut.nodes[of.node] === undefined) return 'already-done';
  await dropSlotsOf(cluster, cluster.group(of.group), of.node);
  await removeServer(cluster, of.node);
  await cluster.forgetNode(of.group, of.node);
  cluster.services.log.info('a server was removed', { node: of.node });
  return 'done';
}

/** A supervisor that was killed may have left it running. */
async function removeServer({ server }: Cluster, node: NodeName): Promise<void> {
  await stopStray(server, node);
  await removeLeftovers(server.storage, node);
  await rm(nodePaths(server.storage, node).directory, { recursive: true, force: true });
}
