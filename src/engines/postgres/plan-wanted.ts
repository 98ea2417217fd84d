/**
 * What an operator asks for → steps. Pure. Refuses with ERR_OPERATION_REFUSED what would not do, or would
 * do harm, as far as the snapshot shows; the machine that carries it out looks again.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { EngineStep, Wanted } from '../engine.ts';
import type { ClusterSnapshot, ObservedGroup, ObservedRange } from '../snapshot.ts';
import type { PostgresAction } from './plan.ts';

interface Step extends EngineStep {
  readonly action: PostgresAction;
}

export function planWanted(wanted: Wanted, observed: ClusterSnapshot): Step[] {
  return [
    ...Object.entries(wanted.leaders ?? {}).flatMap(([group, to]) =>
      switchoverSteps(groupIn(observed, group), to, observed),
    ),
    ...(wanted.rebuild ?? []).map((node) => rebuildStep(node, observed)),
    ...(wanted.recover ?? []).map((group) => recoverStep(groupIn(observed, group))),
    ...Object.entries(wanted.moves ?? {}).flatMap(([range, to]) => moveSteps(range, to, observed)),
    ...(wanted.cancelMoves ?? []).map((range) => cancelStep(rangeIn(observed, range))),
  ];
}

function groupIn(observed: ClusterSnapshot, name: string): ObservedGroup {
  const group = observed.groups[name];
  if (group !== undefined) return group;
  const known = Object.keys(observed.groups).join(', ');
  throw refused(`there is no group ${name}; there are ${known}`);
}

function rangeIn(observed: ClusterSnapshot, name: string): ObservedRange {
  const range = observed.ranges[name];
  if (range !== undefined) return range;
  const known = Object.keys(observed.ranges).sort().join(', ');
  throw refused(`there is no range ${name} that can be seen now; there are ${known}`);
}

function moveSteps(name: string, to: string, observed: ClusterSnapshot): Step[] {
  const range = rangeIn(observed, name);
  const target = groupIn(observed, to);
  const source = groupIn(observed, range.group);
  if (range.move !== undefined) {
    throw refused(`${name} is being moved to ${range.move.to} already`);
  }
  if (range.group === to) return [];
  for (const { open, name: group } of [source, target]) {
    if (!open) throw refused(`${group} is not open`);
  }
  if (!Object.values(observed.ranges).some((one) => one.group === range.group && one !== range)) {
    throw refused(
      `${name} is the only range of ${range.group}: accounts could not be created there any more`,
      'Declare more ranges (`rangesPerRegion`) on a new installation.',
    );
  }
  return [
    {
      id: `move-range:${name}:${to}`,
      summary: `move ${name} from ${range.group} to ${to}`,
      effect: 'data-movement',
      after: [],
      action: { kind: 'move-range', range: name, to },
    },
  ];
}

function cancelStep({ name, move }: ObservedRange): Step {
  if (move === undefined) throw refused(`${name} is not being moved`);
  return {
    id: `cancel-move:${name}`,
    summary: `leave ${name} in ${move.from}`,
    effect: 'metadata',
    after: [],
    action: { kind: 'cancel-move', range: name },
  };
}

function switchoverSteps(group: ObservedGroup, to: string, observed: ClusterSnapshot): Step[] {
  if (group.leader === to) return [];
  const node = observed.nodes[to];
  if (node?.group !== group.name) throw refused(`${to} is not a node of ${group.name}`);
  if (!group.open) throw refused(`${group.name} is not open: a leader that is lost is succeeded`);
  if (node.role !== 'follower' || !node.streaming) {
    throw refused(`${to} does not follow ${group.leader ?? 'a leader'} at the moment`);
  }
  return [
    {
      id: `switchover:${group.name}:${to}`,
      summary: `${to} takes over ${group.name} from ${group.leader ?? 'nobody'}`,
      effect: 'role-change',
      after: [],
      action: { kind: 'switchover', group: group.name, to },
    },
  ];
}

function rebuildStep(name: string, observed: ClusterSnapshot): Step {
  const node = observed.nodes[name];
  if (node === undefined) throw refused(`there is no node ${name}`);
  const group = groupIn(observed, node.group);
  if (group.leader === name) {
    throw refused(`${name} leads ${group.name}: switch over to another voter first`);
  }
  if (!group.open) throw refused(`${group.name} has no leader to clone from`);
  return {
    id: `rebuild-node:${name}`,
    summary: `clone ${name} from another copy`,
    effect: 'data-movement',
    after: [],
    action: { kind: 'rebuild-node', node: name, anyway: true },
  };
}

function recoverStep(group: ObservedGroup): Step {
  const kind = group.operation?.kind;
  if (kind !== 'no-quorum' && kind !== 'region-lost') {
    throw refused(`${group.name} has not lost its quorum: there is nothing to recover by force`);
  }
  return {
    id: `recover-group:${group.name}`,
    summary: `open ${group.name} from the most advanced copy that is left; what that lacks is lost`,
    effect: 'role-change',
    after: [],
    action: { kind: 'recover-group', group: group.name },
  };
}

function refused(why: string, remedy?: string): MeridianError {
  return new MeridianError('ERR_OPERATION_REFUSED', why, remedy === undefined ? {} : { remedy });
}
