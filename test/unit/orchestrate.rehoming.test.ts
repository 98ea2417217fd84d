/** Automatic re-homing decides once an interval, and does nothing while anything is unwell. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { OperationRequest } from '../../src/control/operation.ts';
import type { ProcessStatus, GroupStatus, StatusReport } from '../../src/control/status.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { Rehoming } from '../../src/orchestrate/rehoming.ts';
import type { RehomingMode } from '../../src/placement/rehoming-mode.ts';
import { HOT_GROUP_DEFAULTS } from '../../src/placement/hot-group-policy.ts';
import { REHOMING_DEFAULTS } from '../../src/placement/rehoming-policy.ts';
import { countingClock, manualClock } from '../support/clocks.ts';

const INTERVAL_MS = 1_000;
const CYCLE = 2;
const group = (name: string): GroupStatus => ({ name, leader: `${name}.a` }) as GroupStatus;
const gateway = (state: ProcessStatus['state']): ProcessStatus =>
  ({ name: 'gateway.us', state }) as ProcessStatus;

describe('automatic re-homing', () => {
  let folder: string;
  let time: ReturnType<typeof manualClock>;
  let clock: ReturnType<typeof countingClock>;
  let asked: OperationRequest[];
  let status: { groups: GroupStatus[]; gateways: ProcessStatus[] };
  let rehoming: Rehoming;
  let decided: number;
  let draining: readonly string[];
  /** The group that Anna is in. */
  let at: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-rehoming-'));
    time = manualClock();
    clock = countingClock(time);
    [asked, decided, draining, at] = [[], 0, [], 'us-1'];
    status = { groups: [group('us-1'), group('eu-1')], gateways: [gateway('ready')] };
  });
  afterEach(async () => {
    await rehoming.close();
    await rm(folder, { recursive: true });
  });

  const start = async (mode: RehomingMode): Promise<void> => {
    rehoming = new Rehoming({
      engine: {
        accountFacts: (accounts) => {
          decided += 1;
          const home = { range: 'r1', group: at };
          const homes = new Map(accounts.map((account) => [account, home]));
          return Promise.resolve({ homes, bytesPerAccount: { r1: 10 }, totalBytes: 1_000 });
        },
      },
      groups: [
        { name: 'us-1', homeRegion: 'us', nodes: [] },
        { name: 'eu-1', homeRegion: 'eu', nodes: [] },
        { name: 'us-both-1', homeRegion: 'us', nodes: [], residency: 'both' },
        { name: 'eu-both-1', homeRegion: 'eu', nodes: [], residency: 'both' },
        { name: 'us-here-1', homeRegion: 'us', nodes: [], residency: 'here' },
      ],
      regions: [
        { name: 'us', zones: ['a'] },
        { name: 'eu', zones: ['a'] },
      ],
      latency: { betweenZonesMs: 1, betweenRegionsMs: { 'eu|us': 80 } },
      options: {
        ...{ mode, intervalMs: INTERVAL_MS, intervalsPerCycle: CYCLE, accountsMax: 10 },
        hot: HOT_GROUP_DEFAULTS,
        policy: { ...REHOMING_DEFAULTS, accessesMin: 4, dwellCycles: 1, bytesShareMax: 1 },
      },
      ...{ file: join(folder, 'traffic.json'), clock, log: silentLog },
      status: () => Promise.resolve(status as unknown as StatusReport),
      isDraining: (region) => draining.includes(region),
      operate: (request) => {
        asked.push(request);
        return Promise.resolve();
      },
    });
    await rehoming.start(true);
    // Decisions come a moment after the end of an interval.
    time.advance(0.6 * INTERVAL_MS);
  };
  /** An interval of traffic from Europe, and the decision after it, to its end: the next one is due then. */
  const interval = async (): Promise<void> => {
    const before = decided;
    rehoming.report({ region: 'eu', accounts: [['anna', 20]] });
    time.advance(INTERVAL_MS);
    await waitUntil(systemClock, { what: 'a decision', timeoutMs: 30_000, intervalMs: 1 }, () =>
      Promise.resolve((decided > before && clock.armed === 1) || undefined),
    );
  };
  const intervals = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) await interval();
  };

  const rehome = { kind: 'rehome', accounts: ['anna'], to: 'eu', residency: null };

  test('moves what traffic has moved', async () => {
    await start('auto');
    await intervals(2 * CYCLE + 1);
    assert.deepEqual(asked, [rehome]);
  });

  for (const [what, unwell, note] of [
    [
      'a group has no leader',
      () => ({ ...status, groups: [group('us-1'), { ...group('eu-1'), leader: null }] }),
      'nothing is moved while eu-1 has no leader',
    ],
    [
      'a gateway is not ready',
      () => ({ ...status, gateways: [gateway('starting')] }),
      'nothing is moved while gateway.us is starting',
    ],
  ] as const) {
    test(`moves nothing while ${what}, says so, and makes up for it`, async () => {
      await start('auto');
      const well = status;
      status = unwell();
      await intervals(2 * CYCLE + 1);
      assert.deepEqual(asked, []);
      assert.equal(rehoming.status.note, note);
      assert.equal(rehoming.status.suggestedTotal, 1);
      status = well;
      await interval();
      assert.deepEqual(asked, [rehome]);
      assert.equal(rehoming.status.note, '');
    });
  }

  test('moves what is pinned within its residency, and nowhere else', async () => {
    at = 'us-both-1';
    await start('auto');
    await intervals(2 * CYCLE + 1);
    assert.deepEqual(asked, [{ ...rehome, residency: 'both' }]);
  });

  test('leaves what is pinned to its region where it is', async () => {
    at = 'us-here-1';
    await start('auto');
    await intervals(2 * CYCLE + 1);
    assert.deepEqual(asked, []);
    assert.equal((await rehoming.explain('anna')).residency, 'here');
  });

  for (const region of ['us', 'eu']) {
    test(`moves nothing out of or into a region that is drained: ${region}`, async () => {
      draining = [region];
      await start('auto');
      await intervals(2 * CYCLE + 1);
      assert.deepEqual(asked, []);
    });
  }

  test('suggests, and moves nothing, unless it is told to', async () => {
    await start('suggest');
    await intervals(2 * CYCLE + 1);
    assert.deepEqual(asked, []);
    assert.deepEqual(
      rehoming.status.suggested.map(({ account, from, to }) => [account, from, to]),
      [['anna', 'us', 'eu']],
    );
  });
});
