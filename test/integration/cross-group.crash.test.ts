/**
 * A client process killed at every step of transactions over several groups, on real servers: all or
 * nothing, within the stated bound, whoever recovers: a client before the supervisor, the supervisor
 * without a client, a start of the platform.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type pg from 'pg';
import { Counters } from '../../src/client/counters.ts';
import { Resolver } from '../../src/client/resolver.ts';
import { collectDecisions } from '../../src/engines/postgres/decisions.ts';
import { createConnector } from '../../src/engines/postgres/connector.ts';
import type { Connector } from '../../src/engines/connector.ts';
import { coordinatorOf, IN_DOUBT_AFTER_MS, SWEEP_PERIOD_MS } from '../../src/engines/two-phase.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { killAt, type Step, type StoppedTransfer } from '../support/killed-client.ts';
import { coinsOf, openPurse, preparedIn, settled } from '../support/transfers.ts';

const COINS = 1_000;
/** For what a round itself takes, on a busy machine. */
const SLACK_MS = 4_000;

/** At each, both sides must have paid, or none. */
const STEPS: readonly (readonly [step: Step, expected: 'both' | 'neither'])[] = [
  ['begun', 'neither'],
  ['half paid', 'neither'],
  ['paid', 'neither'],
  ['preparing', 'neither'],
  ['prepared', 'neither'],
  ['deciding', 'neither'],
  ['decided', 'both'],
  ['finishing', 'both'],
  ['half finished', 'both'],
  ['finished', 'both'],
];

