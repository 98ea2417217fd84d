/**
 * Values of metrics on their way to the supervisor. A report comes from another process, so everything
 * in it is checked against the table; what does not fit refuses the whole report.
 */
import { MeridianError } from '../../kernel/errors.ts';
import { METRICS, type MetricEntry, type MetricName } from './table.ts';

export interface Sample {
  readonly name: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a process tells of itself; the label `process` is added by the supervisor. */
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
  const known = entry.labels.filter((label) => label !== 'process');
  const fits =
    entry.from !== 'status' &&
    typeof value === 'number' &&
    Number.isFinite(value) &&
    value >= 0 &&
    typeof labels === 'object' &&
    labels !== null &&
    Object.keys(labels).length === known.length &&
    known.every((label) => isPlain(labels[label]));
  if (!fits) throw notAReport();
  return { name, labels, value };
}

function isPlain(text: unknown): text is string {
  return typeof text === 'string' && PLAIN.test(text);
}

function notAReport(): MeridianError {
  return new MeridianError('ERR_CONTROL_REQUEST', 'the body is not a report of metrics');
}
