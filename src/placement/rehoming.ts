/**
 * Whether an account should have another home region, from its traffic alone. Pure, and the same for the live
 * cluster and for simulations.
 *
 * Two things make it move. Its traffic prefers another home *lastingly*: in each of the last whole cycles, so
 * that days and nights, teams that hand over to each other and a busy day change nothing. Or its old home is
 * *vacated*: where there was traffic at these hours of the cycle before there is none now, and all comes
 * from elsewhere. Somebody has moved house, and need not wait.
 *
 * It never goes to and fro: after a move nothing moves it again before the cool-down is over, and only what
 * gains as much as the first move did.
 */
import { gainOf, preferenceOf, sum, surelyAtLeast, type Distances } from './preference.ts';
import type { RehomingPolicy } from './rehoming-policy.ts';
import type { Traffic } from './traffic.ts';

export interface AccountFacts {
  /** Index of its home region, as in the distances. */
  readonly home: number;
  readonly bytes: number;
  /** Intervals since its last move; undefined: it has never been moved. */
  readonly movedAgo: number | undefined;
  /** Regions where it may live; undefined: all. */
  readonly allowed: ReadonlySet<number> | undefined;
  readonly traffic: Traffic;
}

export type Judgement =
  | {
      readonly kind: 'move';
      readonly to: number;
      readonly because: 'lasting' | 'vacated';
      readonly gain: number;
      /** What its clients wait less in a cycle, all together. */
      readonly savedMsPerCycle: number;
    }
  | {
      readonly kind: 'stay';
      readonly because: StayReason;
      /** Where it would be moved if that did not stand in the way. */
      readonly to: number | undefined;
    };

export type StayReason =
  /** It is where its traffic is. */
  | 'best-here'
  /** Its traffic has not been seen for long enough. */
  | 'too-new'
  | 'too-little-traffic'
  /** Another home would be nearer, by too little. */
  | 'gain-too-small'
  /** No region has enough of its traffic for certain. */
  | 'spread-out'
  /** It prefers another home, and did not before, or does not any more. */
  | 'not-lasting'
  | 'cooling-down';

/**
 * In each cycle another home must be the nearer one for so much of the time: a team's shift is, and the few
 * hours of a cycle into which a busy day of the next, or the last, one reaches are not, however busy it was.
 */
const PREFERRING_MIN = 0.25;

interface Judging {
  readonly account: AccountFacts;
  readonly distances: Distances;
  readonly policy: RehomingPolicy;
}

export function judgeHome(
  account: AccountFacts,
  distances: Distances,
  policy: RehomingPolicy,
): Judgement {
  const judging = { account, distances, policy };
  const { movedAgo, traffic } = account;
  if (movedAgo !== undefined && movedAgo < policy.cooldownIntervals) {
    return { kind: 'stay', because: 'cooling-down', to: undefined };
  }
  return judgeVacated(judging) ?? (traffic.known === 0 ? tooNew() : judgeLasting(judging));
}

const tooNew = (): Judgement => ({ kind: 'stay', because: 'too-new', to: undefined });

/** Accesses by client region in the intervals of these ages, both included. */
function between({ account }: Judging, from: number, to: number): number[] {
  const { traffic } = account;
  const { regions } = traffic.shape;
  return Array.from({ length: regions }, (_, region) => {
    let total = 0;
    for (let age = from; age <= to; age += 1) total += traffic.count(age, region);
    return total;
  });
}

/** Those of whole cycles back, each at half of the weight of the one after it. */
function weighted(judging: Judging): number[] {
  const { regions, cycles, intervalsPerCycle } = judging.account.traffic.shape;
  const all = new Array<number>(regions).fill(0);
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const from = cycle * intervalsPerCycle;
    between(judging, from + 1, from + intervalsPerCycle).forEach((count, region) => {
      all[region] = (all[region] ?? 0) + count * 0.5 ** cycle;
    });
  }
  return all;
}

/** Of each interval the shares, so that one busy hour is one hour. */
function presence({ account }: Judging, from: number, to: number): number[] {
  const { traffic } = account;
  const { regions } = traffic.shape;
  const all = new Array<number>(regions).fill(0);
  for (let age = from; age <= to; age += 1) {
    let total = 0;
    for (let region = 0; region < regions; region += 1) total += traffic.count(age, region);
    if (total === 0) continue;
    for (let region = 0; region < regions; region += 1) {
      all[region] = (all[region] ?? 0) + traffic.count(age, region) / total;
    }
  }
  return all;
}

