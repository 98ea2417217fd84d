/** The checkers, and whether they had something to look at. */
import type { Checker, History, Verdict } from './history.ts';
import type { VerifyOptions } from './options.ts';

export const CHECKERS: readonly Checker[] = [];

export function uncoveredBy(
  options: VerifyOptions,
  history: History,
  _verdicts: readonly Verdict[],
): readonly string[] {
  return options.faults.length > 0 && history.injected.length === 0
    ? ['no fault was injected']
    : [];
}

export function formatOperations(history: History, indexes: readonly number[]): string {
  return indexes.map((index) => JSON.stringify(history.operations[index])).join('\n');
}
