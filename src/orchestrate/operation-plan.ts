/**
 * What an operator asks for, in the engine's terms: which group it is about, and what is wanted of it.
 * Pure. Choosing a server by its place is done here, from one snapshot; whether the wish can be carried
 * out now is the engine's to judge.
 */
import type { OfRegion, OperationRequest } from '../control/operation.ts';
import type { DesiredState, Wanted } from '../engines/engine.ts';
import type { ClusterSnapshot, ObservedNode } from '../engines/snapshot.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { GroupSpec, NodeName, NodeSpec } from '../topology/node.ts';
import { formatLocality } from '../topology/region.ts';
import { residencyOf } from '../topology/residency.ts';

type Switchover = Extract<OperationRequest, { kind: 'switchover' }>;

export type OfGroup = Extract<OperationRequest, { kind: 'switchover' | 'rebuild' | 'recover' }>;
type OfRange = Exclude<OperationRequest, OfGroup | OfRegion>;
export type SingleOperation = OfGroup | OfRange;

export function isOfGroup(request: SingleOperation): request is OfGroup {
  return ['switchover', 'rebuild', 'recover'].includes(request.kind);
}

/** Throws ERR_CONTROL_REQUEST when nothing of that name is there. */
export function wantedOfRange(
  request: OfRange,
  desired: Pick<DesiredState, 'groups' | 'ranges'>,
  observed: ClusterSnapshot,
): Wanted {
  const range = (name: string): string => {
    const known = new Set([...desired.ranges.map(nameOf), ...Object.keys(observed.ranges)]);
    if (!known.has(name)) throw unknown('range', name, [...known].sort());
    return name;
  };
  switch (request.kind) {
    case 'move':
      return { moves: { [range(request.range)]: targetOfMove(request, desired, observed) } };
    case 'cancel-move':
      return { cancelMoves: [range(request.range)] };
    case 'split': {
      const { kind, accounts } = request;
      return { transfers: [{ kind, from: range(request.range), accounts }] };
    }
    case 'merge': {
      const { kind } = request;
      return { transfers: [{ kind, from: range(request.range), into: range(request.into) }] };
    }
    case 'rehome': {
      const { kind, accounts, repin, residency = null } = request;
      const to = targetOf({ to: request.to, residency }, desired, observed);
      if (repin === true) checkPinnedTo(residency, groupNamed(to, desired));
      return { transfers: [{ kind, accounts, to, repin }] };
    }
    case 'cancel-transfer':
      return { cancelTransfers: [request.number] };
  }
}

function groupNamed(
  name: GroupSpec['name'],
  { groups }: Pick<DesiredState, 'groups'>,
): GroupSpec | undefined {
  return groups.find((group) => group.name === name);
}

/** A group may be named, and must be of the residency that is named beside it. */
function checkPinnedTo(residency: string | null, group: GroupSpec | undefined): void {
  const has = residencyOf(group);
  if (has === residency) return;
  throw refused(
    `${group?.name ?? ''} is of ${has ?? 'no residency'}, and not of ${residency ?? 'none'}`,
    'Name the region with --to: the group of the residency there is found by itself.',
  );
}

/** Of a region it goes to a group of its own residency. */
function targetOfMove(
  { range, to }: { readonly range: string; readonly to: string },
  desired: Pick<DesiredState, 'groups'>,
  observed: ClusterSnapshot,
): GroupSpec['name'] {
  const from = groupNamed(observed.ranges[range]?.group ?? '', desired);
  return targetOf({ to, residency: residencyOf(from) }, desired, observed);
}

/** A group by its name, or the emptiest of a region's that are of the residency. */
function targetOf(
  { to, residency }: { readonly to: string; readonly residency: string | null },
  { groups }: Pick<DesiredState, 'groups'>,
  observed: ClusterSnapshot,
): GroupSpec['name'] {
  if (groups.some(({ name }) => name === to)) return to;
  const homed = groups.filter(
    (group) => group.homeRegion === to && residencyOf(group) === residency,
  );
  const held = ({ name }: GroupSpec): number =>
    Object.values(observed.ranges).filter(({ group }) => group === name).length;
  const [emptiest] = homed.toSorted((a, b) => held(a) - held(b) || (a.name < b.name ? -1 : 1));
  if (emptiest !== undefined) return emptiest.name;
  if (residency !== null) {
    const has = groups.filter((group) => residencyOf(group) === residency);
    if (has.length === 0) {
      const known = new Set(groups.flatMap((group) => residencyOf(group) ?? []));
      throw unknown('residency', residency, [...known]);
    }
    throw refused(
      `${residency} does not allow ${to}`,
      `Its regions are ${[...new Set(has.map(({ homeRegion }) => homeRegion))].join(', ')}.`,
    );
  }
  throw unknown('replication group or region', to, [
    ...groups.map(nameOf),
    ...new Set(groups.map(({ homeRegion }) => homeRegion)),
  ]);
}

