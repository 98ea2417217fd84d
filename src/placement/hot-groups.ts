/**
 * Groups of a region that have much more to do than its others, and what would relieve them: a range that goes
 * to the one with the least to do, or accounts that are split off first, about as many as it takes to have half of
 * the difference. Pure.
 *
 * A range lives in one server's database, so splitting alone relieves nobody: it makes something that can go.
 */
import type { GroupName } from '../topology/position.ts';
import type { AccountId, RangeName } from '../topology/routing.ts';
import type { HotGroupPolicy } from './hot-group-policy.ts';

export interface AccountLoad {
  readonly account: AccountId;
  readonly range: RangeName;
  /** Accesses by interval, the last one first. */
  readonly loads: readonly number[];
}

export interface GroupRanges {
  readonly group: GroupName;
  readonly homeRegion: string;
  /** Those that are declared first. A group keeps one of them. */
  readonly ranges: readonly { readonly range: RangeName; readonly made: boolean }[];
}

export type Relief =
  | {
      readonly kind: 'move';
      readonly from: GroupName;
      readonly to: GroupName;
      readonly range: RangeName;
      /** Of what the group has to do. */
      readonly share: number;
    }
  | {
      readonly kind: 'split';
      readonly from: GroupName;
      readonly to: GroupName;
      readonly range: RangeName;
      readonly accounts: readonly AccountId[];
      readonly share: number;
    }
  /** One account has so much to do that its going would only make another group hot. */
  | {
      readonly kind: 'indivisible';
      readonly from: GroupName;
      readonly range: RangeName;
      readonly account: AccountId;
      readonly share: number;
    };

/** What goes has at most so much more than half of the difference, and at least so little of it. */
const MOST = 1.2;
const LEAST = 0.25;
/** Of one split: more make it long, and the heaviest come first. */
const ACCOUNTS_MAX = 2_000;

/** One relief a region at most: what it does is seen before the next. */
export function relieveHotGroups(
  groups: readonly GroupRanges[],
  accounts: readonly AccountLoad[],
  policy: HotGroupPolicy,
): readonly Relief[] {
  const regions = new Set(groups.map(({ homeRegion }) => homeRegion));
  return [...regions].flatMap((region) => {
    const local = groups.filter(({ homeRegion }) => homeRegion === region);
    return local.length < 2 ? [] : (reliefOf(local, accounts, policy) ?? []);
  });
}

function reliefOf(
  groups: readonly GroupRanges[],
  accounts: readonly AccountLoad[],
  policy: HotGroupPolicy,
): Relief | undefined {
  const loads = groups.map((group) => loadOf(group, accounts));
  const [hottest] = loads.toSorted((a, b) => b.total - a.total);
  const [coolest] = loads.toSorted((a, b) => a.total - b.total);
  if (hottest === undefined || coolest === undefined || !isHot(hottest, loads, policy)) {
    return undefined;
  }
  const wanted = (hottest.total - coolest.total) / 2;
  return (
    wholeRange(hottest, coolest, wanted) ??
    someAccounts(hottest, coolest, wanted) ??
    indivisible(hottest)
  );
}

interface Loaded {
  readonly group: GroupRanges;
  readonly accounts: readonly AccountLoad[];
  readonly byInterval: readonly number[];
  readonly total: number;
}

function loadOf(group: GroupRanges, all: readonly AccountLoad[]): Loaded {
  const ranges = new Set(group.ranges.map(({ range }) => range));
  const accounts = all.filter(({ range }) => ranges.has(range));
  const intervals = Math.max(0, ...all.map(({ loads }) => loads.length));
  const byInterval = Array.from({ length: intervals }, (_, at) =>
    sum(accounts.map(({ loads }) => loads[at] ?? 0)),
  );
  return { group, accounts, byInterval, total: sum(byInterval) };
}

/** In every interval: a busy moment is none. */
function isHot(hottest: Loaded, loads: readonly Loaded[], policy: HotGroupPolicy): boolean {
  return (
    hottest.byInterval.length > 0 &&
    hottest.byInterval.every((load, at) => {
      const mean = sum(loads.map(({ byInterval }) => byInterval[at] ?? 0)) / loads.length;
      return load >= policy.accessesMin && load >= policy.imbalanceMin * mean;
    })
  );
}

function wholeRange(hottest: Loaded, coolest: Loaded, wanted: number): Relief | undefined {
  const { group, total } = hottest;
  const declared = group.ranges.filter(({ made }) => !made).length;
  const [best] = group.ranges
    // New accounts of the group go into its last declared range.
    .filter(({ made }) => made || declared > 1)
    .map(({ range }) => ({ range, load: loadOfRange(hottest, range) }))
    .filter(({ load }) => load <= MOST * wanted && load >= LEAST * wanted)
    .toSorted((a, b) => b.load - a.load);
  if (best === undefined) return undefined;
  return {
    ...{ kind: 'move', range: best.range, share: best.load / total },
    ...{ from: group.group, to: coolest.group.group },
  };
}

/** Of the range with the most to do: heaviest first, as long as they fit. */
function someAccounts(hottest: Loaded, coolest: Loaded, wanted: number): Relief | undefined {
  const { group, total } = hottest;
  const [busiest] = group.ranges
    .map(({ range }) => ({ range, load: loadOfRange(hottest, range) }))
    .toSorted((a, b) => b.load - a.load);
  if (busiest === undefined) return undefined;
  const chosen: AccountId[] = [];
  let load = 0;
  const heaviest = hottest.accounts
    .filter(({ range }) => range === busiest.range)
    .toSorted((a, b) => sum(b.loads) - sum(a.loads));
  for (const one of heaviest) {
    const more = sum(one.loads);
    if (load + more > MOST * wanted || chosen.length === ACCOUNTS_MAX) continue;
    chosen.push(one.account);
    load += more;
    if (load >= wanted) break;
  }
  if (load < LEAST * wanted) return undefined;
  return {
    ...{ kind: 'split', range: busiest.range, accounts: chosen, share: load / total },
    ...{ from: group.group, to: coolest.group.group },
  };
}

function indivisible({ group, accounts, total }: Loaded): Relief | undefined {
  const [heaviest] = accounts.toSorted((a, b) => sum(b.loads) - sum(a.loads));
  if (heaviest === undefined) return undefined;
  const { account, range, loads } = heaviest;
  return { kind: 'indivisible', from: group.group, range, account, share: sum(loads) / total };
}

function loadOfRange({ accounts }: Loaded, range: RangeName): number {
  return sum(accounts.filter((one) => one.range === range).map(({ loads }) => sum(loads)));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, one) => all + one, 0);
}
