/** Samples as Prometheus reads them. Each scrape has a registry of its own: there is no global state. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Sample } from './sample.ts';
import { METRICS, metricNames, type MetricEntry, type MetricName } from './table.ts';

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** Every metric of the table is named, also one without a value. */
export async function expose(samples: readonly Sample[]): Promise<Exposition> {
  const registry = new Registry();
  const gauges = new Map<MetricName, Gauge>();
  const counters = new Map<MetricName, Counter>();
  for (const name of metricNames()) {
    const { type, help, labels }: MetricEntry = METRICS[name];
    const metric = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'gauge') gauges.set(name, new Gauge(metric));
    else counters.set(name, new Counter(metric));
  }
  for (const { name, labels, value } of samples) {
    gauges.get(name)?.set(labels, value);
    counters.get(name)?.inc(labels, value);
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}
