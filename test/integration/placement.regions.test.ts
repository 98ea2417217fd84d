/** A changed declaration: what it would do is told before, and it does that, with everything that was there. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { planFrom } from '../../src/cli/placed-plan.ts';
import { declaredPlacement, resolveConfig } from '../../src/config/resolve.ts';
import type { MeridianConfig } from '../../src/config/define.ts';
import type { ResolvedConfig } from '../../src/config/resolved.ts';
import type { PlacementPlan } from '../../src/placement/plan/plan.ts';
import { settle } from '../../src/verify/settle.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { startTestPlatform, testConfig, type TestPlatform } from '../support/cluster.ts';

const ports = { 'us-east': 0, 'eu-west': 0 };
const TWO: Partial<MeridianConfig> = {
  regions: { 'us-east': {}, 'eu-west': {} },
  ...{ rangesPerRegion: 2, gateway: { ports } },
  statements: {
    'a purse': 'SELECT coins FROM purse WHERE account_id = $1',
    'all purses': 'SELECT sum(coins) FROM purse',
    'a new currency': 'INSERT INTO currency VALUES ($1, $2)',
    'two at once': 'SELECT 1; SELECT 2',
  },
};
/** Its first range is the third that is dealt out, and would have the number of one that is there. */
const THREE: Partial<MeridianConfig> = {
  ...TWO,
  regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
  gateway: { ports: { ...ports, 'ap-south': 0 } },
};

describe('a region that is added', () => {
  let cluster: TestPlatform;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => TWO });
    const client = await cluster.connect('us-east');
    for (const region of ['us-east', 'eu-west']) {
      for (const number of [1, 2, 3]) {
        const id = `${region}-${String(number)}`;
        await client.createAccount({ id, region });
        await client
          .account(id)
          .transaction((tx) => tx.query('INSERT INTO purse VALUES ($1, $2, NULL)', [id, number]));
      }
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  const resolved = (changes: Partial<MeridianConfig>): ResolvedConfig =>
    resolveConfig(
      testConfig(cluster.directory, changes),
      join(cluster.directory, 'meridian.config.ts'),
    );
  const planOf = async (config: ResolvedConfig): Promise<PlacementPlan> => {
    const { platform } = cluster;
    const facts = await platform.placement({ statements: config.statements });
    assert.deepEqual(facts.missing, []);
    return planFrom({
      ...{ after: declaredPlacement(config), facts },
      status: await platform.status(),
    });
  };
  const keysOf = ({ regions, latency, gateway }: ResolvedConfig): Partial<ResolvedConfig> => ({
    ...{ regions, latency, gateway },
  });
  const settled = (): Promise<readonly string[]> =>
    settle(() => cluster.platform.status(), {
      ...{ clock: systemClock, signal: AbortSignal.timeout(90_000) },
    });

  test('and what is declared already: nothing would change', async () => {
    assert.deepEqual(await settled(), []);
    const { steps, refusals, restarts, drift, findings } = await planOf(cluster.config);
    assert.deepEqual(
      { steps, refusals, restarts, drift },
      {
        ...{ steps: [], refusals: [], restarts: false, drift: [] },
      },
    );
    assert.deepEqual(
      findings.map(({ severity, where, what }) => [
        severity,
        where,
        what.split(' ').slice(0, 4).join(' '),
      ]),
      [
        ['wrong', 'statements.all purses', 'it goes through purse'],
        ['costly', 'statements.a new currency', 'it writes to currency,'],
        ['wrong', 'statements.two at once', 'the database does not'],
      ],
    );
  });

  test('is told before, with what it gains', async () => {
    const plan = await planOf(resolved(THREE));
    assert.deepEqual(plan.refusals, []);
    assert.deepEqual(
      plan.steps.map((step) => (step.kind === 'add-copies' ? step.servers : step.kind)),
      ['add-region', ['us-east-1.ap-south', 'eu-west-1.ap-south']],
    );
    assert.ok(plan.copiedBytes > 0);
    const [read] = plan.forecast.filter(
      (one) => one.region === 'ap-south' && one.class === 'strong-read',
    );
    // From there the nearest was Europe.
    assert.deepEqual([read?.beforeMs, read?.afterMs], [140, 0]);
  });

  test('serves what was there, under the names that it had, and accounts of its own', async () => {
    await cluster.restart(keysOf(resolved(THREE)));
    assert.deepEqual(await settled(), []);
    const status = await cluster.platform.status();
    assert.deepEqual(
      Object.fromEntries(status.groups.map(({ name, ranges }) => [name, [...ranges].sort()])),
      {
        'us-east-1': ['r0001', 'r0003'],
        'eu-west-1': ['r0002', 'r0004'],
        'ap-south-1': ['r0005', 'r0006'],
      },
    );
    const client = await cluster.connect('ap-south');
    for (const region of ['us-east', 'eu-west']) {
      const account = client.account(`${region}-3`);
      const { value, node } = await account.read(
        (tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'),
        { staleness: 30_000 },
      );
      assert.equal(value.rows[0]?.coins, '3');
      // From the copy that was made for it.
      assert.equal(node, `${region}-1.ap-south`);
    }
    const { home } = await client.createAccount({ id: 'asha', region: 'ap-south' });
    assert.equal(home.group, 'ap-south-1');
    await client
      .account('asha')
      .transaction((tx) => tx.query(`INSERT INTO purse VALUES ('asha', 7, NULL)`));
    const { steps, refusals, restarts, drift } = await planOf(cluster.config);
    assert.deepEqual(
      { steps, refusals, restarts, drift },
      {
        ...{ steps: [], refusals: [], restarts: false, drift: [] },
      },
    );
  });

  test('and is not taken out by a start: it is drained before', async () => {
    const without = resolved(TWO);
    const { refusals, steps } = await planOf(without);
    assert.deepEqual(refusals, []);
    assert.deepEqual(
      steps.map(({ kind }) => kind),
      ['drain-region', 'remove-region'],
    );
    await assert.rejects(cluster.restart(keysOf(without)), { code: 'ERR_ENGINE_UNSUPPORTED' });
    await cluster.restart(keysOf(resolved(THREE)));
    const client = await cluster.connect('us-east');
    assert.equal((await client.locate('asha')).homeRegion, 'ap-south');
  });
});
