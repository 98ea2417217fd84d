/**
 * What an operator asks for → steps. Pure. Refuses with ERR_OPERATION_REFUSED what would not do, or would
 * do harm, as far as the snapshot shows; the machine that carries it out looks again.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { EngineStep, Wanted } from '../engine.ts';
import type { ClusterSnapshot, ObservedGroup } from '../snapshot.ts';
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
  ];
}

function groupIn(observed: ClusterSnapshot, name: string): ObservedGroup {
  const group = observed.groups[name];
  if (group !== undefined) return group;
  const known = Object.keys(observed.groups).join(', ');
  throw refused(`there is no group ${name}; there are ${known}`);
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

function refused(why: string): MeridianError {
  return new MeridianError('ERR_OPERATION_REFUSED', why);
}
