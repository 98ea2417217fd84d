/** What is stored and no declaration knows any more: whose files, slots and names are to go. Pure. */
import type { NodeName } from '../../topology/node.ts';
import type { GroupName } from '../../topology/position.ts';
import type { DesiredState } from '../engine.ts';
import { declaredIn, highestNumber, type StoredCluster } from './places.ts';

export interface LeftOut {
  /** With their servers. They were drained, or never complete. */
  readonly groups: Readonly<Record<GroupName, readonly NodeName[]>>;
  /** Copies for reads of groups that stay: server → group. */
  readonly nodes: Readonly<Record<NodeName, GroupName>>;
}

export function leftOut(
  stored: Pick<StoredCluster, 'groups'>,
  declared: Pick<DesiredState, 'groups'>,
): LeftOut {
  const specs = new Map(declared.groups.map((group) => [group.name, group]));
  const groups: Record<GroupName, readonly NodeName[]> = {};
  const nodes: Record<NodeName, GroupName> = {};
  for (const [name, { nodes: held = {} }] of Object.entries(stored.groups)) {
    const spec = specs.get(name);
    if (spec === undefined) {
      groups[name] = Object.keys(held);
      continue;
    }
    const known = new Set(spec.nodes.map((node) => node.name));
    for (const node of Object.keys(held)) if (!known.has(node)) nodes[node] = name;
  }
  return { groups, nodes };
}

/**
 * Without the group and its ranges, which are empty. A range that was declared in it and has moved since is one
 * that no declaration knows from now on. Numbers of
 * ranges and epochs of groups are never given twice: somebody may remember them.
 */
export function withoutGroup(stored: StoredCluster, group: GroupName): StoredCluster {
  const { ranges = {}, movedFrom = {}, madeRanges = [] } = stored;
  const { [group]: gone, ...groups } = stored.groups;
  const here = new Set(Object.keys(ranges).filter((range) => ranges[range] === group));
  const orphans = Object.keys(ranges).filter(
    (range) => !here.has(range) && declaredIn(stored, range) === group,
  );
  const kept = (range: string): boolean => !here.has(range) && !orphans.includes(range);
  return {
    ...stored,
    groups,
    declaredNumber: highestNumber(stored),
    formerEpochs: { ...stored.formerEpochs, [group]: gone?.epoch ?? 0 },
    ranges: entriesOf(ranges, (range) => !here.has(range)),
    movedFrom: entriesOf(movedFrom, kept),
    madeRanges: [...madeRanges.filter((range) => !here.has(range)), ...orphans],
    draining: (stored.draining ?? []).filter((name) => name !== group),
    drained: (stored.drained ?? []).filter((name) => name !== group),
  };
}

/** The copy's files are gone, and nobody keeps anything for it. */
export function withoutNode(
  stored: StoredCluster,
  group: GroupName,
  node: NodeName,
): StoredCluster {
  const held = stored.groups[group];
  if (held?.nodes === undefined) return stored;
  const nodes = entriesOf(held.nodes, (name) => name !== node);
  const others = (names: readonly NodeName[] | undefined): readonly NodeName[] =>
    (names ?? []).filter((name) => name !== node);
  const next = {
    ...held,
    nodes,
    excluded: others(held.excluded),
    unconfirmed: others(held.unconfirmed),
  };
  return { ...stored, groups: { ...stored.groups, [group]: next } };
}

function entriesOf(
  record: Readonly<Record<string, string>>,
  kept: (key: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => kept(key)));
}
