/** The summary: for programs one JSON object, for people a table. Pure. */
import type { Comparison, Mismatch } from './ledger.ts';
import type { RequestClass } from './mix.ts';
import { count, total, type CountedFault, type Loss, type Tally } from './tally.ts';

/** Fewer samples than this don't carry a 99th percentile. */
export const SAMPLES_ENOUGH = 500;
const MISMATCHES_SHOWN = 10;

export interface ClassSummary {
  readonly region: string;
  readonly class: RequestClass;
  readonly samples: number;
  readonly enough: boolean;
  readonly perSecond: number;
  /** Milliseconds from the planned arrival; null without samples. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly errors: number;
  readonly refused: number;
  readonly retries: number;
}

export interface Summary {
  readonly seed: number;
  /** Measured; the warm-up comes before. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly rate: number;
  /** All that were planned to be sent, warm-up included. */
  readonly requests: number;
  readonly errors: number;
  readonly errorsByCode: Readonly<Record<string, number>>;
  readonly refused: number;
  /** Times a transaction was run again, as its answers told. */
  readonly retries: number;
  /** As the servers counted, failed requests included. */
  readonly retriesByCode: Readonly<Record<string, number>>;
  /** What was answered instead, of requests that were sent again too. */
  readonly faults: readonly CountedFault[];
  /** The first of those that were not answered at all. */
  readonly losses: readonly Loss[];
  readonly lossesTotal: number;
  readonly balanced: boolean;
  readonly accounts: number;
  readonly unknownOutcomes: { readonly applied: number; readonly absent: number };
  /** The first few. */
  readonly mismatches: readonly Mismatch[];
  readonly mismatchesTotal: number;
  readonly readYourWritesChecks: number;
  readonly readYourWritesViolations: number;
  readonly classes: readonly ClassSummary[];
}

export interface RunFacts {
  readonly seed: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly rate: number;
}

export function summarize(run: RunFacts, tally: Tally, comparison: Comparison): Summary {
  const errors = new Map<string, number>();
  for (const part of tally.classes) {
    for (const [code, value] of part.errors) count(errors, code, value);
  }
  const classes = tally.classes.map((part): ClassSummary => {
    const [p50 = null, p95 = null, p99 = null] = part.samples
      .percentiles([0.5, 0.95, 0.99])
      .map((value) => (value === null ? null : round(value)));
    return {
      region: part.region,
      class: part.class,
      samples: part.samples.count,
      enough: part.samples.count >= SAMPLES_ENOUGH,
      perSecond: run.seconds === 0 ? 0 : round(part.samples.count / run.seconds),
      p50,
      p95,
      p99,
      errors: total(part.errors),
      refused: part.refused,
      retries: part.retries,
    };
  });
  return {
    ...run,
    seconds: round(run.seconds),
    requests: tally.classes.reduce((sum, part) => sum + part.requests, 0),
    errors: total(errors),
    errorsByCode: Object.fromEntries(errors),
    refused: sumOf(classes, 'refused'),
    retries: sumOf(classes, 'retries'),
    retriesByCode: Object.fromEntries(tally.retriesByCode),
    faults: tally.faults,
    losses: tally.losses,
    lossesTotal: tally.lossesTotal,
    balanced: comparison.mismatches.length === 0,
    accounts: comparison.accounts,
    unknownOutcomes: { applied: comparison.unknownApplied, absent: comparison.unknownAbsent },
    mismatches: comparison.mismatches.slice(0, MISMATCHES_SHOWN),
    mismatchesTotal: comparison.mismatches.length,
    readYourWritesChecks: tally.readYourWritesChecks,
    readYourWritesViolations: tally.readYourWritesViolations,
    classes,
  };
}

/** 0: every request answered, every account balanced, every write read back. */
export function exitCodeOf(summary: Summary): 0 | 1 {
  const clean = summary.errors === 0 && summary.balanced && summary.readYourWritesViolations === 0;
  return clean ? 0 : 1;
}

export function formatSummary(summary: Summary): string {
  const header = ['region', 'class', 'req/s', 'samples', 'p50', 'p95', 'p99', 'errors', 'retries'];
  const rows = summary.classes.map((part) => [
    part.region,
    part.class,
    part.perSecond.toFixed(1),
    `${String(part.samples)}${part.enough ? '' : ' (few)'}`,
    formatMs(part.p50),
    formatMs(part.p95),
    formatMs(part.p99),
    String(part.errors),
    String(part.retries),
  ]);
  const { applied, absent } = summary.unknownOutcomes;
  const lines = [
    ...formatTable([header, ...rows]),
    '',
    `${String(summary.requests)} requests, ${String(summary.refused)} refused for the business's reasons, seed ${String(summary.seed)}`,
    `errors    ${formatCounts(summary.errors, summary.errorsByCode)}`,
    `retries   ${formatCounts(summary.retries, summary.retriesByCode)}`,
    `unknown   ${String(applied + absent)} outcomes: ${String(applied)} in SQL, ${String(absent)} not`,
    `tokens    ${String(summary.readYourWritesChecks)} reads of own writes checked, ${String(summary.readYourWritesViolations)} wrong`,
    `balanced  ${summary.balanced ? 'yes' : 'NO'}: ${String(summary.accounts)} accounts against SQL on their leaders`,
    ...summary.mismatches.map(({ account, kind, detail }) => `  ${account}: ${kind}: ${detail}`),
  ];
  const more = summary.mismatchesTotal - summary.mismatches.length;
  if (more > 0) lines.push(`  and ${String(more)} more`);
  return lines.join('\n');
}

/** Columns as wide as their widest cell: the first two to the left, figures to the right. */
function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column < 2 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

function formatCounts(sum: number, byCode: Readonly<Record<string, number>>): string {
  const parts = Object.entries(byCode).map(([code, value]) => `${code} ${String(value)}`);
  return parts.length === 0 ? String(sum) : `${String(sum)} (${parts.join(', ')})`;
}

function formatMs(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} ms`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function sumOf(classes: readonly ClassSummary[], key: 'refused' | 'retries'): number {
  return classes.reduce((sum, part) => sum + part[key], 0);
}
