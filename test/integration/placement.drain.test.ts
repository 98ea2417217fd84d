/** A region is left: drained while it is used, taken out by the next start, and nothing of it stays behind. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { declaredPlacement, resolveConfig } from '../../src/config/resolve.ts';
import type { MeridianConfig } from '../../src/config/define.ts';
import type { ResolvedConfig } from '../../src/config/resolved.ts';
import type { OperationEvent } from '../../src/control/operation.ts';
import { planFrom } from '../../src/cli/placed-plan.ts';
import type { PlacementPlan } from '../../src/placement/plan/plan.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { settle } from '../../src/verify/settle.ts';
import { until } from '../support/bank.ts';
import { startTestPlatform, testConfig, type TestPlatform } from '../support/cluster.ts';
import { coinsOf, openPurse } from '../support/transfers.ts';

/** The one in the middle goes: single copies of the last have other turns among the zones then. */
const GOES = 'eu-west';
const ACCOUNTS = 60;
const ports = { 'us-east': 0, 'ap-south': 0 };
const THREE: Partial<MeridianConfig> = { rangesPerRegion: 2, rehoming: { mode: 'suggest' } };
const TWO: Partial<MeridianConfig> = {
  ...THREE,
  regions: { 'us-east': {}, 'ap-south': {} },
  gateway: { ports },
};

