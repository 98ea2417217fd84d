/**
 * What a group would lose if it were opened from what is left of it, as far as one snapshot tells: said
 * before a person accepts it, in the status and by `meridian recover`. Pure.
 *
 * The log is replayed in its order, so a server that shows a heartbeat has everything that was
 * acknowledged before it; what was acknowledged later may be on the lost servers alone.
 */
import type { ClusterSnapshot, ObservedNode } from '../engines/snapshot.ts';
import type { GroupSpec } from '../topology/node.ts';

export function acceptCommand(group: string): string {
  return `meridian recover ${group} --accept-loss`;
}

/** One sentence, without a full stop. */
export function possibleLoss(group: GroupSpec, snapshot: ClusterSnapshot): string {
  const left = group.nodes
    .flatMap((spec) => snapshot.nodes[spec.name] ?? [])
    .filter(isLeft)
    .toSorted(furthestFirst);
  const [best] = left;
  if (best === undefined) {
    return `no server of ${group.name} answers: there is nothing to open it from`;
  }
  const names = left.map((node) => node.name).join(', ');
  const remaining = `of ${group.name} ${names} ${left.length === 1 ? 'is' : 'are'} left`;
  if (best.lagMs === null) {
    return `${remaining}; what was acknowledged shortly before the loss and is not on ${best.name} would be lost`;
  }
  const since = snapshot.groups[group.name]?.operation?.sinceMs;
  const ageMs = Math.max(0, best.lagMs - (since ?? 0));
  const when = since === undefined ? 'until now' : 'before it stopped';
  return (
    `${remaining}; what was acknowledged in the last ${(ageMs / 1_000).toFixed(1)} s ${when} and is not` +
    ` on ${best.name} would be lost`
  );
}

function isLeft(node: ObservedNode): boolean {
  return (
    node.running && node.role !== 'down' && node.role !== 'unknown' && node.repair === undefined
  );
}

function furthestFirst(a: ObservedNode, b: ObservedNode): number {
  const [left, right] = [a.position ?? -1n, b.position ?? -1n];
  if (left === right) return a.name < b.name ? -1 : 1;
  return left > right ? -1 : 1;
}
