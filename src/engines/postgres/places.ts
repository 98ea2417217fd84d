/**
 * What is stored of the cluster, and so may not change between two declarations of it. Pure.
 *
 * The rows of a range, and the global tables, are where an earlier start put them. A declaration that
 * puts them elsewhere (its regions reordered, one removed, more groups, another primary) would make
 * empty ones there and serve those: every account would seem lost. So it is refused until data can move.
 */
import { MeridianError } from '../../kernel/errors.ts';
import type { GroupSpec, NodeName } from '../../topology/node.ts';
import type { GroupName } from '../../topology/position.ts';
import { formatLocality } from '../../topology/region.ts';
import type { AccountId, RangeName } from '../../topology/routing.ts';
import type { DesiredState } from '../engine.ts';

export interface StoredGroup {
  readonly leader: string;
  readonly epoch: number;
  /** Its files were on disk once: from then on a missing node is lost data, not a start to repeat. */
  readonly settled: boolean;
  /** The highest number of connections it was started with; see `connectionsMax`. */
  readonly connectionsMax: number;
  /** Which servers hold its data, and where; absent in data of before this was written. */
  readonly nodes?: Readonly<Record<NodeName, string>>;
  /** Servers whose data may not be used any more: they are cloned before they run again. */
  readonly excluded?: readonly NodeName[];
  /**
   * Those of them that an election excluded whose leader's barrier is not known to be committed: they may
   * have acknowledged commits that no other copy has.
   */
  readonly unconfirmed?: readonly NodeName[];
  /** Who votes, where that is not who is declared to: after a recovery by force. */
  readonly voters?: readonly NodeName[] | undefined;
  /** Failovers that its copies of the global tables, or those made of its, have seen; absent: 0. */
  readonly globalsEra?: number;
  /** The eras, its publisher's and its own, for which its copy is whole; absent: the first. */
  readonly globalsFor?: string;
}

export interface StoredCluster {
  readonly groups: Readonly<Record<string, StoredGroup>>;
  /** Whose database publishes the global tables; absent until the first group has opened. */
  readonly primaryGroup?: string;
  /** Range → the group that holds its rows; written before the range is made. */
  readonly ranges?: Readonly<Record<string, string>>;
  /** Range → the group that it is declared in, where it was moved to another since. */
  readonly movedFrom?: Readonly<Record<string, string>>;
  /** Moves that have not ended. */
  readonly moves?: Readonly<Record<string, StoredMove>>;
  /** Ranges that were made for accounts to go to: no declaration knows them. */
  readonly madeRanges?: readonly string[];
  /** The highest number that such a range was ever given: a name is never given twice. */
  readonly rangeNumber?: number;
  /** The same of declared ones, once some are gone. */
  readonly declaredNumber?: number;
  /** The last epoch of each group that is gone: one of its name begins behind it, for tokens that remember it. */
  readonly formerEpochs?: Readonly<Record<string, number>>;
  /** Groups that get no new accounts, because they are to go. */
  readonly draining?: readonly GroupName[];
  /** Those of them that certainly have nothing any more: a declaration may leave them out. */
  readonly drained?: readonly GroupName[];
  /** By number: accounts that are to go to other ranges, and are not all there yet. */
  readonly transfers?: Readonly<Record<string, StoredTransfer>>;
}

/** Which of both has the range is in the databases alone: see ranges/move-machine.ts. */
export interface StoredMove {
  readonly from: string;
  readonly to: string;
}

/** Where its accounts are is in the directory alone: see ranges/transfer-decision.ts. */
export interface StoredTransfer {
  readonly goal: TransferGoal;
  readonly accounts: readonly AccountId[];
  /** Ranges that were made for it. */
  readonly carriers: readonly RangeName[];
  /** What was done is to be undone, where that is possible. */
  readonly cancelled?: boolean;
}

export type TransferGoal =
  /** Into a new range of the same group. */
  | { readonly kind: 'split'; readonly from: RangeName }
  /** Everything, into another range of the same group; the empty one goes. */
  | { readonly kind: 'merge'; readonly from: RangeName; readonly into: RangeName }
  /** `repin`: to another residency, or to none. */
  | { readonly kind: 'rehome'; readonly to: GroupName; readonly repin?: boolean };

/**
 * The declaration as earlier starts have carried it out: ranges have the names, and single copies are in the
 * zones, that they have had from the first start on. Both were dealt out over the regions that there were
 * then: with one more, or one less, others would come out.
 */
export function asStored<Declared extends Pick<DesiredState, 'groups' | 'ranges'>>(
  stored: StoredCluster,
  desired: Declared,
): Declared {
  return withStoredZones(stored, withStoredNames(stored, desired));
}

function withStoredNames<Declared extends Pick<DesiredState, 'ranges'>>(
  stored: StoredCluster,
  desired: Declared,
): Declared {
  const { ranges = {}, madeRanges = [] } = stored;
  const known = new Map<GroupName, RangeName[]>();
  for (const name of Object.keys(ranges).sort()) {
    if (madeRanges.includes(name)) continue;
    const group = declaredIn(stored, name) ?? '';
    known.set(group, [...(known.get(group) ?? []), name]);
  }
  if (known.size === 0) return desired;
  let last = highestNumber(stored);
  const next = (): RangeName => {
    last += 1;
    return `r${String(last).padStart(4, '0')}`;
  };
  return {
    ...desired,
    ranges: desired.ranges.map(({ group }) => ({
      name: known.get(group)?.shift() ?? next(),
      group,
    })),
  };
}

/** The group that a range was declared in, wherever it is now. */
export function declaredIn(
  { ranges = {}, movedFrom = {} }: Pick<StoredCluster, 'ranges' | 'movedFrom'>,
  range: RangeName,
): GroupName | undefined {
  return movedFrom[range] ?? ranges[range];
}

