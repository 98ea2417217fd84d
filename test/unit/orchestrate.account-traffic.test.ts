/** What is remembered of accounts: bounded, and kept over a restart. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AccountTraffic } from '../../src/orchestrate/account-traffic.ts';

const SHAPE = { regions: 2, intervalsPerCycle: 4, cycles: 3 };
const AS = { intervalMs: 1_000, regions: ['us', 'eu'] };

describe('the traffic of accounts', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-traffic-'));
  });
  after(() => rm(folder, { recursive: true }));

  test('is kept over a restart, with when an account was moved', async () => {
    const before = new AccountTraffic(SHAPE, 10);
    before.add('anna', { interval: 100, region: 0, accesses: 3 });
    before.add('anna', { interval: 102, region: 1, accesses: 4 });
    before.moved('anna', 101);
    await before.save(join(folder, 'a.json'), { ...AS, interval: 102 });
    const next = new AccountTraffic(SHAPE, 10);
    assert.equal(await next.load(join(folder, 'a.json'), AS), true);
    next.advance(103, 50);
    const { traffic, movedAt } = next.of('anna') ?? assert.fail('it is forgotten');
    assert.equal(movedAt, 101);
    assert.deepEqual(
      [1, 2, 3].map((age) => [traffic.count(age, 0), traffic.count(age, 1)]),
      [
        [0, 4],
        [0, 0],
        [3, 0],
      ],
    );
    assert.equal(traffic.known, 3);
  });

  test('of other regions or intervals, or that cannot be read, says nothing', async () => {
    const path = join(folder, 'b.json');
    const counted = new AccountTraffic(SHAPE, 10);
    counted.add('anna', { interval: 100, region: 0, accesses: 3 });
    await counted.save(path, { ...AS, interval: 100 });
    const other = new AccountTraffic(SHAPE, 10);
    assert.equal(await other.load(path, { ...AS, intervalMs: 2_000 }), false);
    assert.equal(await other.load(path, { ...AS, regions: ['us', 'ap'] }), false);
    assert.equal(await other.load(join(folder, 'none.json'), AS), false);
    await writeFile(path, '{"format":1,');
    assert.equal(await other.load(path, AS), false);
    assert.equal(other.size, 0);
  });

  test('is forgotten of those with the least, and of whoever has not come for long', () => {
    const traffic = new AccountTraffic(SHAPE, 2);
    for (const [account, accesses] of [
      ['anna', 5],
      ['bert', 1],
      ['cleo', 9],
    ] as const) {
      traffic.add(account, { interval: 10, region: 0, accesses });
    }
    traffic.advance(11, 4);
    assert.deepEqual(
      [...traffic.entries()].map(([account]) => account),
      ['anna', 'cleo'],
    );
    traffic.moved('anna', 11);
    traffic.advance(11 + 13, 100);
    assert.deepEqual(
      [...traffic.entries()].map(([account]) => account),
      ['anna'],
    );
    traffic.advance(11 + 200, 100);
    assert.equal(traffic.size, 0);
    for (let n = 0; n < 20; n += 1) {
      traffic.add(`a${String(n)}`, { interval: 300, region: 0, accesses: 1 });
    }
    assert.equal(traffic.size, 4);
  });
});
