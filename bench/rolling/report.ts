/** What a run of rolling restarts showed, and whether it passed. Pure. */
import type { Summary } from '../../examples/bank/load/report.ts';
import type { Second } from '../bank/load.ts';
import { KINDS, type Kind, type Sample } from './processes.ts';

export interface RestartDone {
  readonly what: 'apps' | 'gateways';
  readonly fromMs: number;
  readonly toMs: number;
  readonly restarted: number;
  readonly failure: string | undefined;
}

export interface Growth {
  readonly kind: Kind;
  /** Over the last two thirds of the run, by least squares, per half hour and process. */
  readonly megabytesPerHalfHour: number;
  readonly descriptorsPerHalfHour: number;
  readonly flat: boolean;
}

/** Shorter runs are shown and not judged: caches are still filling. */
export const JUDGED_FROM_MS = 10 * 60_000;
const HALF_HOUR_MS = 30 * 60_000;
/** The driver remembers every write it made, to compare them in the end. */
const NOT_JUDGED: ReadonlySet<Kind> = new Set(['driver']);
/** Per process and half hour: what measuring noise and slow caches explain. */
const MEGABYTES_MAX = 8;
const SHARE_MAX = 0.1;
const DESCRIPTORS_MAX = 10;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** Units of y per unit of x. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const x = mean(points.map(([one]) => one));
  const y = mean(points.map(([, one]) => one));
  const below = points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
  const above = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0);
  return below === 0 ? 0 : above / below;
}

export function judgeGrowth(samples: readonly Sample[]): Growth[] {
  const settled = samples.slice(Math.floor(samples.length / 3));
  return KINDS.map((kind) => {
    const used = settled.filter((sample) => sample.kinds[kind].processes > 0);
    const each = (of: 'megabytes' | 'descriptors'): [number, number][] =>
      used.map(({ atMs, kinds }) => [atMs, kinds[kind][of] / kinds[kind].processes]);
    const megabytesPerHalfHour = slope(each('megabytes')) * HALF_HOUR_MS;
    const descriptorsPerHalfHour = slope(each('descriptors')) * HALF_HOUR_MS;
    const present = mean(each('megabytes').map(([, value]) => value));
    const flat =
      used.length === 0 ||
      (megabytesPerHalfHour <= Math.max(MEGABYTES_MAX, SHARE_MAX * present) &&
        descriptorsPerHalfHour <= DESCRIPTORS_MAX);
    return { kind, megabytesPerHalfHour, descriptorsPerHalfHour, flat };
  });
}

export interface Run {
  readonly summary: Summary;
  readonly seconds: readonly Second[];
  readonly restarts: readonly RestartDone[];
  readonly samples: readonly Sample[];
}

/** What keeps the run from passing. */
export function failuresOf({ summary, restarts, samples }: Run): string[] {
  const failures: string[] = [];
  if (summary.errors > 0) failures.push(`${String(summary.errors)} requests failed`);
  if (!summary.balanced) failures.push('accounts do not balance');
  if (summary.readYourWritesViolations > 0) failures.push('writes were not read back');
  const undone = restarts.filter((one) => one.failure !== undefined || one.restarted === 0);
  if (restarts.length === 0) failures.push('nothing was restarted');
  if (undone.length > 0) failures.push(`${String(undone.length)} restarts failed`);
  const lengthMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  if (lengthMs >= JUDGED_FROM_MS) {
    for (const { kind, flat } of judgeGrowth(samples)) {
      if (!flat && !NOT_JUDGED.has(kind)) failures.push(`each ${kind} process grows`);
    }
  }
  return failures;
}

export function rollingReport(run: Run): string[] {
  const { summary, seconds, restarts, samples } = run;
  const during = ({ atMs }: Second): boolean =>
    restarts.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs + 1_000);
  const p99 = (chosen: readonly Second[]): string => {
    const values = chosen.map((second) => second.p99Ms).filter((value) => !Number.isNaN(value));
    return `median ${median(values).toFixed(0)} ms, worst ${Math.max(...values).toFixed(0)} ms`;
  };
  const count = (what: RestartDone['what']): string => {
    const done = restarts.filter((one) => one.what === what && one.failure === undefined);
    const took = done.map((one) => (one.toMs - one.fromMs) / 1_000);
    return `${String(done.length)} of ${what}, median ${median(took).toFixed(1)} s`;
  };
  return [
    `requests   ${String(summary.requests)} in ${String(Math.round(summary.seconds))} s`,
    `failed     ${String(summary.errors)} ${JSON.stringify(summary.errorsByCode)}`,
    `balanced   ${summary.balanced ? 'yes' : 'NO'}, ${String(summary.accounts)} accounts`,
    `restarts   ${count('apps')}; ${count('gateways')}`,
    `p99 of the seconds with a restart      ${p99(seconds.filter(during))}`,
    `p99 of the seconds without             ${p99(seconds.filter((one) => !during(one)))}`,
    '',
    ...memoryTable(samples),
  ];
}

function memoryTable(samples: readonly Sample[]): string[] {
  const startMs = samples[0]?.atMs ?? 0;
  const minutes = [1, 10, 20, 30].filter((minute) =>
    samples.some(({ atMs }) => atMs - startMs >= minute * 60_000 - 10_000),
  );
  const at = (minute: number): Sample | undefined =>
    samples.find(({ atMs }) => atMs - startMs >= minute * 60_000 - 10_000);
  const growth = new Map(judgeGrowth(samples).map((one) => [one.kind, one]));
  const columns = [...minutes.map((minute) => `min ${String(minute)}`), 'last'];
  const head = [
    'MB (processes)',
    ...columns,
    'MB/30 min each',
    'fds',
    'sockets',
    'fds/30 min each',
  ];
  const rows = KINDS.map((kind) => {
    const shown = [...minutes.map(at), samples.at(-1)].map((sample) => {
      const { megabytes, processes } = sample?.kinds[kind] ?? { megabytes: 0, processes: 0 };
      return `${megabytes.toFixed(0)} (${String(processes)})`;
    });
    const last = samples.at(-1)?.kinds[kind];
    const grown = growth.get(kind);
    return [
      kind,
      ...shown,
      (grown?.megabytesPerHalfHour ?? 0).toFixed(1),
      String(last?.descriptors ?? 0),
      String(last?.sockets ?? 0),
      (grown?.descriptorsPerHalfHour ?? 0).toFixed(1),
    ];
  });
  const table = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) =>
    row
      .map((cell, column) =>
        cell.padStart(column === 0 ? 0 : (widths[column] ?? 0)).padEnd(widths[column] ?? 0),
      )
      .join('  '),
  );
}
