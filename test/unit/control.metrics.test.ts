/** Metrics: the table and its reference page agree, reports are checked, silence is forgotten. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expose } from '../../src/control/metrics/exposition.ts';
import { databaseSamples, processSamples } from '../../src/control/metrics/from-status.ts';
import { MetricsInbox } from '../../src/control/metrics/inbox.ts';
import { parseMetricsReport, type Sample } from '../../src/control/metrics/sample.ts';
import {
  CHANGE_CAUSES,
  METRICS,
  metricNames,
  type MetricEntry,
} from '../../src/control/metrics/table.ts';
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
      [{ name: 'meridian_client_retries_total', labels: { code: 'ERR_UNHEARD_OF' }, value: 1 }],
      [{ name: 'meridian_scrape_errors_total', labels: { source: 'databases' }, value: 1 }],
      [{ ...sample(1), labels: { process: 'app.eu.0' } }],
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
    const inbox = new MetricsInbox(clock, (process) =>
      process === 'gateway.eu' ? { process } : undefined,
    );
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
    // What a counted is not taken back: to Prometheus the process would have begun again at 6.
    assert.deepEqual(inbox.samples(), [{ ...sample(9), labels }]);
    now = 60_000;
    assert.deepEqual(inbox.samples(), []);
    accept('gateway.eu', 'c', 1);
    assert.deepEqual(inbox.samples(), [{ ...sample(1), labels }]);
  });

  test('a gauge of an instance that is gone goes with it', () => {
    let now = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => now };
    const inbox = new MetricsInbox(clock, () => ({}));
    const open: Sample = { name: 'meridian_gateway_websockets_open', labels: {}, value: 5 };
    inbox.accept({ process: 'p', instance: 'a', samples: [open] });
    now = 15_000;
    inbox.accept({ process: 'p', instance: 'b', samples: [{ ...open, value: 2 }] });
    now = 30_000;
    assert.deepEqual(inbox.samples(), [{ ...open, value: 2 }]);
  });

  test('takes a few instances of a process and no more', () => {
    const inbox = new MetricsInbox(systemClock, () => ({}));
    for (let n = 0; n < 100; n += 1) {
      inbox.accept({ process: 'p', instance: String(n), samples: [sample(1)] });
    }
    assert.equal(inbox.samples()[0]?.value, 8);
  });
});

describe('what the supervisor knows', () => {
  const place = { kind: 'voter', group: 'eu', region: 'eu', zone: 'eu-a' } as const;
  const unseen = { pid: null, port: 0, position: null, lagBytes: null, lagMs: null, repair: null };
  const atRest = {
    ...{ operation: null, lease: null, lastChange: null, leaderChanges: {} },
    recoveredVoters: null,
  };

  test('is shown in base units, and what is not known is not shown', () => {
    const samples = databaseSamples({
      nodes: [
        { ...unseen, ...place, name: 'eu-1', state: 'leader', lagBytes: 0, lagMs: 0 },
        { ...unseen, ...place, name: 'eu-2', state: 'streaming', lagBytes: 64, lagMs: 250 },
        { ...unseen, ...place, name: 'eu-3', state: 'unknown' },
      ],
      groups: [
        {
          ...{
            name: 'eu',
            homeRegion: 'eu',
            residency: null,
            epoch: 7,
            leader: 'eu-1',
            ranges: [],
            moves: [],
            accounts: 3,
          },
          ...{ globalLagBytes: null, inDoubt: { count: 2, oldestMs: 1_500 }, ...atRest },
        },
        {
          ...{
            name: 'us',
            homeRegion: 'us',
            residency: null,
            epoch: 1,
            leader: null,
            ranges: [],
            moves: [],
            accounts: null,
          },
          ...{ globalLagBytes: 5, inDoubt: null, ...atRest },
        },
      ],
    });
    const of = (name: string): number[] =>
      samples.filter((one) => one.name === name).map((one) => one.value);
    assert.deepEqual(of('meridian_node_up'), [1, 1, 0]);
    assert.deepEqual(of('meridian_node_leads'), [1, 0, 0]);
    assert.deepEqual(of('meridian_node_lag_seconds'), [0, 0.25]);
    assert.deepEqual(of('meridian_node_lag_bytes'), [0, 64]);
    assert.deepEqual(of('meridian_group_epoch'), [7, 1]);
    assert.deepEqual(of('meridian_group_open'), [1, 0]);
    assert.deepEqual(of('meridian_accounts'), [3]);
    assert.deepEqual(of('meridian_group_globals_lag_bytes'), [5]);
    assert.deepEqual(of('meridian_group_in_doubt_transactions'), [2]);
    assert.deepEqual(of('meridian_group_in_doubt_oldest_seconds'), [1.5]);
  });

  test('shows what is done to groups and replicas, in as many series as there are words', () => {
    const group = {
      homeRegion: 'eu',
      residency: null,
      epoch: 7,
      leader: null,
      ranges: [],
      moves: [],
      accounts: null,
    };
    const repair = { phase: 'copying', doneBytes: 10, totalBytes: 40, forMs: 5 } as const;
    const samples = databaseSamples({
      nodes: [
        { ...unseen, ...place, name: 'eu-1', state: 'rebuilding', repair },
        { ...unseen, ...place, name: 'eu-2', state: 'lost', repair: { ...repair, phase: 'lost' } },
        { ...unseen, ...place, name: 'eu-3', state: 'streaming' },
      ],
      groups: [
        {
          ...{ ...group, ...atRest, name: 'eu', globalLagBytes: null, inDoubt: null },
          lease: { holder: 'eu-1', tenureMs: 90_000, remainingMs: 0 },
          leaderChanges: { died: 2, 'moon phase': 1, 'star sign': 1 },
          lastChange: {
            ...{ cause: 'died', from: 'eu-1', to: 'eu-2', epoch: 7, at: '', agoMs: 1 },
            tookMs: 850,
          },
          operation: {
            ...{ kind: 'failover', phase: 'promoting eu-2', cause: 'silent', detail: 'x' },
            ...{ forMs: 3, decision: null },
          },
        },
      ],
    });
    const of = (name: string): unknown[] =>
      samples.filter((one) => one.name === name).map(({ labels, value }) => [labels, value]);
    const labels = { group: 'eu' };
    assert.deepEqual(of('meridian_group_lease_tenure_seconds'), [[labels, 90]]);
    assert.deepEqual(of('meridian_group_lease_remaining_seconds'), [[labels, 0]]);
    assert.deepEqual(of('meridian_group_leader_change_seconds'), [[labels, 0.85]]);
    assert.deepEqual(of('meridian_group_operation'), [
      [{ ...labels, kind: 'failover', phase: 'promoting' }, 1],
    ]);
    const changes = samples.filter(({ name }) => name === 'meridian_group_leader_changes_total');
    assert.deepEqual(
      changes.map((one) => [one.labels['cause'], one.value]),
      CHANGE_CAUSES.map((cause) => [cause, cause === 'died' || cause === 'other' ? 2 : 0]),
    );
    const values = (name: string): unknown[] =>
      samples.filter((one) => one.name === name).map(({ value }) => value);
    assert.deepEqual(values('meridian_node_up'), [0, 0, 1]);
    assert.deepEqual(values('meridian_node_lost'), [0, 1, 0]);
    assert.deepEqual(values('meridian_node_rebuild_done_bytes'), [10]);
    assert.deepEqual(values('meridian_node_rebuild_size_bytes'), [40]);
  });

  test('a name is ready while one process hands over to another', () => {
    const one = { name: 'eu.0', region: 'eu' };
    assert.deepEqual(
      processSamples('app', [
        { ...one, state: 'ready', restarts: 0 },
        { ...one, state: 'draining', restarts: 2 },
      ]).map(({ labels, value }) => [labels['process'], value]),
      [
        ['app.eu.0', 1],
        ['app.eu.0', 2],
      ],
    );
  });
});

test('the exposition names every metric, and keeps nothing between scrapes', async () => {
  const first = await expose([
    { ...sample(3), labels: { process: 'x', kind: 'app', region: 'eu' } },
  ]);
  assert.match(
    first.text,
    /^meridian_client_reads_total\{process="x",kind="app",region="eu"\} 3$/m,
  );
  const second = await expose([]);
  assert.doesNotMatch(second.text, /^meridian_client_reads_total\{/m);
  for (const name of metricNames()) {
    assert.ok(second.text.includes(`# TYPE ${name} ${METRICS[name].type}\n`), name);
  }
});
