/** The judgement on a history: what every checker says, and whether the run shows anything. Pure. */
import { CHECKERS } from './checkers/all.ts';
import { coverageFaults } from './checkers/coverage.ts';
import type { Checker, History, Verdict } from './history.ts';

export interface Judgement {
  readonly checkers: readonly Checker[];
  readonly verdicts: readonly Verdict[];
  readonly uncovered: readonly string[];
}

/**
 * `faults`: some were asked for, so that a run without any shows nothing. Without the last state nobody
 * judges: what is missing there would count as lost.
 */
export function judge(
  { history, complete }: { readonly history: History; readonly complete: boolean },
  { faults }: { readonly faults: boolean },
): Judgement {
  if (!complete) return { checkers: CHECKERS, verdicts: [], uncovered: [] };
  const verdicts = CHECKERS.filter(({ applies }) => applies?.(history) ?? true).map((checker) =>
    checker.check(history),
  );
  const uncovered = coverageFaults(history, verdicts, { faults });
  return { checkers: CHECKERS, verdicts, uncovered };
}
