/** A scrape: shared for a second, and complete but for the source that failed. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { ProcessStatus } from '../../src/control/status.ts';
import { platformMetrics, type MeasuredPlatform } from '../../src/orchestrate/metrics.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { createLog } from '../../src/kernel/log.ts';
import { parseExposition } from '../support/exposition.ts';

class Scraping {
  nowMs = 0;
  asked = 0;
  readonly warnings: string[] = [];
  readonly timers: (() => void)[] = [];
  readonly #metrics: ReturnType<typeof platformMetrics>;

  constructor(platform: Partial<MeasuredPlatform> = {}) {
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => this.nowMs,
      schedule: (_, call) => {
        this.timers.push(call);
        return () => {};
      },
    };
    const log = createLog({ clock, level: 'warn', write: (line) => this.warnings.push(line) });
    const status = platform.status ?? (() => Promise.resolve({ nodes: [], groups: [] }));
    this.#metrics = platformMetrics(
      { clock, log },
      {
        ...{ engine: 'postgres', survive: 'zone', startedAtMs: 5_000, appServersPerRegion: 1 },
        regions: [{ name: 'eu', zones: ['eu-a'] }],
        processes: () => ({ gateways: [], appServers: [] }),
        faults: () => 0,
        ...platform,
        status: () => {
          this.asked += 1;
          return status();
        },
      },
    );
  }

  report(process: string): void {
    this.#metrics.report({
      ...{ process, instance: 'i' },
      samples: [{ name: 'meridian_client_reads_total', labels: {}, value: 4 }],
    });
  }

  async values(): Promise<Readonly<Record<string, number>>> {
    const { text } = await this.#metrics.expose();
    return Object.fromEntries(
      [...parseExposition(text).values()]
        .flatMap(({ samples }) => samples)
        .map(({ name, labels, value }) => [[name, labels['source']].join(' ').trim(), value]),
    );
  }
}

const GATEWAY: ProcessStatus = {
  name: 'gateway.eu',
  region: 'eu',
  zone: 'eu-a',
  pid: 1,
  port: 1,
  state: 'ready',
  restarts: 3,
};

describe('a scrape', () => {
  test('is shared by all that come within a second', async () => {
    const scraping = new Scraping();
    await Promise.all([scraping.values(), scraping.values()]);
    scraping.nowMs = 999;
    await scraping.values();
    assert.equal(scraping.asked, 1);
    scraping.nowMs = 1_000;
    await scraping.values();
    assert.equal(scraping.asked, 2);
  });

  test('shows the rest when the databases cannot be asked, and counts it', async () => {
    const scraping = new Scraping({
      status: () => Promise.reject(new Error('no route')),
      processes: () => ({ gateways: [GATEWAY], appServers: [] }),
    });
    scraping.report('app.eu.0');
    scraping.report('app.eu.1');
    for (const count of [1, 2]) {
      scraping.nowMs += 2_000;
      const values = await scraping.values();
      assert.equal(values['meridian_scrape_errors_total databases'], count);
      assert.equal(values['meridian_scrape_errors_total processes'], 0);
      assert.equal(values['meridian_process_restarts_total'], 3);
      assert.equal(values['meridian_client_reads_total'], 4);
      assert.equal(values['meridian_start_time_seconds'], 5);
      assert.equal(values['meridian_platform_info'], 1);
      assert.ok(!('meridian_accounts' in values));
    }
    assert.match(scraping.warnings.join(), /no route/);
  });

  test('shows the databases when the processes cannot be asked', async () => {
    const scraping = new Scraping({
      processes: () => {
        throw new Error('gone');
      },
      status: () =>
        Promise.resolve({
          nodes: [],
          groups: [
            {
              ...{
                name: 'eu',
                homeRegion: 'eu',
                residency: null,
                epoch: 2,
                leader: null,
                ranges: [],
                moves: [],
                accounts: 9,
              },
              ...{ globalLagBytes: null, inDoubt: null, operation: null, lease: null },
              ...{ lastChange: null, leaderChanges: {}, recoveredVoters: null },
            },
          ],
        }),
    });
    const values = await scraping.values();
    assert.equal(values['meridian_scrape_errors_total processes'], 1);
    assert.equal(values['meridian_accounts'], 9);
  });

  test('does not wait for databases that hang, and does not ask them again meanwhile', async () => {
    const scraping = new Scraping({ status: () => new Promise(() => {}) });
    for (const count of [1, 2]) {
      scraping.nowMs += 10_000;
      const answer = scraping.values();
      for (const timer of scraping.timers.splice(0)) timer();
      assert.equal((await answer)['meridian_scrape_errors_total databases'], count);
    }
    assert.equal(scraping.asked, 1);
  });
});
