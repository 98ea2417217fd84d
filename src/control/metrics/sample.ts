/**
 * Values of metrics on their way to the supervisor. A report comes from another process, so everything
 * in it is checked against the table; what does not fit refuses the whole report.
 */
import { MeridianError } from '../../kernel/errors.ts';
import {
  LABEL_VALUES,
  METRICS,
  PROCESS_LABELS,
  type MetricEntry,
  type MetricName,
} from './table.ts';

export interface Sample {
  readonly name: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a process tells of itself; the labels of the process are added by the supervisor. */
export interface MetricsReport {
  readonly process: string;
  /** Tells several clients in one process apart. */
  readonly instance: string;
  readonly samples: readonly Sample[];
}

const SAMPLES_MAX = 200;
const PLAIN = /^[\x21-\x7e]{1,64}$/;

/** Throws ERR_CONTROL_REQUEST. */
export function parseMetricsReport(body: string): MetricsReport {
  let report: Partial<MetricsReport> | null = null;
  try {
    report = JSON.parse(body) as Partial<MetricsReport> | null;
  } catch {
    // Refused below, like any other wrong shape.
  }
  const { process, instance, samples } = report ?? {};
  if (!isPlain(process) || !isPlain(instance) || !Array.isArray(samples)) throw notAReport();
  if (samples.length > SAMPLES_MAX) throw notAReport();
  return { process, instance, samples: samples.map(parseSample) };
}

function parseSample(given: unknown): Sample {
  const { name, labels, value } = (given ?? {}) as Partial<Sample>;
  if (typeof name !== 'string' || !Object.hasOwn(METRICS, name)) throw notAReport();
  const entry: MetricEntry = METRICS[name];
  const known = entry.labels.slice(PROCESS_LABELS.length);
  const fits =
    (entry.from === 'gateway' || entry.from === 'client') &&
    typeof value === 'number' &&
    Number.isFinite(value) &&
    value >= 0 &&
    typeof labels === 'object' &&
    labels !== null &&
    Object.keys(labels).length === known.length &&
    known.every((label) => isAllowed(label, labels[label]));
  if (!fits) throw notAReport();
  return { name, labels, value };
}

function isPlain(text: unknown): text is string {
  return typeof text === 'string' && PLAIN.test(text);
}

/** By the table, so that nothing a process says makes series without end. */
function isAllowed(label: string, value: unknown): boolean {
  const allowed: Readonly<Record<string, readonly unknown[] | undefined>> = LABEL_VALUES;
  return allowed[label]?.includes(value) === true;
}

function notAReport(): MeridianError {
  return new MeridianError('ERR_CONTROL_REQUEST', 'the body is not a report of metrics');
}
