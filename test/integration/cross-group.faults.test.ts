/**
 * Connections cut and leaders killed at every step of transactions over several groups, on real
 * servers, with the client alive: each is committed once or not at all, and the client is told which.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectObserved } from '../../src/client/connect.ts';
import type { MeridianClient } from '../../src/client/api.ts';
import type { Phase, PhaseObserver } from '../../src/client/cross-group.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { freeze } from '../support/node-signals.ts';
import { coinsOf, openPurse, pay, settled } from '../support/transfers.ts';

const DECIDES = 'us-east-1.a';
const OTHER = 'eu-west-1.a';
const PHASES: readonly Phase[] = [
  ...(['begun', 'preparing', 'prepared', 'deciding', 'decided', 'finishing', 'finished'] as const),
];

describe('transactions over several groups under faults', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let observe: PhaseObserver = () => {};
  let paying: MeridianClient;

  before(async () => {
    // Without distance the first account's group decides.
    cluster = await startTestPlatform({ changes: () => ({ latency: 'off' }) });
    us = await cluster.connect('us-east');
    const { env } = cluster.platform;
    paying = await connectObserved(
      {
        controlUrl: env['MERIDIAN_CONTROL_URL'] ?? '',
        controlToken: env['MERIDIAN_CONTROL_TOKEN'] ?? '',
        region: 'us-east',
        process: 'paying',
      },
      (phase, group) => observe(phase, group),
    );
    const purse = { coins: 1_000 };
    await openPurse(us, { ...purse, region: 'us-east', id: 'uma' });
    await openPurse(us, { ...purse, region: 'eu-west', id: 'elias' });
    await openPurse(us, { ...purse, region: 'ap-south', id: 'asha' });
  });
  after(async () => {
    await paying.close();
    await cluster[Symbol.asyncDispose]();
  });

  const balances = (from: string, to: string): Promise<[number, number]> =>
    Promise.all([coinsOf(us, from), coinsOf(us, to)]);
  /** One payment with one fault in it; checks that what the client was told is what happened. */
  const payWith = async (
    [from, to]: readonly [string, string],
    fault: { readonly at: Phase; readonly awaited: boolean; readonly strike: () => Promise<void> },
  ): Promise<string> => {
    const before = await balances(from, to);
    let struck: Promise<void> | undefined;
    observe = (phase) => {
      if (phase !== fault.at || struck !== undefined) return;
      struck = fault.strike();
      return fault.awaited ? struck : undefined;
    };
    const told = await paying
      .transaction([from, to], (tx) => pay(tx, { from, to, amount: 1 }), { timeoutMs: 20_000 })
      .then(
        () => 'committed',
        (error: unknown) => {
          assert.ok(isMeridianError(error), String(error));
          return error.outcome === 'unknown' ? 'unknown' : 'nothing';
        },
      );
    observe = () => {};
    assert.ok(struck !== undefined, `came to ${fault.at}`);
    await struck;
    await settled(cluster, 20_000);
    const seen = await balances(from, to);
    const paid = before[0] - seen[0];
    assert.equal(seen[1] - before[1], paid, `both halves, cut at ${fault.at}`);
    if (told !== 'unknown') assert.equal(paid, told === 'committed' ? 1 : 0, `at ${fault.at}`);
    assert.ok(paid === 0 || paid === 1, `once at most, at ${fault.at}`);
    return told;
  };
  const cutAt = (leader: string) => async (): Promise<void> => {
    await cluster.sql(
      leader,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'paying' AND pid <> pg_backend_pid()`,
    );
  };
  const killLeader = (leader: string) => async (): Promise<void> => {
    const { nodes } = await cluster.platform.status();
    const pid = nodes.find((node) => node.name === leader)?.pid;
    if (typeof pid === 'number') process.kill(pid, 'SIGKILL');
  };

  test('a connection cut before or behind any step: told truly, and paid once', async () => {
    const told: string[] = [];
    const cuts = PHASES.flatMap((at) => [
      { at, awaited: true, leader: DECIDES },
      { at, awaited: true, leader: OTHER },
    ]);
    // And while the step is under way.
    const racing = (['preparing', 'deciding', 'finishing'] as const).map((at) => ({
      ...{ at, awaited: false, leader: at === 'deciding' ? DECIDES : OTHER },
    }));
    for (const { at, awaited, leader } of [...cuts, ...racing]) {
      told.push(await payWith(['uma', 'elias'], { at, awaited, strike: cutAt(leader) }));
    }
    // The library runs again what it knows to be undone, so few are left in doubt.
    assert.ok(told.filter((one) => one === 'committed').length > told.length / 2, told.join());
  });

  test("the deciding or another group's leader killed at any step: all or nothing", async () => {
    const kills: readonly (readonly [at: Phase, awaited: boolean, whose: 'decides' | 'other'])[] = [
      ['prepared', true, 'decides'],
      ['preparing', true, 'other'],
      ['deciding', false, 'decides'],
      ['prepared', true, 'other'],
      ['decided', true, 'decides'],
      ['decided', true, 'other'],
    ];
    const rounds = [
      ['uma', 'elias', 'us-east-1.a', 'eu-west-1.a'],
      ['elias', 'asha', 'eu-west-1.a', 'ap-south-1.a'],
      ['asha', 'uma', 'ap-south-1.a', 'us-east-1.a'],
    ] as const;
    const told: string[] = [];
    for (const [index, [at, awaited, whose]] of kills.entries()) {
      const [from, to, decides, other] = rounds[index % 3] ?? rounds[0];
      const strike = killLeader(whose === 'decides' ? decides : other);
      told.push(await payWith([from, to], { at, awaited, strike }));
    }
    assert.ok(told.includes('committed'), told.join());
    const sum = await Promise.all(['uma', 'elias', 'asha'].map((id) => coinsOf(us, id)));
    assert.equal(
      sum.reduce((total, coins) => total + coins, 0),
      3_000,
    );
  });

  // The last one: whoever is silent for so long is succeeded.
  test('a function that fails beside a silent server: the call ends with its deadline all the same', async () => {
    const { leader } = us.control.view.groups['eu-west-1'] ?? {};
    let thaw = (): void => {};
    const began = Date.now();
    try {
      const call = us.transaction(
        ['uma', 'elias'],
        async (tx) => {
          await Promise.all([tx.uma.query('SELECT 1'), tx.elias.query('SELECT 1')]);
          thaw = await freeze(cluster, leader ?? '');
          throw new Error('no funds');
        },
        { timeoutMs: 1_000 },
      );
      await assert.rejects(call, /no funds/);
      assert.ok(Date.now() - began < 3_000, `it took ${String(Date.now() - began)} ms`);
    } finally {
      thaw();
    }
  });
});
