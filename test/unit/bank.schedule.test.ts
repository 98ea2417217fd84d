/** Open-loop arrivals: the rate asked for, in time order, and the same for a seed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createSchedule,
  type Arrival,
  type ScheduleOptions,
} from '../../examples/bank/load/schedule.ts';

const OPTIONS: ScheduleOptions = {
  seed: 3,
  regions: ['us-east', 'eu-west', 'ap-south'],
  perSecond: 420,
  pattern: 'poisson',
  rampMs: 0,
};

function within(seconds: number, options: ScheduleOptions): Arrival[] {
  const next = createSchedule(options);
  const arrivals: Arrival[] = [];
  for (let arrival = next(); arrival.atMs < seconds * 1_000; arrival = next()) {
    arrivals.push(arrival);
  }
  return arrivals;
}

const gapsOf = (arrivals: readonly Arrival[]): number[] =>
  arrivals.slice(1).map((arrival, index) => arrival.atMs - (arrivals[index]?.atMs ?? 0));

describe('bank schedule', () => {
  test('a ramp rises evenly from a tenth to the full rate, and keeps it', () => {
    const ramped: ScheduleOptions = { ...OPTIONS, pattern: 'fixed', rampMs: 10_000 };
    const perSecond = (from: number): number =>
      within(20, ramped).filter(({ atMs }) => atMs >= from && atMs < from + 1_000).length;
    assert.ok(Math.abs(perSecond(0) - 420 * 0.145) < 5, String(perSecond(0)));
    assert.ok(Math.abs(perSecond(5_000) - 420 * 0.595) < 5, String(perSecond(5_000)));
    assert.ok(Math.abs(perSecond(12_000) - 420) < 5, String(perSecond(12_000)));
  });

  test('poisson arrivals keep the rate, and each region has its third', () => {
    const arrivals = within(100, OPTIONS);
    // The count's standard deviation is its root, 205: five of them either way.
    assert.ok(Math.abs(arrivals.length - 42_000) < 5 * 205, String(arrivals.length));
    for (const region of OPTIONS.regions) {
      const count = arrivals.filter((arrival) => arrival.region === region).length;
      assert.ok(Math.abs(count - 14_000) < 5 * 118, `${region}: ${String(count)}`);
    }
  });

  test("poisson gaps scatter as much as their mean; a region's beat would not", () => {
    const one = { ...OPTIONS, regions: ['us-east'], perSecond: 100 };
    const gaps = gapsOf(within(300, one));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    assert.ok(Math.abs(mean - 10) < 0.3, String(mean));
    assert.ok(Math.abs(Math.sqrt(variance) / mean - 1) < 0.05, String(variance));
  });

  test('fixed arrivals are exact, and regions take turns', () => {
    const arrivals = within(10, { ...OPTIONS, pattern: 'fixed', perSecond: 300 });
    assert.ok(Math.abs(arrivals.length - 3_000) <= 1, String(arrivals.length));
    for (const gap of gapsOf(arrivals)) assert.ok(Math.abs(gap - 10 / 3) < 1e-6, String(gap));
    assert.deepEqual(
      arrivals.slice(0, 4).map((arrival) => arrival.region),
      ['us-east', 'eu-west', 'ap-south', 'us-east'],
    );
  });

  test('arrivals come in time order', () => {
    for (const gap of gapsOf(within(20, OPTIONS))) assert.ok(gap >= 0);
  });

  test('the same seed gives the same moments; another does not', () => {
    assert.deepEqual(within(5, OPTIONS), within(5, OPTIONS));
    assert.notDeepEqual(within(1, OPTIONS), within(1, { ...OPTIONS, seed: 4 }));
  });
});
