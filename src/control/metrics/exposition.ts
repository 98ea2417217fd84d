/** Samples as Prometheus reads them. Each scrape has a registry of its own: there is no global state. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Sample } from './sample.ts';
import { METRICS, metricNames, type MetricEntry, type MetricName } from './table.ts';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** Every metric of the table is named; one whose value is not known has no sample. */
export async function expose(samples: readonly Sample[]): Promise<Exposition> {
  const registry = new Registry();
  const gauges = new Map<MetricName, Gauge>();
  const counters = new Map<MetricName, Counter>();
  for (const name of metricNames()) {
    const { type, help, labels }: MetricEntry = METRICS[name];
    const metric = { name, help, labelNames: [...labels], registers: [registry] };
    const made = type === 'gauge' ? new Gauge(metric) : new Counter(metric);
    // Without labels it would begin as 0.
    if (labels.length === 0) made.remove();
    if (made instanceof Gauge) gauges.set(name, made);
    else counters.set(name, made);
  }
  for (const { name, labels, value } of samples) {
    gauges.get(name)?.set(labels, value);
    counters.get(name)?.inc(labels, value);
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}
