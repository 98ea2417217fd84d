/**
 * Whether a run under faults was a good one. Pure.
 *
 * A client may be refused, and then is told whether to come back, and when; a request goes unanswered
 * only while the gateway that has it, or is to have it, was killed on purpose.
 */
import { REQUEST_TIMEOUT_MS } from '../../examples/bank/load/client.ts';
import type { Summary } from '../../examples/bank/load/report.ts';
import type { CountedFault, Loss } from '../../examples/bank/load/tally.ts';
import type { Injected } from '../../src/verify/history.ts';
import { JUDGED_FROM_MS, judgeGrowth } from '../rolling/report.ts';
import type { Kind, Sample } from '../rolling/processes.ts';
import type { Struck } from './faults.ts';

export interface ChaosRun {
  readonly summary: Summary;
  readonly struck: Struck;
  readonly samples: readonly Sample[];
  /** Before anything was struck, and when all had recovered. */
  readonly before: Sample;
  readonly after: Sample;
  /** Of processes that were there when the platform had stopped. */
  readonly leftBehind: readonly string[];
  /** How late the supervisor's own turns were: a machine with too much to do shows here. */
  readonly lag: { readonly p99Ms: number; readonly maxMs: number };
}

/** From the kill of a gateway until its successor takes connections. */
const GATEWAY_BACK_MS = 8_000;
/** The driver notices, and its clock is read, a moment apart from ours. */
const SLACK_MS = 500;
/** Few kinds, whose number is declared: all must be back, and none more. */
const COUNTED: readonly Kind[] = ['gateway', 'app server', 'WAN'];

export function isSound({ retry, retryAfter, outcome, repeatable, status }: CountedFault): boolean {
  // Not one of the platform's, or of the bank's by its words: a client could make nothing of it.
  if (retry === null) return false;
  const advised = retry === 'now' || retry === 'backoff';
  // What may have happened is not to be repeated blindly, and may be with a key.
  const resolvable = outcome === 'unknown' && repeatable;
  return status >= 400 && (advised || resolvable) && (retry !== 'backoff' || retryAfter);
}

/** Lost with its gateway, or sent while there was none: its connection waits for the successor. */
export function isExcused({ region, code, atMs }: Loss, injected: readonly Injected[]): boolean {
  const sentAtMs = code === 'UND_ERR_HEADERS_TIMEOUT' ? atMs - REQUEST_TIMEOUT_MS : atMs;
  return injected.some(
    (fault) =>
      fault.what.includes(`gateway.${region}`) &&
      atMs >= fault.atMs - SLACK_MS &&
      sentAtMs <= (fault.healedAtMs ?? fault.atMs) + GATEWAY_BACK_MS,
  );
}

/** What keeps the run from passing. */
export function failuresOf(run: ChaosRun): string[] {
  const { summary, struck, samples, before, after, leftBehind } = run;
  const failures: string[] = [];
  for (const fault of summary.faults.filter((one) => !isSound(one))) {
    failures.push(`not retryable, or not said when: ${JSON.stringify(fault)}`);
  }
  const unexcused = summary.losses.filter((loss) => !isExcused(loss, struck.injected));
  if (unexcused.length > 0) {
    const [first] = unexcused;
    const codes = JSON.stringify(countsBy(unexcused, ({ code }) => code));
    failures.push(`not answered: ${codes}, first ${JSON.stringify(first)}`);
  }
  if (summary.lossesTotal > summary.losses.length) failures.push('too many were not answered');
  const overloaded = summary.errorsByCode['DRIVER_OVERLOAD'] ?? 0;
  if (overloaded > 0) failures.push(`${String(overloaded)} found no place in the driver`);
  if (!summary.balanced) failures.push('accounts do not balance');
  if (summary.readYourWritesViolations > 0) failures.push('writes were not read back');
  if (struck.injected.length === 0) failures.push('nothing was struck');
  failures.push(...struck.missing.map((what) => `not recovered: ${what}`));
  for (const kind of COUNTED) {
    const [was, is] = [before.kinds[kind].processes, after.kinds[kind].processes];
    if (was !== is) failures.push(`${String(was)} ${kind} processes became ${String(is)}`);
  }
  failures.push(...leftBehind.map((command) => `left behind: ${command}`));
  const lengthMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  if (lengthMs >= JUDGED_FROM_MS) {
    for (const { kind, flat } of judgeGrowth(samples)) {
      if (!flat && kind !== 'driver') failures.push(`each ${kind} process grows`);
    }
  }
  return failures;
}

export function countsBy<T>(items: readonly T[], of: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[of(item)] = (counts[of(item)] ?? 0) + 1;
  return counts;
}