/** Throws ERR_CONTROL_REQUEST when nothing of that name is declared. */
export function groupOf(request: OfGroup, groups: readonly GroupSpec[]): GroupSpec {
  if (request.kind === 'rebuild') {
    const { node } = request;
    const found = groups.find((group) => group.nodes.some(({ name }) => name === node));
    if (found !== undefined) return found;
    throw unknown(
      'database server',
      node,
      groups.flatMap(({ nodes }) => nodes.map(nameOf)),
    );
  }
  const found = groups.find(({ name }) => name === request.group);
  if (found !== undefined) return found;
  throw unknown('replication group', request.group, groups.map(nameOf));
}

/** Throws ERR_OPERATION_REFUSED, or ERR_CONTROL_REQUEST for a server that is not declared. */
export function wantedOf(request: OfGroup, group: GroupSpec, observed: ClusterSnapshot): Wanted {
  switch (request.kind) {
    case 'switchover':
      return { leaders: { [group.name]: nextLeader(request, group, observed) } };
    case 'rebuild':
      return { rebuild: [request.node] };
    case 'recover':
      return { recover: [group.name] };
  }
}

function nextLeader(asked: Switchover, group: GroupSpec, observed: ClusterSnapshot): NodeName {
  const leader = observed.groups[group.name]?.leader ?? null;
  if (asked.to !== undefined) return named(asked.to, group, leader);
  const place = placeOf(asked);
  const there = group.nodes.filter(
    ({ kind, locality }) =>
      kind === 'voter' &&
      (asked.region === undefined || locality.region === asked.region) &&
      (asked.zone === undefined || locality.zone === asked.zone),
  );
  const others = there.filter(({ name }) => name !== leader);
  if (there.length === 0) throw refused(`${group.name} has no voter ${place}`, voters(group));
  if (others.length === 0) throw refused(`${there[0]?.name ?? ''} leads ${group.name} already`);
  const able = others
    .flatMap(({ name }) => observed.nodes[name] ?? [])
    .filter(mayLead)
    .toSorted(closestFirst);
  if (able[0] !== undefined) return able[0].name;
  const states = others.map(({ name }) => stateText(name, observed.nodes[name]));
  throw refused(
    `no voter of ${group.name} ${place} can lead now: ${states.join(', ')}`,
    'Wait until it follows its leader again.',
  );
}

/** Whether it is fit to lead is for the engine to say: it was asked for by name. */
function named(to: NodeName, group: GroupSpec, leader: NodeName | null): NodeName {
  const spec = group.nodes.find(({ name }) => name === to);
  if (spec === undefined) {
    throw unknown(`database server of ${group.name}`, to, group.nodes.map(nameOf));
  }
  if (spec.kind !== 'voter') {
    throw refused(`${to} is a non-voter of ${group.name}, and may not lead it`, voters(group));
  }
  if (to === leader) throw refused(`${to} leads ${group.name} already`);
  return to;
}

function mayLead(node: ObservedNode): boolean {
  return node.running && node.role === 'follower' && node.streaming && node.repair === undefined;
}

/** The nearer to the leader's log, the shorter the pause. */
function closestFirst(a: ObservedNode, b: ObservedNode): number {
  const behind = (node: ObservedNode): number => node.lagBytes ?? Number.MAX_SAFE_INTEGER;
  return behind(a) - behind(b) || (a.name < b.name ? -1 : 1);
}

function stateText(name: NodeName, node: ObservedNode | undefined): string {
  if (node?.repair !== undefined) return `${name} is under repair`;
  if (node === undefined || node.role === 'unknown') return `${name} does not answer`;
  return `${name} ${node.role === 'down' ? 'is down' : 'does not follow its leader'}`;
}

function placeOf({ region, zone }: Switchover): string {
  const parts = [
    ...(region === undefined ? [] : [`region ${region}`]),
    ...(zone === undefined ? [] : [`zone ${zone}`]),
  ];
  return parts.length === 0 ? 'beside its leader' : `in ${parts.join(', ')}`;
}

function voters(group: GroupSpec): string {
  const list = group.nodes
    .filter(({ kind }) => kind === 'voter')
    .map((node: NodeSpec) => `${node.name} (${formatLocality(node.locality)})`);
  return `Its voters are ${list.join(', ')}.`;
}

const nameOf = ({ name }: { readonly name: string }): string => name;

function unknown(what: string, name: string, known: readonly string[]): MeridianError {
  const message = `there is no ${what} ${JSON.stringify(name)}; there are ${known.join(', ')}`;
  return new MeridianError('ERR_CONTROL_REQUEST', message);
}

function refused(message: string, remedy?: string): MeridianError {
  return new MeridianError(
    'ERR_OPERATION_REFUSED',
    message,
    remedy === undefined ? {} : { remedy },
  );
}
