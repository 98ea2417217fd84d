/** What a verification tells: for a person, and as one object. Pure. */
import type { Checker, Injected, Verdict } from './history.ts';
import type { Pause, WorkloadCounts } from './measure.ts';

export interface VerifyReport {
  readonly seed: number;
  readonly seconds: number;
  readonly layout: string;
  readonly faults: readonly string[];
  /** The command that does the same again. */
  readonly again: string;
  readonly moves: { readonly planned: number; readonly played: number };
  readonly failedMoves: readonly string[];
  readonly injected: readonly Injected[];
  readonly operations: number;
  /** The history was full before the time was over. */
  readonly capped: boolean;
  readonly workloads: readonly WorkloadCounts[];
  readonly pauses: readonly Pause[];
  /** What was not as it should be a minute after everything was healed. */
  readonly unrecovered: readonly string[];
  readonly verdicts: readonly Verdict[];
  /** What was asked for and not reached: such a run shows nothing. */
  readonly uncovered: readonly string[];
  /** Where the history and the logs are, if they were kept. */
  readonly kept: string | undefined;
  readonly tookMs: number;
}

/** Undefined: clean. */
export function reasonOf(
  report: Pick<VerifyReport, 'verdicts' | 'unrecovered' | 'uncovered'>,
): string | undefined {
  const broken = report.verdicts.filter(({ violations }) => violations.length > 0);
  if (broken.length > 0) {
    const count = broken.reduce((sum, { violations }) => sum + violations.length, 0);
    const names = broken.map(({ checker }) => checker).join(', ');
    return `${String(count)} ${count === 1 ? 'violation' : 'violations'}: ${names}`;
  }
  if (report.unrecovered.length > 0) return `did not recover: ${report.unrecovered.join('; ')}`;
  if (report.uncovered.length > 0) return `shows nothing: ${report.uncovered.join('; ')}`;
  return undefined;
}

export function reportJson(report: VerifyReport): string {
  const reason = reasonOf(report);
  return `${JSON.stringify({ clean: reason === undefined, reason, ...report })}\n`;
}

const VIOLATIONS_SHOWN = 3;

export function reportText(
  report: VerifyReport,
  how: {
    readonly checkers: readonly Checker[];
    readonly format: (indexes: readonly number[]) => string;
  },
): string {
  const { seed, layout, seconds, operations, verdicts } = report;
  const heading = `Verified for ${String(seconds)} s, seed ${String(seed)}, layout ${layout}.`;
  return [
    heading,
    '',
    'Injected',
    ...indented(injectedLines(report)),
    '',
    `Load: ${String(operations)} operations${report.capped ? ', and no more: the history is full' : ''}`,
    ...indented(report.workloads.map(workloadLine)),
    ...indented(report.pauses.map(pauseLine)),
    '',
    'Checks',
    ...indented(verdicts.flatMap((verdict) => verdictLines(verdict, how))),
    ...(report.kept === undefined ? [] : ['', `History and logs: ${report.kept}`]),
    `Again: ${report.again}`,
    '',
    reasonOf(report) ?? 'clean',
    '',
  ].join('\n');
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

function injectedLines({ injected, moves, failedMoves }: VerifyReport): string[] {
  const lines = injected.map(({ atMs, healedAtMs, what, struck }) => {
    const until = healedAtMs === undefined ? '' : `, healed after ${seconds(healedAtMs - atMs)}`;
    const leaders = struck.length === 0 ? '' : `, leader of ${struck.join(', ')}`;
    return `${seconds(atMs).padStart(7)}  ${what}${leaders}${until}`;
  });
  const count = `${String(moves.played)} of ${String(moves.planned)} moves, ${String(injected.length)} faults`;
  return [count, ...lines, ...failedMoves.map((line) => `not played: ${line}`)];
}

function workloadLine({ name, ok, failed, unknown, p50Ms, p99Ms, maxMs }: WorkloadCounts): string {
  const times =
    p50Ms === null
      ? 'nothing answered'
      : `p50 ${String(p50Ms)} ms, p99 ${String(p99Ms)} ms, max ${String(maxMs)} ms`;
  return `${name.padEnd(10)} ${String(ok)} ok, ${String(failed)} failed, ${String(unknown)} unknown; ${times}`;
}

function pauseLine({ group, longestMs, fromMs }: Pause): string {
  return `${group}: longest without an acknowledged write ${seconds(longestMs)}, at ${seconds(fromMs)}`;
}

function verdictLines(
  { checker, violations, covered }: Verdict,
  how: Parameters<typeof reportText>[1],
): string[] {
  const claims = how.checkers.find(({ name }) => name === checker)?.claims ?? '';
  const looked = Object.entries(covered)
    .map(([what, count]) => `${String(count)} ${what}`)
    .join(', ');
  const mark = violations.length === 0 ? 'ok    ' : 'BROKEN';
  const shown = violations
    .slice(0, VIOLATIONS_SHOWN)
    .flatMap(({ what, operations }) => [
      `  ${what}`,
      ...(operations.length === 0 ? [] : how.format(operations).trimEnd().split('\n')).map(
        (line) => `    ${line}`,
      ),
    ]);
  const more = violations.length - VIOLATIONS_SHOWN;
  return [
    `${mark} ${checker}: ${claims} (${looked})`,
    ...shown,
    ...(more > 0 ? [`  and ${String(more)} more`] : []),
  ];
}
