/** A group with much more to do than its neighbour is told, and relieved, while it is used. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { systemClock } from '../../src/kernel/clock.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';

/** Intervals of two seconds instead of hours. */
const SOON = { mode: 'auto', intervalMs: 2_000, intervalsPerCycle: 4, hotAccessesMin: 20 } as const;
const ACCOUNTS = 6;
const PATIENCE_MS = 60_000;

describe('a hot group', () => {
  let cluster: TestPlatform;
  let client: TestClient;
  const busy: string[] = [];

  before(async () => {
    cluster = await startTestPlatform({
      changes: () => ({
        ...{ regions: { 'us-east': {} }, gateway: { ports: { 'us-east': 0 } }, latency: 'off' },
        ...{ groupsPerRegion: 2, rangesPerRegion: 2, rehoming: SOON },
      }),
    });
    client = await cluster.connect('us-east');
    // All in one range: which one is drawn.
    for (let draw = 0; busy.length < ACCOUNTS; draw += 1) {
      const id = `account-${String(draw)}`;
      const { home } = await client.createAccount({ region: 'us-east', id });
      if (home.range !== 'r0001') continue;
      busy.push(id);
      await client
        .account(id)
        .transaction((tx) => tx.query('INSERT INTO purse VALUES ($1, 0, NULL)', [id]));
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('gives accounts to its neighbour, by itself, and nobody sees an error', async () => {
    assert.equal((await client.locate(busy[0] ?? '')).group, 'us-east-1');
    const endsMs = performance.now() + PATIENCE_MS;
    const homes = async (): Promise<readonly string[]> =>
      Promise.all(busy.map(async (id) => (await client.locate(id, { fresh: true })).group));
    let told = false;
    let done = false;
    const write = async (id: string): Promise<void> => {
      while (!done) {
        await client
          .account(id)
          .transaction((tx) => tx.query('UPDATE purse SET coins = coins + 1'));
      }
    };
    const writers = Promise.all(busy.map(write));
    try {
      for (;;) {
        const { rehoming } = await cluster.platform.status();
        told ||= rehoming.hot.some(({ kind, group }) => kind === 'split' && group === 'us-east-1');
        const there = await homes();
        if (there.includes('us-east-2')) break;
        assert.ok(performance.now() < endsMs, JSON.stringify(rehoming));
        await systemClock.sleep(250);
      }
    } finally {
      done = true;
      await writers;
    }
    assert.ok(told);
    const there = await homes();
    assert.ok(there.includes('us-east-1'), 'some stay');
  });
});
