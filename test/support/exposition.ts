/**
 * Prometheus' text format 0.0.4, read strictly: https://prometheus.io/docs/instrumenting/exposition_formats.
 * Anything that is not a comment of a known kind or a sample of a declared metric throws.
 */
import assert from 'node:assert/strict';

export interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ScrapedMetric {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ScrapedSample[];
}

const COMMENT = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/;
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
const LABEL = /^([a-zA-Z_]\w*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/;

/** By name. Each metric has one HELP, one TYPE, its samples behind them, and no series twice. */
export function parseExposition(text: string): Map<string, ScrapedMetric> {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const metrics = new Map<string, { type: string; help: string; samples: ScrapedSample[] }>();
  const series = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, kind, subject = '', rest = ''] = COMMENT.exec(line) ?? [];
    if (kind === 'HELP') {
      assert.ok(!metrics.has(subject), `${subject} begins twice`);
      metrics.set(subject, { type: '', help: rest, samples: [] });
      current = subject;
      continue;
    }
    const metric = metrics.get(current);
    assert.ok(metric !== undefined, `before the first HELP: ${line}`);
    if (kind === 'TYPE') {
      assert.equal(subject, current, line);
      assert.equal(metric.type, '', `${current} has two types`);
      assert.ok(rest === 'gauge' || rest === 'counter', line);
      metric.type = rest;
      continue;
    }
    const sample = parseSample(line);
    assert.equal(sample.name, current, line);
    assert.notEqual(metric.type, '', `${current} has no type before its samples`);
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).toSorted())}`;
    assert.ok(!series.has(key), `twice: ${key}`);
    series.add(key);
    metric.samples.push(sample);
  }
  return metrics;
}

function parseSample(line: string): ScrapedSample {
  const match = SAMPLE.exec(line);
  assert.ok(match !== null, `not a sample: ${line}`);
  const [, name = '', list = '', value = ''] = match;
  const labels: Record<string, string> = {};
  let left = list;
  while (left !== '') {
    const [all, key, quoted] = LABEL.exec(left) ?? [];
    assert.ok(all !== undefined && key !== undefined && quoted !== undefined, `labels: ${line}`);
    assert.ok(!Object.hasOwn(labels, key), `a label twice: ${line}`);
    labels[key] = quoted.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
    left = left.slice(all.length);
  }
  return { name, labels, value: Number(value) };
}
