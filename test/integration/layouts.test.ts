/**
 * Layouts beside the default one: voters in three regions, and several groups per region. What the
 * default shows in every other file (isolation, tokens, migrations) is not repeated here.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { NodeStatus, StatusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { startPlatform } from '../../src/platform.ts';
import { until } from '../support/bank.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { freeze } from '../support/node-signals.ts';

const SCALE = 0.25;
const REGIONS = ['us-east', 'eu-west', 'ap-south'] as const;
/** Of the default round trips, to the region that confirms a commit. */
const NEAREST_MS = { 'us-east': 80, 'eu-west': 80, 'ap-south': 140 } as const;

const nodeOf = (status: StatusReport, name: string): NodeStatus => {
  const node = status.nodes.find((one) => one.name === name);
  assert.ok(node, `${name} is in the status`);
  return node;
};

const addCoins = (client: TestClient, id: string, timeoutMs = 20_000): Promise<unknown> =>
  client.account(id).transaction(
    (tx) =>
      tx.query(
        `INSERT INTO purse (account_id, coins) VALUES ($1, 1)
           ON CONFLICT (account_id) DO UPDATE SET coins = purse.coins + 1`,
        [id],
      ),
    { timeoutMs },
  );

const coinsOf = async (client: TestClient, id: string): Promise<number> => {
  const { value } = await client
    .account(id)
    .read((tx) =>
      tx.query<{ coins: string }>('SELECT coins FROM purse WHERE account_id = $1', [id]),
    );
  return Number(value.rows[0]?.coins ?? 0);
};

