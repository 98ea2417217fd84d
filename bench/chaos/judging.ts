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
import { KINDS, type Kind, type Sample } from '../rolling/processes.ts';
import type { Struck } from './faults.ts';

export interface ChaosRun {
  readonly summary: Summary;
  readonly struck: Struck;
  /** Before anything was struck, halfway through the faults, and when all had been calm for a while. */
  readonly first: Sample;
  readonly halfway: Sample;
  readonly after: Sample;
  /** What the supervisor's own memory holds when all that is dead is collected, at the last two. */
  readonly liveMegabytes: { readonly halfway: number; readonly after: number };
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
/** Faults bring peaks; afterwards each process has no more than it had in the midst of them, about. */
const LIVE_GROWTH_MAX = 8;
/** Of a process whose live memory cannot be asked for: a peak leaves much behind that is free. */
const MEGABYTES_GROWTH_MAX = 64;
const DESCRIPTORS_GROWTH_MAX = 16;

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
  const { summary, struck, first, after, leftBehind } = run;
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
    const [was, is] = [first.kinds[kind].processes, after.kinds[kind].processes];
    if (was !== is) failures.push(`${String(was)} ${kind} processes became ${String(is)}`);
  }
  failures.push(...leftBehind.map((command) => `left behind: ${command}`));
  failures.push(...grownBetween(run));
  return failures;
}

export interface Grown {
  readonly kind: Kind;
  /** Of one process, halfway and afterwards. */
  readonly megabytes: readonly [number, number];
  readonly descriptors: readonly [number, number];
}

export function growthOf({ halfway, after }: Pick<ChaosRun, 'halfway' | 'after'>): Grown[] {
  const each = (sample: Sample, kind: Kind, of: 'megabytes' | 'descriptors'): number =>
    Math.round(sample.kinds[kind][of] / Math.max(1, sample.kinds[kind].processes));
  return KINDS.map((kind) => ({
    kind,
    megabytes: [each(halfway, kind, 'megabytes'), each(after, kind, 'megabytes')],
    descriptors: [each(halfway, kind, 'descriptors'), each(after, kind, 'descriptors')],
  }));
}

function grownBetween(run: ChaosRun): string[] {
  const grown: string[] = [];
  const { halfway, after } = run.liveMegabytes;
  if (after - halfway > LIVE_GROWTH_MAX) {
    grown.push(`the supervisor holds ${String(Math.round(after - halfway))} MB more`);
  }
  for (const { kind, megabytes, descriptors } of growthOf(run)) {
    // The driver remembers every write it made, to compare them in the end.
    if (kind === 'driver') continue;
    if (megabytes[1] - megabytes[0] > MEGABYTES_GROWTH_MAX) {
      grown.push(`each ${kind} process grew from ${megabytes.join(' to ')} MB`);
    }
    if (descriptors[1] - descriptors[0] > DESCRIPTORS_GROWTH_MAX) {
      grown.push(`each ${kind} process grew from ${descriptors.join(' to ')} descriptors`);
    }
  }
  return grown;
}

export function countsBy<T>(items: readonly T[], of: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[of(item)] = (counts[of(item)] ?? 0) + 1;
  return counts;
}
