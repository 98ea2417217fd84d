/** A plan from what the supervisor tells. Pure. */
import type { PlacementFacts } from '../control/placement.ts';
import type { StatusReport } from '../control/status.ts';
import { planPlacement, type PlacementPlan } from '../placement/plan/plan.ts';
import type { DeclaredPlacement } from '../topology/declared.ts';

export function planFrom(on: {
  readonly after: DeclaredPlacement;
  readonly facts: PlacementFacts;
  readonly status: StatusReport;
}): PlacementPlan {
  const { after, facts, status } = on;
  const ranges = facts.ranges ?? [];
  const byHome = (of: (range: (typeof ranges)[number]) => number): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const range of ranges) {
      sums[range.homeRegion] = (sums[range.homeRegion] ?? 0) + of(range);
    }
    return sums;
  };
  return planPlacement({
    ...{ before: facts.declared, after },
    data: {
      accounts: byHome(({ accounts }) => accounts),
      bytes: byHome(({ bytes }) => bytes),
      startMs: facts.startMs,
    },
    standing: {
      ...{ groups: status.groups, nodes: status.nodes },
      declaredRanges: Object.fromEntries(
        ranges.flatMap(({ range, declaredIn }) =>
          declaredIn === null ? [] : [[range, declaredIn] as const],
        ),
      ),
      madeRanges: ranges.filter(({ declaredIn }) => declaredIn === null).map(({ range }) => range),
    },
    traffic: facts.traffic ?? undefined,
    schema: facts.schema ?? undefined,
    logBytesPerDay: facts.logBytesPerDay ?? undefined,
  });
}
