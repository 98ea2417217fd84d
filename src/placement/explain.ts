/** Why an account lives where it does, and what would have to change, in words. Pure. */
import type { AccountExplanation } from '../control/placement.ts';
import type { RegionName } from '../topology/region.ts';
import { meanRoundTripMs, sum, type Distances } from './preference.ts';
import { judgeHome, type AccountFacts, type Judgement } from './rehoming.ts';
import type { RehomingPolicy } from './rehoming-policy.ts';

export interface HomeExplanation {
  readonly home: RegionName;
  readonly judgement: Judgement;
  /** Of the last whole cycle, most first. */
  readonly traffic: AccountExplanation['traffic'];
  /** Mean round trip from its clients to each possible home in that cycle, in ms, least first. */
  readonly homes: AccountExplanation['homes'];
  /** One sentence: what was decided, and why. */
  readonly why: string;
}

export function explainHome(
  account: AccountFacts,
  place: { readonly regions: readonly RegionName[]; readonly distances: Distances },
  policy: RehomingPolicy,
): HomeExplanation {
  const { regions, distances } = place;
  const { traffic } = account;
  const name = (region: number): RegionName => regions[region] ?? String(region);
  const counts = regions.map((_, region) => {
    let total = 0;
    for (let age = 1; age <= traffic.shape.intervalsPerCycle; age += 1) {
      total += traffic.count(age, region);
    }
    return total;
  });
  const all = sum(counts);
  const judgement = judgeHome(account, distances, policy);
  return {
    home: name(account.home),
    judgement,
    traffic: counts
      .map((accesses, region) => ({
        ...{ region: name(region), accesses, share: all === 0 ? 0 : accesses / all },
      }))
      .toSorted((a, b) => b.accesses - a.accesses),
    homes: regions
      .map((region, home) => ({ region, meanMs: meanRoundTripMs(counts, distances, home) }))
      .filter((_, home) => home === account.home || account.allowed?.has(home) !== false)
      .toSorted((a, b) => a.meanMs - b.meanMs),
    why: sentence(judgement, { account, policy, name }),
  };
}

const percent = (share: number): string => `${String(Math.round(100 * share))} %`;

function sentence(
  judgement: Judgement,
  of: {
    readonly account: AccountFacts;
    readonly policy: RehomingPolicy;
    readonly name: (region: number) => RegionName;
  },
): string {
  const { account, policy, name } = of;
  const home = name(account.home);
  if (judgement.kind === 'move') {
    const saves = `saves ${percent(judgement.gain)} of the distance`;
    return judgement.because === 'vacated'
      ? `moves to ${name(judgement.to)}: its traffic from ${home} has ceased, and that ${saves}`
      : `moves to ${name(judgement.to)}: that ${saves}, and has done so for ${String(policy.dwellCycles)} cycles`;
  }
  const there = judgement.to === undefined ? 'another home' : name(judgement.to);
  switch (judgement.because) {
    case 'best-here':
      return `stays: no other home that it may have is nearer to its clients than ${home}`;
    case 'too-new':
      return `stays: its traffic has been seen for ${String(account.traffic.known)} intervals, and ${String(policy.dwellCycles)} whole cycles tell`;
    case 'too-little-traffic':
      return `stays: it would need ${String(policy.accessesMin)} accesses that a home must answer, to tell a habit from chance`;
    case 'gain-too-small':
      return `stays: ${there} would be nearer, by less than ${percent(policy.gainMin)} of the distance`;
    case 'spread-out':
      return `stays: ${there} would be nearer in the middle, but not ${percent(policy.dominanceMin)} of the traffic come from there for certain`;
    case 'not-lasting':
      return `stays: ${there} would be nearer, and was not in each of the last ${String(policy.dwellCycles)} cycles, or is not any more`;
    case 'cooling-down':
      return `stays: it was moved ${String(account.movedAgo)} intervals ago, and is left alone for ${String(policy.cooldownIntervals)}`;
  }
}
