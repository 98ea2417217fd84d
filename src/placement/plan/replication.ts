/**
 * What goes from region to region every day, so that all copies are as they should be: before a change of the
 * declaration and after it. Each copy in another region is sent its group's log once. Pure.
 *
 * Not in it: what clients ask of other regions, and rows of global tables, which are sent to each group.
 */
import type { DeclaredPlacement } from '../../topology/declared.ts';
import type { GroupName } from '../../topology/position.ts';
import { layoutGroups } from '../../topology/survival.ts';
import type { BytesBetween } from './change.ts';
import { costOf } from './cost.ts';
import { nearestRegion } from './forecast.ts';

export interface Replication {
  readonly beforeBytesPerDay: number;
  readonly afterBytesPerDay: number;
  /** In the currency of the prices; null: none are declared. */
  readonly beforeAmountPerDay: number | null;
  readonly afterAmountPerDay: number | null;
}

export function replicationOf(
  { before, after }: { readonly before: DeclaredPlacement; readonly after: DeclaredPlacement },
  logBytesPerDay: Readonly<Record<GroupName, number>>,
): Replication {
  const had = sentPerDay(before, logBytesPerDay);
  const has = sentPerDay(after, inPlaceOf(before, after, logBytesPerDay));
  return {
    beforeBytesPerDay: sum(had),
    afterBytesPerDay: sum(has),
    // Both with the prices of now: what changes is the placement.
    beforeAmountPerDay: costOf(had, after.prices) ?? null,
    afterAmountPerDay: costOf(has, after.prices) ?? null,
  };
}

function sentPerDay(
  placement: DeclaredPlacement,
  logBytesPerDay: Readonly<Record<GroupName, number>>,
): readonly BytesBetween[] {
  return layoutGroups(placement).flatMap(({ name, homeRegion, nodes }) =>
    nodes
      .map(({ locality }) => locality.region)
      .filter((to) => to !== homeRegion)
      .map((to) => ({ from: homeRegion, to, bytes: logBytesPerDay[name] ?? 0 })),
  );
}

/** What is written in a group that goes is written where its accounts go to. A new group has none yet. */
function inPlaceOf(
  before: DeclaredPlacement,
  after: DeclaredPlacement,
  logBytesPerDay: Readonly<Record<GroupName, number>>,
): Readonly<Record<GroupName, number>> {
  const groups = layoutGroups(after);
  const rates: Record<GroupName, number> = {};
  for (const { name, homeRegion, residency } of layoutGroups(before)) {
    const region = nearestRegion(homeRegion, after, before.latency);
    const heir =
      groups.find((group) => group.name === name) ??
      groups.find((group) => group.homeRegion === region && group.residency === residency);
    if (heir !== undefined)
      rates[heir.name] = (rates[heir.name] ?? 0) + (logBytesPerDay[name] ?? 0);
  }
  return rates;
}

function sum(copies: readonly BytesBetween[]): number {
  return copies.reduce((all, { bytes }) => all + bytes, 0);
}
