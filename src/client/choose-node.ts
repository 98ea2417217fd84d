/** Which node to ask. Pure: from one routing view, nothing else. */
import { MeridianError } from '../kernel/errors.ts';
import type { NodeName } from '../topology/node.ts';
import type { RoutedGroup, RoutedNode, RoutingView } from '../topology/routing.ts';

/** The group; ERR_ENGINE_NO_NODE when the view does not know it (yet). */
export function groupOf(view: RoutingView, name: string): RoutedGroup {
  const group = view.groups[name];
  if (group === undefined) {
    throw new MeridianError('ERR_ENGINE_NO_NODE', `no route to group ${name} is known`);
  }
  return group;
}

/** The node that orders the group's writes; ERR_ENGINE_NO_NODE while it has none. */
export function leaderOf(group: RoutedGroup): RoutedNode {
  const leader = group.nodes.find((node) => node.name === group.leader);
  if (leader === undefined) {
    throw new MeridianError(
      'ERR_ENGINE_NO_NODE',
      `group ${group.name} has no leader open for business at the moment`,
      { details: { leaderless: group.name } },
    );
  }
  return leader;
}

/**
 * Nearest first; of equally near ones a follower before the leader, which has writes to do. Those to be
 * avoided only when there is no other.
 */
export function nearestOf(
  group: RoutedGroup,
  avoided: (node: NodeName) => boolean = () => false,
): RoutedNode {
  const [nearest] = [...group.nodes].sort(
    (a, b) =>
      Number(avoided(a.name)) - Number(avoided(b.name)) ||
      a.roundTripMs - b.roundTripMs ||
      Number(a.name === group.leader) - Number(b.name === group.leader) ||
      (a.name < b.name ? -1 : 1),
  );
  if (nearest === undefined) {
    throw new MeridianError('ERR_ENGINE_NO_NODE', `group ${group.name} has no nodes`);
  }
  return nearest;
}

const PATIENCE_MIN_MS = 250;
const PATIENCE_ROUND_TRIPS = 4;

/** How long a replica is waited for before it counts as silent: what a busy one takes, and no more. */
export function patienceMs(node: RoutedNode): number {
  return Math.max(PATIENCE_MIN_MS, PATIENCE_ROUND_TRIPS * node.roundTripMs);
}