/** Of any range that was ever declared. */
export function highestNumber({ ranges = {}, declaredNumber = 0 }: StoredCluster): number {
  const numbers = Object.keys(ranges).map((name) => Number(/^r(\d+)$/.exec(name)?.[1] ?? 0));
  return Math.max(declaredNumber, ...numbers);
}

/** Where the zone is still one of the region's. */
function withStoredZones<Declared extends Pick<DesiredState, 'groups'>>(
  { groups }: StoredCluster,
  desired: Declared,
): Declared {
  if (Object.keys(groups).length === 0) return desired;
  const zones = new Set(
    desired.groups.flatMap(({ nodes }) => nodes.map(({ locality }) => formatLocality(locality))),
  );
  return {
    ...desired,
    groups: desired.groups.map((group) => ({
      ...group,
      nodes: group.nodes.map((node) => {
        const { region } = node.locality;
        const place = groups[group.name]?.nodes?.[node.name]?.replace(/^(?:non-)?voter in /, '');
        if (place?.startsWith(`${region}/`) !== true || !zones.has(place)) return node;
        return { ...node, locality: { region, zone: place.slice(region.length + 1) } };
      }),
    })),
  };
}

/** Throws ERR_ENGINE_UNSUPPORTED naming the first thing that would have to move. */
export function checkPlaces(
  stored: StoredCluster,
  desired: Pick<DesiredState, 'groups' | 'primaryGroup' | 'ranges'>,
): void {
  for (const [name, group] of Object.entries(stored.groups)) {
    if (!group.settled) continue;
    const spec = desired.groups.find((one) => one.name === name);
    if (spec === undefined) {
      if (isDrained(stored, name)) continue;
      throw stored.draining?.includes(name) === true
        ? stillDraining(name)
        : refused(`group ${name} would be left out`);
    }
    checkNodes(group, spec);
  }
  const groups = new Set(desired.groups.map(({ name }) => name));
  for (const [range, { from, to }] of Object.entries(stored.moves ?? {})) {
    if (groups.has(from) && groups.has(to)) continue;
    throw stillMoving(range, { from, to });
  }
  const { primaryGroup, ranges = {}, movedFrom = {} } = stored;
  if (primaryGroup !== undefined && primaryGroup !== desired.primaryGroup) {
    throw refused(`the global tables would move from ${primaryGroup} to ${desired.primaryGroup}`);
  }
  for (const { name, group } of desired.ranges) {
    const at = movedFrom[name] ?? ranges[name];
    if (at !== undefined && at !== group) {
      throw refused(`range ${name} would move from ${at} to ${group}`);
    }
  }
  const kept = new Set([...desired.ranges.map(({ name }) => name), ...(stored.madeRanges ?? [])]);
  const dropped = Object.keys(ranges).find(
    (name) => !kept.has(name) && !isDrained(stored, declaredIn(stored, name) ?? ''),
  );
  if (dropped !== undefined) throw refused(`range ${dropped} would be left out`);
}

function isDrained({ drained = [] }: StoredCluster, group: GroupName): boolean {
  return drained.includes(group);
}

/**
 * Voters are in zones or in regions, as `survive` and the round trips say: a server that is declared
 * elsewhere has no data there, and the one that has it would be forgotten.
 */
function checkNodes(stored: StoredGroup, spec: GroupSpec): void {
  const declared = nodePlaces(spec);
  const held = stored.nodes ?? { [stored.leader]: declared[stored.leader] ?? '' };
  for (const node of new Set([...Object.keys(held), ...Object.keys(declared)])) {
    const [from, to] = [held[node], declared[node]];
    if (from === to || (stored.nodes === undefined && from === undefined)) continue;
    // A new copy for reads, in a region that is new: it is made from the others.
    if (from === undefined && to?.startsWith('non-voter') === true) continue;
    // A copy for reads, in a region that goes.
    if (to === undefined && from?.startsWith('non-voter') === true) continue;
    if (to === undefined) throw refused(`server ${node} would be left out`);
    throw refused(
      from === undefined
        ? `server ${node} would be new`
        : `server ${node}, a ${from}, would become a ${to}`,
    );
  }
}

/** "voter in eu-west/b" by name: what is stored of a group's servers. */
export function nodePlaces(spec: GroupSpec): Record<NodeName, string> {
  return Object.fromEntries(
    spec.nodes.map((node) => [node.name, `${node.kind} in ${formatLocality(node.locality)}`]),
  );
}

function stillDraining(group: GroupName): MeridianError {
  return new MeridianError(
    'ERR_ENGINE_UNSUPPORTED',
    `group ${group} would be left out, and is still being drained: it may have accounts`,
    {
      remedy:
        'Start with its region declared, which goes on draining it; leave the region out when `meridian status` says that it is drained.',
    },
  );
}

function stillMoving(range: RangeName, { from, to }: StoredMove): MeridianError {
  return new MeridianError(
    'ERR_ENGINE_UNSUPPORTED',
    `${range} is on its way from ${from} to ${to}, and one of both would be left out`,
    {
      remedy:
        'Start with its region declared, which ends the move; leave the region out when `meridian status` shows no move.',
    },
  );
}

function refused(what: string): MeridianError {
  return new MeridianError(
    'ERR_ENGINE_UNSUPPORTED',
    `${what}, and this release cannot move data that is there`,
    {
      remedy:
        'Restore `survive`, `latency`, the `regions` that there were and their zones, `primaryRegion`, `groupsPerRegion` and `rangesPerRegion`, or start with --fresh to discard all data.',
    },
  );
}