describe('region survival', () => {
  let cluster: TestPlatform;
  const clients = new Map<string, TestClient>();
  const clientOf = (region: string): TestClient => {
    const client = clients.get(region);
    assert.ok(client);
    return client;
  };

  before(async () => {
    cluster = await startTestPlatform({
      changes: () => ({ survive: 'region', latency: { scale: SCALE } }),
    });
    for (const region of REGIONS) {
      clients.set(region, await cluster.connect(region));
      await clientOf(region).createAccount({ region, id: `acc-${region}` });
      await addCoins(clientOf(region), `acc-${region}`);
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('nine servers, a leader and two voters of the other groups in each region', async () => {
    const status = await cluster.platform.status();
    assert.equal(status.survive, 'region');
    assert.equal(status.nodes.length, 9);
    assert.ok(status.nodes.every((node) => node.kind === 'voter'));
    for (const region of REGIONS) {
      const here = status.nodes.filter((node) => node.region === region);
      assert.deepEqual(here.map((node) => node.state).sort(), ['leader', 'streaming', 'streaming']);
      assert.equal(new Set(here.map((node) => node.zone)).size, 3);
      const group = status.groups.find((one) => one.homeRegion === region);
      assert.equal(group?.leader, `${region}-1.${region}`);
    }
  });

  test('a commit waits for one round trip to the nearest region, and no more voters', async () => {
    for (const region of REGIONS) {
      const took: number[] = [];
      for (let count = 0; count < 5; count += 1) {
        const startedAt = performance.now();
        await addCoins(clientOf(region), `acc-${region}`);
        took.push(performance.now() - startedAt);
      }
      const least = Math.min(...took);
      const roundTripMs = NEAREST_MS[region] * SCALE;
      assert.ok(least >= roundTripMs * 0.95, `${region}: ${least.toFixed(1)} ms is a local commit`);
    }
  });

  test('every region reads every account from its own replica', async () => {
    for (const region of REGIONS) {
      for (const home of REGIONS) {
        const { node } = await clientOf(region)
          .account(`acc-${home}`)
          .read((tx) => tx.query('SELECT 1 FROM purse'), { staleness: 10_000 });
        assert.equal(node, `${home}-1.${region}`);
      }
    }
  });

  test('a voter that is killed stops no write, and comes back', async () => {
    const voter = 'us-east-1.eu-west';
    const before = nodeOf(await cluster.platform.status(), voter).pid;
    assert.ok(before !== null);
    process.kill(before, 'SIGKILL');
    for (let count = 0; count < 5; count += 1) await addCoins(clientOf('us-east'), 'acc-us-east');
    await until(async () => {
      const node = nodeOf(await cluster.platform.status(), voter);
      return node.pid !== before && node.state === 'streaming';
    }, `${voter} to come back`);
  });

  test('without both other regions no write is acknowledged; with one of them they are again', async () => {
    const us = clientOf('us-east');
    const before = await coinsOf(us, 'acc-us-east');
    const voters = ['us-east-1.eu-west', 'us-east-1.ap-south'];
    const thaw: (() => void)[] = [];
    try {
      for (const voter of voters) thaw.push(await freeze(cluster, voter));
      await assert.rejects(addCoins(us, 'acc-us-east', 1_000), { outcome: 'unknown' });
      thaw[0]?.();
      // The first one's row stays locked until its commit is confirmed too: this one is repeated.
      await addCoins(us, 'acc-us-east');
    } finally {
      for (const one of thaw) one();
    }
    // The unacknowledged one was told as unknown: it is there or not, and the acknowledged one is.
    const gained = (await coinsOf(us, 'acc-us-east')) - before;
    assert.ok(gained === 1 || gained === 2, `${String(gained)} coins came`);
  });

  test('another goal is refused on data that is there', async () => {
    await Promise.all([...clients.values()].map((client) => client.close()));
    await cluster.platform.stop();
    const { config } = cluster;
    await assert.rejects(
      startPlatform({ ...config, survive: 'zone' }, STARTING),
      (error: Error & { code?: string; remedy?: string }) =>
        error.code === 'ERR_ENGINE_UNSUPPORTED' && /survive/.test(error.remedy ?? ''),
    );
  });
});

describe('two groups per region', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let eu: TestClient;
  const groups = ['us-east-1', 'us-east-2', 'eu-west-1', 'eu-west-2'];

  before(async () => {
    cluster = await startTestPlatform({
      changes: () => ({
        regions: { 'us-east': {}, 'eu-west': {} },
        groupsPerRegion: 2,
        rangesPerRegion: 2,
        gateway: { ports: { 'us-east': 0, 'eu-west': 0 } },
        latency: { scale: SCALE },
      }),
    });
    [us, eu] = await Promise.all([cluster.connect('us-east'), cluster.connect('eu-west')]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('accounts are spread over the groups of their region, and found from every region', async () => {
    const homes = new Map<string, string>();
    for (let count = 0; count < 40 && new Set(homes.values()).size < groups.length; count += 1) {
      const region = count % 2 === 0 ? 'us-east' : 'eu-west';
      const { id, home } = await us.createAccount({ region, id: `spread-${String(count)}` });
      assert.equal(home.homeRegion, region);
      homes.set(id, home.group);
    }
    assert.deepEqual([...new Set(homes.values())].sort(), groups.toSorted());
    for (const [id, group] of homes) {
      assert.equal((await eu.locate(id)).group, group);
      await addCoins(eu, id);
      assert.equal(await coinsOf(us, id), 1);
    }
  });

  test('global rows arrive in every group, where joins find them', async () => {
    await us.global.write((tx) =>
      tx.query(`INSERT INTO currency (code, name) VALUES ('NOK', 'krone')`),
    );
    const status = await cluster.platform.status();
    assert.deepEqual(status.groups.map((group) => group.name).sort(), groups.toSorted());
    for (const group of status.groups) {
      await until(async () => {
        const rows = await cluster.sql<{ code: string }>(
          group.leader ?? '',
          `SELECT code FROM global.currency WHERE code = 'NOK'`,
        );
        return rows.length === 1;
      }, `the row to arrive in ${group.name}`);
    }
  });
});

const STARTING = { fresh: false, log: silentLog, onProgress: () => {}, clock: systemClock };