/** Of the intervals with any traffic, the share in which the other home would be nearer. */
function preferring(
  { account, distances }: Judging,
  of: {
    readonly first: number;
    readonly last: number;
    readonly way: { readonly from: number; readonly to: number };
  },
): number {
  const { traffic } = account;
  const { regions } = traffic.shape;
  let [active, preferred] = [0, 0];
  for (let age = of.first; age <= of.last; age += 1) {
    let [total, saved] = [0, 0];
    for (let client = 0; client < regions; client += 1) {
      const count = traffic.count(age, client);
      const row = distances[client];
      total += count;
      saved += count * ((row?.[of.way.from] ?? 0) - (row?.[of.way.to] ?? 0));
    }
    if (total > 0) active += 1;
    if (saved > 0) preferred += 1;
  }
  return active === 0 ? 0 : preferred / active;
}

function judgeLasting(judging: Judging): Judgement {
  const { account, distances, policy } = judging;
  const { home, allowed, traffic } = account;
  const { intervalsPerCycle } = traffic.shape;
  const stay = (because: StayReason, to?: number): Judgement => ({ kind: 'stay', because, to });
  const accesses = weighted(judging);
  const total = sum(accesses);
  if (total < policy.accessesMin) return stay('too-little-traffic');
  const { home: to, gain, share } = preferenceOf(accesses, distances, { home, allowed });
  if (to === home) return stay('best-here');
  if (gain < policy.gainMin) return stay('gain-too-small', to);
  if (surelyAtLeast(share, total) < policy.dominanceMin) return stay('spread-out', to);
  if (traffic.known < policy.dwellCycles * intervalsPerCycle) return stay('too-new', to);
  const way = { from: home, to };
  for (let cycle = 0; cycle < policy.dwellCycles; cycle += 1) {
    const from = cycle * intervalsPerCycle;
    const [first, last] = [from + 1, from + intervalsPerCycle];
    const seen = between(judging, first, last);
    if (gainOf(seen, distances, way) < policy.gainMin) return stay('not-lasting', to);
    if (preferring(judging, { first, last, way }) < PREFERRING_MIN) return stay('not-lasting', to);
  }
  // A busy day that is over may have begun in one cycle and ended in the next.
  const recent = presence(judging, 1, policy.vacatedIntervals);
  if (gainOf(recent, distances, way) < policy.gainMin) return stay('not-lasting', to);
  const cycle = between(judging, 1, intervalsPerCycle);
  return { kind: 'move', to, because: 'lasting', gain, savedMsPerCycle: saved(cycle, judging, to) };
}

/** Undefined unless the home is vacated. */
function judgeVacated(judging: Judging): Judgement | undefined {
  const { account, distances, policy } = judging;
  const { home, allowed, traffic } = account;
  const { intervalsPerCycle } = traffic.shape;
  if (traffic.known < intervalsPerCycle + policy.vacatedIntervals) return undefined;
  // As short a time as tells something: where there was enough at these hours of the cycle before.
  let [expected, actual] = [0, 0];
  let length = 0;
  while (length < intervalsPerCycle) {
    length += 1;
    expected += traffic.count(intervalsPerCycle + length, home);
    actual += traffic.count(length, home);
    if (length >= policy.vacatedIntervals && expected >= policy.accessesMin) break;
  }
  if (expected < policy.accessesMin || actual > policy.vacatedShareMax * expected) return undefined;
  const accesses = between(judging, 1, length);
  const { home: to, gain, share } = preferenceOf(accesses, distances, { home, allowed });
  if (to === home || gain < policy.gainMin) return undefined;
  if (surelyAtLeast(share, sum(accesses)) < policy.dominanceMin) return undefined;
  const perCycle = (saved(accesses, judging, to) * intervalsPerCycle) / length;
  return { kind: 'move', to, because: 'vacated', gain, savedMsPerCycle: perCycle };
}

function saved(accesses: readonly number[], { account, distances }: Judging, to: number): number {
  return accesses.reduce((all, count, client) => {
    const row = distances[client];
    return all + count * ((row?.[account.home] ?? 0) - (row?.[to] ?? 0));
  }, 0);
}
