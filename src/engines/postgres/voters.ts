/**
 * Who votes in a group. Pure. That is who is declared to, but for a group that a person has opened by force
 * from what was left of it: there the copies that were left vote until a switchover brings it home.
 */
import type { GroupSpec, NodeName } from '../../topology/node.ts';

export function declaredVoters(spec: GroupSpec): ReadonlySet<NodeName> {
  return new Set(spec.nodes.filter((node) => node.kind === 'voter').map((node) => node.name));
}

export function votesAsDeclared(group: {
  readonly spec: GroupSpec;
  readonly voters: ReadonlySet<NodeName>;
}): boolean {
  const declared = declaredVoters(group.spec);
  return (
    declared.size === group.voters.size && [...declared].every((name) => group.voters.has(name))
  );
}
