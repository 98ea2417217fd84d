/** Which node to ask. Pure: from one routing view, nothing else. */
import { MeridianError } from '../kernel/errors.ts';
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
    );
  }
  return leader;
}

/** Nearest first; of equally near ones a follower before the leader, which has writes to do. */
export function nearestOf(group: RoutedGroup): RoutedNode {
  const [nearest] = [...group.nodes].sort(
    (a, b) =>
      a.roundTripMs - b.roundTripMs ||
      Number(a.name === group.leader) - Number(b.name === group.leader) ||
      (a.name < b.name ? -1 : 1),
  );
  if (nearest === undefined) {
    throw new MeridianError('ERR_ENGINE_NO_NODE', `group ${group.name} has no nodes`);
  }
  return nearest;
}