describe('a client that is killed in the middle of a transaction over several groups', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let connector: Connector;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => ({ latency: { scale: 0.05 } }) });
    us = await cluster.connect('us-east');
    connector = createConnector({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      credentials: us.control.hello.database,
      applicationName: 'recovering',
      connectionsMax: 4,
      connectTimeoutMs: 2_000,
    });
  });
  after(async () => {
    await connector[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  /** Three accounts a step, in three groups; the third takes part where the step needs it. */
  const transfersAt = async (round: string, steps: readonly Step[]): Promise<StoppedTransfer[]> => {
    const transfers = steps.map((stopAt, index): StoppedTransfer => {
      const [from, to, also] = ['f', 't', 'a'].map((side) => `${round}${side}${String(index)}`);
      return { from: from ?? '', to: to ?? '', also: also ?? '', stopAt };
    });
    const purse = (region: string, id = ''): Promise<string> =>
      openPurse(us, { region, id, coins: COINS });
    await Promise.all(
      transfers.flatMap(({ from, to, also }) => [
        purse('us-east', from),
        purse('eu-west', to),
        purse('ap-south', also),
      ]),
    );
    return transfers;
  };
  const paidBy = async ({ from, to, also = '' }: StoppedTransfer): Promise<string> => {
    const seen = await Promise.all([from, to, also].map((id) => coinsOf(us, id)));
    const [out = 0, middle = 0, last = 0] = seen.map((coins) => coins - COINS);
    assert.equal(out + middle + last, 0, `the total of ${from}`);
    return out === -1 ? 'both' : out === 0 && last === 0 ? 'neither' : seen.join('/');
  };

  test('the supervisor finishes all within the bound, without a client', async () => {
    const transfers = await transfersAt(
      's',
      STEPS.map(([step]) => step),
    );
    // And some that the kill strikes wherever they are.
    const busy = (await transfersAt('b', ['begun', 'begun', 'begun', 'begun'])).map(
      ({ from, to }): StoppedTransfer => ({ from, to }),
    );
    await killAt(cluster, [...transfers, ...busy]);
    const inDoubt = (await cluster.platform.status()).groups.map((group) => group.inDoubt);
    assert.ok(
      inDoubt.some((seen) => seen !== null && seen.count > 0),
      JSON.stringify(inDoubt),
    );
    const tookMs = await settled(cluster, 30_000);
    const boundMs = IN_DOUBT_AFTER_MS + SWEEP_PERIOD_MS + SLACK_MS;
    assert.ok(tookMs <= boundMs, `${String(tookMs)} ms, ${String(boundMs)} allowed`);
    const outcomes = await Promise.all(
      transfers.map(async (one) => [one.stopAt, await paidBy(one)] as const),
    );
    assert.deepEqual(outcomes, STEPS);
    for (const { from, to } of busy) {
      const seen = await Promise.all([coinsOf(us, from), coinsOf(us, to)]);
      assert.equal((seen[0] ?? 0) + (seen[1] ?? 0), 2 * COINS, `${from}: ${seen.join('/')}`);
    }
    assert.equal(us.counters().crossGroupRecovered, 0);
  });

  test('a client finishes them as well, long before the supervisor would', async () => {
    const steps: Step[] = ['prepared', 'deciding', 'decided', 'half finished'];
    const transfers = await transfersAt('c', steps);
    const { twoPhase } = connector;
    assert.ok(twoPhase);
    const counters = new Counters();
    const resolver = new Resolver({
      ...{ clock: systemClock, random: systemRandom, control: us.control, counters, twoPhase },
    });
    resolver.used(['us-east-1', 'eu-west-1', 'ap-south-1']);
    await killAt(cluster, transfers);
    const inDoubt = await preparedIn(cluster);
    assert.notDeepEqual(inDoubt, []);
    const startedAt = performance.now();
    const recovered = await resolver.sweep(0);
    assert.deepEqual(await preparedIn(cluster), []);
    assert.ok(performance.now() - startedAt < IN_DOUBT_AFTER_MS, 'before anybody else could');
    // On a slow machine the supervisor may have had the first of them before the kill.
    assert.ok(recovered > 0);
    assert.equal(counters.snapshot().crossGroupRecovered, recovered);
    await resolver.close();
    const outcomes = await Promise.all(transfers.map(paidBy));
    assert.deepEqual(outcomes, ['neither', 'neither', 'both', 'both']);
  });

  test('a decision is kept as long as somebody is prepared, and collected after', async () => {
    const transfers = await transfersAt('d', ['decided']);
    await killAt(cluster, transfers);
    const { groups } = await cluster.platform.status();
    const leaders = groups.map(({ name, leader }) => ({
      group: name,
      use: <T>(run: (client: pg.Client) => Promise<T>) => cluster.superuser(leader ?? '', run),
    }));
    const leaderOf = (name: string | undefined): string =>
      groups.find((group) => group.name === name)?.leader ?? '';
    const decisions = async (): Promise<string[]> => {
      const found = await Promise.all(
        groups.map(({ leader }) =>
          cluster.sql<{ gid: string }>(leader ?? '', 'SELECT gid FROM meridian.decision'),
        ),
      );
      return found.flat().map(({ gid }) => gid);
    };
    const waiting = new Set((await preparedIn(cluster)).map((line) => line.split(' ')[1]));
    assert.equal(waiting.size, 1);
    // The supervisor asks for the decision before it finishes anything: until then it can't.
    const holding = await cluster.superuserClient(leaderOf(coordinatorOf([...waiting][0] ?? '')));
    await holding.query('BEGIN');
    const held = await holding.query('SELECT FROM meridian.decision WHERE gid = $1 FOR UPDATE', [
      [...waiting][0],
    ]);
    assert.equal(held.rowCount, 1);
    const options = { keptMs: 0, unchanged: () => true };
    assert.equal(await collectDecisions(leaders, { ...options, unchanged: () => false }), 0);
    assert.ok((await collectDecisions(leaders, options)) > 0, 'those of the tests before');
    assert.deepEqual(await decisions(), [...waiting]);
    await holding.end();
    // A start in between finds them, too.
    await cluster.restart();
    us = await cluster.connect('us-east');
    await settled(cluster);
    assert.deepEqual(await Promise.all(transfers.map(paidBy)), ['both']);
  });
});
