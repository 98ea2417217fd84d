/**
 * What an operator asks for → steps. Pure. Refuses with ERR_OPERATION_REFUSED what would not do, or would
 * do harm, as far as the snapshot shows; the machine that carries it out looks again.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { EngineStep, Wanted, WantedTransfer } from '../engine.ts';
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
    ...(wanted.transfers ?? []).map((transfer) => transferStep(transfer, observed)),
    ...(wanted.cancelTransfers ?? []).map((number) => cancelTransferStep(number, observed)),
    ...drainSteps(wanted, observed),
  ];
}

function drainSteps({ drain, retire, restore }: Wanted, observed: ClusterSnapshot): Step[] {
  const step = (
    kind: 'drain-groups' | 'retire-groups' | 'restore-groups',
    groups: readonly string[] | undefined,
    what: string,
  ): Step[] => {
    if (groups === undefined) return [];
    for (const name of groups) groupIn(observed, name);
    const summary = `${groups.join(', ')}: ${what}`;
    return [
      {
        id: `${kind}:${groups.join(',')}`,
        summary,
        effect: 'metadata',
        after: [],
        action: { kind, groups },
      },
    ];
  };
  const publisher = drain?.find((name) => observed.groups[name]?.globals === 'publisher');
  if (publisher !== undefined) {
    throw refused(
      `${publisher} has the global tables and the directory, and cannot go`,
      'The primary region stays.',
    );
  }
  return [
    ...step('drain-groups', drain, 'no new accounts'),
    ...step('retire-groups', retire, 'nothing is there any more'),
    ...step('restore-groups', restore, 'new accounts again'),
  ];
}

function notDraining({ name, draining }: ObservedGroup): void {
  if (draining !== undefined) {
    throw refused(`${name} is to go: nothing is put there any more`);
  }
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
  notDraining(target);
  for (const { open, name: group } of [source, target]) {
    if (!open) throw refused(`${group} is not open`);
  }
  if (!range.made && !takesAccountsWithout(range, observed)) {
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

/** New accounts of the group's region have somewhere to go when this range has left. */
function takesAccountsWithout(range: ObservedRange, { ranges }: ClusterSnapshot): boolean {
  return Object.values(ranges).some(
    (one) => one.group === range.group && one !== range && one.made !== true,
  );
}

function transferStep(wanted: WantedTransfer, observed: ClusterSnapshot): Step {
  const step = (summary: string): Step => ({
    id: `transfer:${summary}`,
    summary,
    effect: 'data-movement',
    after: [],
    action: { kind: 'transfer', wanted },
  });
  if (wanted.kind === 'rehome') {
    const target = groupIn(observed, wanted.to);
    if (!target.open) throw refused(`${wanted.to} is not open`);
    notDraining(target);
    if (!Object.values(observed.ranges).some(({ group, made }) => group === wanted.to && !made)) {
      throw refused(`${wanted.to} has no range of its own that accounts could be put into`);
    }
    return step(`re-home ${count(wanted.accounts)} to ${wanted.to}`);
  }
  const from = rangeIn(observed, wanted.from);
  if (from.move !== undefined) throw refused(`${from.name} is being moved to ${from.move.to}`);
  if (wanted.kind === 'split') {
    return step(`split ${count(wanted.accounts)} of ${from.name} off into a range of their own`);
  }
  const into = rangeIn(observed, wanted.into);
  if (into.move !== undefined) throw refused(`${into.name} is being moved to ${into.move.to}`);
  if (from === into) throw refused(`${from.name} cannot be merged into itself`);
  if (from.made !== true) {
    throw refused(
      `${from.name} is declared, and new accounts are put into it: only a range that a split has made can go`,
    );
  }
  if (from.group !== into.group) {
    throw refused(
      `${from.name} is in ${from.group}, ${into.name} in ${into.group}: only ranges of one group are merged`,
      `Move it first: meridian move ${from.name} --to ${into.group}`,
    );
  }
  return step(`merge ${from.name} into ${into.name}`);
}

function count(accounts: readonly string[]): string {
  return accounts.length === 1 ? 'an account' : `${String(accounts.length)} accounts`;
}

function cancelTransferStep(number: string, { transfers = [] }: ClusterSnapshot): Step {
  const transfer = transfers.find((one) => one.number === number);
  if (transfer === undefined) {
    const known = transfers.map((one) => one.number).join(', ');
    throw refused(
      `there is no transfer ${number} under way${known === '' ? '' : `; there are ${known}`}`,
    );
  }
  return {
    id: `cancel-transfer:${number}`,
    summary: `end transfer ${number} (${transfer.kind} ${transfer.what})`,
    effect: 'metadata',
    after: [],
    action: { kind: 'cancel-transfer', number },
  };
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