describe('a region that is left', () => {
  let cluster: TestPlatform;
  let epoch = 0;
  /** Declared in the region, and moved away with an account. */
  let left = '';
  let emil = '';
  let emils = 0;
  const ids = Array.from({ length: ACCOUNTS }, (_, number) => `anna-${String(number)}`);

  before(async () => {
    cluster = await startTestPlatform({ changes: () => THREE });
    const client = await cluster.connect(GOES);
    for (const id of ids) await openPurse(client, { region: GOES, id, coins: 0 });
    await openPurse(client, { region: 'ap-south', id: 'bert', coins: 7 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const resolved = (changes: Partial<MeridianConfig>): ResolvedConfig =>
    resolveConfig(
      testConfig(cluster.directory, changes),
      join(cluster.directory, 'meridian.config.ts'),
    );
  const keysOf = ({ regions, latency, gateway }: ResolvedConfig): Partial<ResolvedConfig> => ({
    ...{ regions, latency, gateway },
  });
  const planOf = async (config: ResolvedConfig): Promise<PlacementPlan> => {
    const facts = await cluster.platform.placement({ statements: {} });
    const status = await cluster.platform.status();
    return planFrom({ after: declaredPlacement(config), facts, status });
  };
  const settled = (): Promise<readonly string[]> =>
    settle(() => cluster.platform.status(), {
      ...{ clock: systemClock, signal: AbortSignal.timeout(90_000) },
    });
  const drained = async (): Promise<string | undefined> =>
    (await cluster.platform.status()).drains[0]?.state;

  test('is told before: where its accounts go, and what ends', async () => {
    const { steps, refusals } = await planOf(resolved(TWO));
    assert.deepEqual(refusals, []);
    assert.deepEqual(
      steps.map((step) => [step.kind, 'accounts' in step ? step.accounts : step]),
      [
        ['drain-region', ACCOUNTS],
        // Its own five, and a copy of each of both others.
        ['remove-region', { kind: 'remove-region', region: GOES, servers: 7 }],
      ],
    );
    await assert.rejects(cluster.restart(keysOf(resolved(TWO))), {
      code: 'ERR_ENGINE_UNSUPPORTED',
    });
    await cluster.restart(keysOf(resolved(THREE)));
  });

  test('is not the primary, and is one', async () => {
    const { platform } = cluster;
    await assert.rejects(platform.operate({ kind: 'drain', region: 'us-east' }), {
      code: 'ERR_OPERATION_REFUSED',
    });
    await assert.rejects(platform.operate({ kind: 'drain', region: 'atlantis' }), {
      code: 'ERR_CONTROL_REQUEST',
    });
  });

  test('keeps rows that are no account’s until somebody decides, and may stay after all', async () => {
    const { platform } = cluster;
    const leader = (await platform.status()).groups.find(({ homeRegion }) => homeRegion === GOES);
    assert.ok(typeof leader?.leader === 'string');
    const [range = ''] = leader.ranges;
    await cluster.sql(leader.leader, `INSERT INTO ${range}.purse VALUES ('nobody', 1, NULL)`);
    await assert.rejects(platform.operate({ kind: 'drain', region: GOES }), {
      message: /not drained yet: purse in r000\d has rows that belong to no account/,
    });
    // It is looked at again by itself.
    await cluster.sql(leader.leader, `DELETE FROM ${range}.purse WHERE account_id = 'nobody'`);
    await until(async () => (await drained()) === 'drained', 'it is drained');
    await platform.operate({ kind: 'restore', region: GOES });
    assert.deepEqual((await platform.status()).drains, []);
    const client = await cluster.connect(GOES);
    await until(
      async () => (await client.createAccount({ region: GOES })).home.homeRegion === GOES,
      'new accounts are put there again',
    );
    await platform.operate({ kind: 'rehome', accounts: ids, to: GOES });
  });

  test('may have made ranges, and have been left by one that is declared in it', async () => {
    const { platform } = cluster;
    const client = await cluster.connect(GOES);
    const [id = ''] = ids;
    const { range } = await client.locate(id, { fresh: true });
    // It stays, empty, when its account has gone.
    await platform.operate({ kind: 'split', range, accounts: [id] });
    assert.match((await client.locate(id, { fresh: true })).range, /^s/);
    const other = ['r0002', 'r0005'].find((name) => name !== range) ?? '';
    await until(async () => {
      emil = `emil-${String((emils += 1))}`;
      await openPurse(client, { region: GOES, id: emil, coins: 3 });
      return (await client.locate(emil)).range === other;
    }, 'an account is opened in the other range');
    await platform.operate({ kind: 'move', range: other, to: 'us-east-1' });
    left = other;
  });

  test('is drained while it is used, by clients with old routes too, over a death', async () => {
    const client = await cluster.connect(GOES);
    const far = await cluster.connect('ap-south');
    let going = true;
    const opened: string[] = [];
    // Whatever is read of the routes, by the time that it arrives they may be old.
    const opening = (async () => {
      while (going) opened.push((await far.createAccount({ region: GOES })).id);
    })();
    let added = 0;
    const load = (async () => {
      for (let turn = 0; going; turn += 1) {
        const id = ids[turn % ids.length] ?? '';
        const user = turn % 3 === 0 ? far : client;
        await user.account(id).transaction((tx) => tx.query('UPDATE purse SET coins = coins + 1'));
        added += 1;
      }
    })();
    const events: OperationEvent[] = [];
    const stop = new AbortController();
    await assert.rejects(
      cluster.platform.operate(
        { kind: 'drain', region: GOES },
        {
          signal: stop.signal,
          onEvent: (event) => {
            events.push(event);
            // Whoever watches may leave, and what is begun goes on.
            if (event.kind === 'progress') stop.abort();
          },
        },
      ),
      { code: 'ERR_ABORTED' },
    );
    assert.deepEqual(events.at(-1)?.kind, 'progress');
    going = false;
    await Promise.all([load, opening]);
    cluster.platform.kill();
    await cluster.restart();
    await until(async () => (await drained()) === 'drained', 'the next life goes on');
    const again = await cluster.connect('us-east');
    let coins = 0;
    for (const id of ids) {
      assert.notEqual((await again.locate(id, { fresh: true })).homeRegion, GOES);
      coins += await coinsOf(again, id);
    }
    assert.equal(coins, added);
    assert.ok(opened.length > 0);
    for (const id of opened) {
      assert.notEqual((await again.locate(id, { fresh: true })).homeRegion, GOES);
    }
  });

  test('takes no new accounts: they go to the nearest other region; nothing is moved there', async () => {
    const client = await cluster.connect(GOES);
    // 80 ms to America, 140 to Asia.
    assert.equal((await client.createAccount({ region: GOES })).home.homeRegion, 'us-east');
    const [from] = (await cluster.platform.status()).groups;
    const primary = from?.leader ?? '';
    await assert.rejects(
      cluster.sql(primary, `INSERT INTO meridian.account (id, range) VALUES ('late', 'r0002')`),
      { code: 'MR001' },
    );
    for (const request of [
      { kind: 'rehome', accounts: [ids[0] ?? ''], to: GOES },
      { kind: 'move', range: 'r0001', to: `${GOES}-1` },
    ] as const) {
      await assert.rejects(cluster.platform.operate(request), { message: /is to go/ });
    }
  });

  test('is taken out by a start, with everything that was kept for it', async () => {
    const { groups } = await cluster.platform.status();
    epoch = groups.find(({ homeRegion }) => homeRegion === GOES)?.epoch ?? 0;
    await cluster.restart(keysOf(resolved(TWO)));
    assert.deepEqual(await settled(), []);
    const status = await cluster.platform.status();
    assert.deepEqual(
      Object.fromEntries(status.groups.map(({ name, ranges }) => [name, [...ranges].sort()])),
      { 'us-east-1': ['r0001', 'r0004', left].sort(), 'ap-south-1': ['r0003', 'r0006'] },
    );
    assert.deepEqual(status.drains, []);
    const files = await readdir(join(cluster.config.dataDirectory, 'nodes'));
    assert.deepEqual(
      files.filter((name) => name.includes(GOES)),
      [],
    );
    for (const { name } of status.nodes) {
      const kept = await cluster.sql(
        name,
        `SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE '%eu_west%'`,
      );
      assert.deepEqual(kept, [], name);
    }
    const { steps, restarts, drift } = await planOf(cluster.config);
    assert.deepEqual({ steps, restarts }, { steps: [], restarts: false });
    assert.deepEqual(
      drift.map(({ what }) => what),
      [`${left} was split off, and is not declared`],
    );
    const client = await cluster.connect('us-east');
    assert.equal(await coinsOf(client, 'bert'), 7);
    assert.equal(await coinsOf(client, emil), 3);
    assert.equal(typeof (await coinsOf(client, ids[0] ?? '')), 'number');
  });

  test('and comes back as a new one, whose ranges have names that nobody remembers', async () => {
    await cluster.restart(keysOf(resolved(THREE)));
    assert.deepEqual(await settled(), []);
    const status = await cluster.platform.status();
    const back = status.groups.find(({ homeRegion }) => homeRegion === GOES);
    assert.deepEqual([...(back?.ranges ?? [])].sort(), ['r0007', 'r0008']);
    // Tokens of the group that it was before are of lower epochs.
    assert.ok((back?.epoch ?? 0) > epoch, `${String(back?.epoch)} after ${String(epoch)}`);
    const client = await cluster.connect(GOES);
    assert.equal((await client.createAccount({ region: GOES })).home.homeRegion, GOES);
    assert.equal(await coinsOf(client, 'bert'), 7);
  });

  test('and an account that is being opened while it is found empty is not opened', async () => {
    const { platform } = cluster;
    const primary = (await platform.status()).groups[0]?.leader ?? '';
    await cluster.superuser(primary, async (late) => {
      await late.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
      await late.query(`INSERT INTO meridian.account (id, range) VALUES ('late', 'r0007')`);
      await platform.operate({ kind: 'drain', region: GOES });
      assert.equal(await drained(), 'drained');
      await assert.rejects(late.query('COMMIT'), { code: '40001' });
    });
  });
});
