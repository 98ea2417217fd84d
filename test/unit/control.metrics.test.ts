/** Metrics: the table and its reference page agree, reports are checked, silence is forgotten. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expose } from '../../src/control/metrics/exposition.ts';
import { MetricsInbox } from '../../src/control/metrics/inbox.ts';
import { parseMetricsReport, type Sample } from '../../src/control/metrics/sample.ts';
import { METRICS, metricNames, type MetricEntry } from '../../src/control/metrics/table.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';

const PAGE = join(import.meta.dirname, '..', '..', '..', 'docs', 'reference', 'metrics.md');

const sample = (value: number): Sample => ({
  name: 'meridian_client_reads_total',
  labels: {},
  value,
});
const report = (samples: unknown, more = {}): string =>
  JSON.stringify({ process: 'gateway.eu', instance: 'i', samples, ...more });

describe('the reference of metrics', () => {
  test('has one row per metric, and says what the table says', () => {
    const rows = readFileSync(PAGE, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `meridian_'))
      .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));
    assert.deepEqual(
      rows.map(([, name, type, labels, from, help]) => ({ name, type, labels, from, help })),
      metricNames().map((name) => {
        const { type, labels, from, help }: MetricEntry = METRICS[name];
        return { name, type, labels: labels.join(', ') || 'none', from, help };
      }),
    );
  });

  test('names follow the rules: what only rises ends in _total, and nothing else does', () => {
    for (const name of metricNames()) {
      assert.match(name, /^meridian_[a-z_]+$/);
      assert.equal(name.endsWith('_total'), METRICS[name].type === 'counter', name);
    }
  });
});

describe('a report of metrics', () => {
  test('is taken when it fits the table, and refused as a whole otherwise', () => {
    assert.equal(parseMetricsReport(report([sample(1)])).samples.length, 1);
    const wrong = [
      [{ ...sample(1), name: 'meridian_node_up' }],
      [{ ...sample(1), name: 'toString' }],
      [{ ...sample(1), labels: { account: 'anna' } }],
      [{ ...sample(1), labels: null }],
      [{ ...sample(1), value: -1 }],
      [{ ...sample(1), value: '1' }],
      [{ name: 'meridian_client_retries_total', labels: { code: 'a b' }, value: 1 }],
      [null],
      'none',
      Array.from({ length: 201 }, () => sample(1)),
    ];
    for (const samples of wrong) {
      assert.throws(() => parseMetricsReport(report(samples)), { code: 'ERR_CONTROL_REQUEST' });
    }
  });

  test('never: anything but a report or a refusal, whatever arrives', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        try {
          parseMetricsReport(body);
        } catch (error) {
          assert.ok(isMeridianError(error, 'ERR_CONTROL_REQUEST'), String(error));
        }
      }),
    );
  });
});

describe('the inbox', () => {
  test('adds up instances, keeps known processes alone, and forgets the silent', () => {
    let now = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => now };
    const inbox = new MetricsInbox(clock, (process) => process === 'gateway.eu');
    const accept = (process: string, instance: string, value: number): void => {
      inbox.accept({ process, instance, samples: [sample(value)] });
    };
    accept('gateway.eu', 'a', 2);
    accept('gateway.eu', 'a', 3);
    accept('gateway.eu', 'b', 4);
    accept('stranger', 'a', 5);
    const labels = { process: 'gateway.eu' };
    assert.deepEqual(inbox.samples(), [{ ...sample(7), labels }]);
    now = 15_000;
    accept('gateway.eu', 'b', 6);
    now = 30_000;
    assert.deepEqual(inbox.samples(), [{ ...sample(6), labels }]);
    now = 60_000;
    assert.deepEqual(inbox.samples(), []);
  });
});

test('the exposition names every metric, and keeps nothing between scrapes', async () => {
  const first = await expose([{ ...sample(3), labels: { process: 'x' } }]);
  assert.match(first.text, /^meridian_client_reads_total\{process="x"\} 3$/m);
  const second = await expose([]);
  assert.doesNotMatch(second.text, /^meridian_client_reads_total\{/m);
  for (const name of metricNames()) {
    assert.ok(second.text.includes(`# TYPE ${name} ${METRICS[name].type}\n`), name);
  }
});
