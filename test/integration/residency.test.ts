/** Accounts that are pinned: no server outside their regions has a row of them, whatever is asked for. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { declaredPlacement, resolveConfig } from '../../src/config/resolve.ts';
import type { MeridianConfig } from '../../src/config/define.ts';
import { planFrom } from '../../src/cli/placed-plan.ts';
import {
  startTestPlatform,
  testConfig,
  type TestClient,
  type TestPlatform,
} from '../support/cluster.ts';
import { until } from '../support/bank.ts';
import { coinsOf, openPurse } from '../support/transfers.ts';

const PINNED = 'eu-west-eu-only-1';
const BEFORE: Partial<MeridianConfig> = {
  regions: { 'us-east': {}, 'eu-west': {} },
  gateway: { ports: { 'us-east': 0, 'eu-west': 0 } },
};
const DECLARED: Partial<MeridianConfig> = { ...BEFORE, residency: { 'eu-only': ['eu-west'] } };

describe('accounts that are pinned to a residency', () => {
  let cluster: TestPlatform;
  let client: TestClient;
  const rehome = (
    to: string,
    how: { residency?: string | null; repin?: boolean } = {},
  ): Promise<void> => cluster.platform.operate({ kind: 'rehome', accounts: ['anna'], to, ...how });

  before(async () => {
    cluster = await startTestPlatform({ changes: () => BEFORE });
    client = await cluster.connect('us-east');
    await openPurse(client, { region: 'eu-west', id: 'anna', coins: 7 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Regions of the servers that have a row of the account, in whichever range. */
  const regionsWith = async (account: string): Promise<readonly string[]> => {
    const { nodes } = await cluster.platform.status();
    const found = await Promise.all(
      nodes.map(async ({ name, region }) => {
        const tables = await cluster.sql<{ name: string }>(
          name,
          `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
           WHERE tablename IN ('purse', 'note') AND schemaname ~ '^[rs][0-9]'`,
        );
        for (const table of tables) {
          const rows = await cluster.sql(
            name,
            `SELECT FROM ${table.name} WHERE account_id = '${account}'`,
          );
          if (rows.length > 0) return [region];
        }
        return [];
      }),
    );
    return [...new Set(found.flat())].sort();
  };

  test('come with a plan, which says what is made for them', async () => {
    const next = resolveConfig(
      testConfig(cluster.directory, DECLARED),
      join(cluster.directory, 'meridian.config.ts'),
    );
    const { platform } = cluster;
    const plan = planFrom({
      after: declaredPlacement(next),
      facts: await platform.placement({ statements: {} }),
      status: await platform.status(),
    });
    assert.deepEqual([plan.refusals, plan.steps], [[], [{ kind: 'add-groups', groups: [PINNED] }]]);
    assert.deepEqual(await regionsWith('anna'), ['eu-west', 'us-east']);
    await cluster.restart({ residencies: next.residencies });
    client = await cluster.connect('us-east');
    const { groups, nodes } = await platformStatus();
    const pinned = groups.find(({ name }) => name === PINNED);
    assert.deepEqual([pinned?.residency, pinned?.ranges], ['eu-only', ['r0003']]);
    const at = nodes.filter(({ group }) => group === PINNED).map(({ region }) => region);
    assert.deepEqual(at, ['eu-west', 'eu-west', 'eu-west']);
  });

  const platformStatus = (): ReturnType<TestPlatform['platform']['status']> =>
    cluster.platform.status();

  test('are opened where they may be, and nowhere else', async () => {
    const { home } = await client.createAccount({
      ...{ region: 'eu-west', residency: 'eu-only', id: 'bert' },
    });
    assert.equal(home.group, PINNED);
    await client
      .account('bert')
      .transaction((tx) => tx.query(`INSERT INTO purse VALUES ('bert', 3, NULL)`));
    assert.equal(await coinsOf(client, 'bert', { staleness: 60_000 }), 3);
    assert.deepEqual(await regionsWith('bert'), ['eu-west']);
    await assert.rejects(client.createAccount({ region: 'us-east', residency: 'eu-only' }), {
      code: 'ERR_ACCOUNT_INVALID',
      message: /does not allow region "us-east"/,
    });
    await assert.rejects(client.createAccount({ region: 'eu-west', residency: 'mars' }), {
      message: /there is no residency "mars"/,
    });
    // Others are not put among them.
    for (let n = 0; n < 8; n += 1) {
      const opened = await client.createAccount({ region: 'eu-west' });
      assert.equal(opened.home.group, 'eu-west-1');
    }
  });

  test('are pinned later, and everything of them goes along', async () => {
    await assert.rejects(rehome(PINNED), {
      code: 'ERR_OPERATION_REFUSED',
      message: /anna is pinned/,
    });
    await assert.rejects(rehome('us-east', { residency: 'eu-only', repin: true }), {
      message: /eu-only does not allow us-east/,
    });
    await assert.rejects(rehome('eu-west', { residency: 'mars', repin: true }), {
      code: 'ERR_CONTROL_REQUEST',
    });
    await rehome('eu-west', { residency: 'eu-only', repin: true });
    assert.equal(await coinsOf(client, 'anna'), 7);
    assert.deepEqual(await regionsWith('anna'), ['eu-west']);
    assert.equal((await cluster.platform.explain('anna')).residency, 'eu-only');
  });

  test('stay, whatever is asked for', async () => {
    const { platform } = cluster;
    for (const request of [
      { kind: 'rehome', accounts: ['bert'], to: 'us-east' },
      { kind: 'rehome', accounts: ['bert', 'anna'], to: 'eu-west' },
      { kind: 'rehome', accounts: ['bert'], to: 'eu-west-1' },
      { kind: 'move', range: 'r0003', to: 'us-east-1' },
      { kind: 'move', range: 'r0003', to: 'us-east' },
      { kind: 'move', range: 'r0001', to: PINNED },
    ] as const) {
      await assert.rejects(platform.operate(request), { code: 'ERR_OPERATION_REFUSED' });
    }
    await assert.rejects(platform.operate({ kind: 'drain', region: 'eu-west' }), {
      message: /no other region takes accounts that are pinned to eu-only/,
    });
    await platform.operate({ kind: 'restore', region: 'eu-west' });
    for (const account of ['anna', 'bert']) {
      assert.deepEqual(await regionsWith(account), ['eu-west']);
    }
  });

  test('are left alone by what was asked for before they were pinned', async () => {
    for (const id of ['cleo', 'dora']) await openPurse(client, { region: 'eu-west', id, coins: 4 });
    const { platform } = cluster;
    await assert.rejects(
      platform.operate({
        ...{ kind: 'rehome', accounts: ['cleo'], to: 'eu-west-1' },
        ...{ residency: 'eu-only', repin: true },
      }),
      {
        code: 'ERR_OPERATION_REFUSED',
        message: /eu-west-1 is of no residency, and not of eu-only/,
      },
    );
    // Both are begun while she is pinned to nothing, and one waits for the other.
    const pinning = platform.operate({
      ...{ kind: 'rehome', accounts: ['cleo'], to: 'eu-west' },
      ...{ residency: 'eu-only', repin: true },
    });
    await until(async () => (await platform.status()).transfers.length === 1, 'her turn has come');
    await assert.rejects(
      platform.operate({ kind: 'rehome', accounts: ['cleo', 'dora'], to: 'us-east' }),
      { code: 'ERR_OPERATION_REFUSED', message: /cleo is pinned to eu-only/ },
    );
    await pinning;
    assert.equal((await platform.explain('cleo')).residency, 'eu-only');
    assert.deepEqual(await regionsWith('cleo'), ['eu-west']);
    assert.equal(await coinsOf(client, 'cleo'), 4);
  });

  test('are let go by a word of their own', async () => {
    await rehome('us-east', { residency: null, repin: true });
    assert.equal(await coinsOf(client, 'anna'), 7);
    assert.equal((await cluster.platform.explain('anna')).residency, null);
    assert.deepEqual(await regionsWith('bert'), ['eu-west']);
  });
});
