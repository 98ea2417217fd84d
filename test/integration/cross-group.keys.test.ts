/**
 * Idempotency keys of transactions over several groups, on real servers: one effect in all of them and
 * one answer for each key, when the client is killed at any step, when the decision's answer is lost,
 * and when many ask at once.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { Committed, MeridianClient, Transaction } from '../../src/client/api.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { moment } from '../support/gateway-rig.ts';
import {
  answerOf,
  idsOf,
  killAt,
  type Step,
  type StoppedTransfer,
} from '../support/killed-client.ts';
import { FORWARD, trappedClient, type Trap } from '../support/trapped-client.ts';
import { coinsOf, openPurse, pay, preparedIn, settled } from '../support/transfers.ts';

const COINS = 1_000;
const isDecision = (chunk: Buffer): boolean => chunk.includes('meridian.decide');

/** Whose transaction takes effect: the killed client's or the next one's. */
const STEPS: readonly (readonly [step: Step, whose: 'killed' | 'next'])[] = [
  ['half paid', 'next'],
  ['paid', 'next'],
  ['preparing', 'next'],
  ['prepared', 'next'],
  ['deciding', 'next'],
  ['decided', 'killed'],
  ['finishing', 'killed'],
  ['half finished', 'killed'],
  ['finished', 'killed'],
];

describe('idempotency keys of transactions over several groups', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let eu: TestClient;
  let ap: TestClient;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => ({ latency: { scale: 0.05 } }) });
    [us, eu, ap] = await Promise.all([
      cluster.connect('us-east'),
      cluster.connect('eu-west'),
      cluster.connect('ap-south'),
    ]);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const open = async (region: string, ...ids: readonly string[]): Promise<void> => {
    await Promise.all(ids.map((id) => openPurse(us, { region, id, coins: COINS })));
  };
  const balances = (
    client: MeridianClient,
    ids: readonly string[],
    token = '',
  ): Promise<number[]> =>
    Promise.all(ids.map((id) => coinsOf(client, id, token === '' ? {} : { token })));
  const key = (name: string): { idempotency: { key: string } } => ({ idempotency: { key: name } });

  test('a replay in another region: the same answer, and a token that shows every half', async () => {
    await open('us-east', 'ada');
    await open('ap-south', 'bina');
    let runs = 0;
    const paying = async (tx: Readonly<Record<string, Transaction>>): Promise<number> => {
      await pay(tx, { from: 'ada', to: 'bina', amount: 1 });
      return (runs += 1);
    };
    const first = await us.transaction(['ada', 'bina'], paying, key('first'));
    const again = await eu.transaction(['ada', 'bina'], paying, key('first'));
    assert.deepEqual([first.value, again.value, runs], [1, 1, 1]);
    assert.deepEqual([first.replayed, again.replayed], [false, true]);
    for (const client of [us, eu, ap]) {
      assert.deepEqual(await balances(client, ['ada', 'bina'], again.token), [
        COINS - 1,
        COINS + 1,
      ]);
    }
    assert.equal(us.counters().crossGroupCommitted, 1);
  });

  test('the key makes its group take part, and comes before all that the function sees', async () => {
    await open('us-east', 'cleo');
    await open('eu-west', 'cem');
    const spend = async (tx: Readonly<Record<'cleo' | 'cem', Transaction>>): Promise<string> => {
      // Only the second account, and refused the second time.
      const found = await tx.cem.query<{ coins: string }>('SELECT coins FROM purse');
      if (Number(found.rows[0]?.coins) < COINS) throw new Error('spent already');
      await tx.cem.query('UPDATE purse SET coins = 0');
      return 'spent';
    };
    const first = await us.transaction(['cleo', 'cem'], spend, key('spend'));
    const again = await ap.transaction(['cleo', 'cem'], spend, key('spend'));
    assert.deepEqual([first.value, again.value, again.replayed], ['spent', 'spent', true]);
    assert.equal(await coinsOf(eu, 'cem', { token: again.token }), 0);
  });

  test('twenty at once in several processes: one effect and one answer', async () => {
    await open('us-east', 'dora');
    await open('eu-west', 'dirk');
    const more = await Promise.all([cluster.connect('us-east'), cluster.connect('eu-west')]);
    const clients = [us, eu, ap, ...more];
    let runs = 0;
    const done = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (clients[index % clients.length] as TestClient).transaction(
          ['dora', 'dirk'],
          async (tx) => {
            runs += 1;
            const mine = runs;
            // In both orders, since a duplicate may be one of another version of the program.
            const amount = index % 2 === 0 ? 1 : -1;
            await tx[amount > 0 ? 'dora' : 'dirk'].query('SELECT coins FROM purse FOR UPDATE');
            await pay(tx, { from: 'dora', to: 'dirk', amount: 1 });
            return mine;
          },
          { ...key('twenty'), timeoutMs: 20_000 },
        ),
      ),
    );
    assert.equal(new Set(done.map(({ value }) => value)).size, 1);
    assert.equal(done.filter(({ replayed }) => !replayed).length, 1);
    for (const { token } of done) {
      assert.deepEqual(await balances(us, ['dora', 'dirk'], token), [COINS - 1, COINS + 1]);
    }
    await settled(cluster);
  });

  test('a duplicate waits for the key by its deadline, not by a number of tries', async () => {
    await open('us-east', 'eva');
    await open('eu-west', 'emil');
    const [begun, finish] = [moment(), moment()];
    const run = (client: MeridianClient, hold: boolean): Promise<Committed<string>> =>
      client.transaction(
        ['eva', 'emil'],
        async (tx) => {
          await pay(tx, { from: 'eva', to: 'emil', amount: 1 });
          if (!hold) return 'second';
          begun.reach();
          await finish.reached;
          return 'first';
        },
        { ...key('patient'), retriesMax: hold ? 10 : 0, timeoutMs: 20_000 },
      );
    const first = run(us, true);
    await begun.reached;
    const waits = (): number => ap.counters().retries['ERR_ENGINE_SERIALIZATION'] ?? 0;
    const before = waits();
    const second = run(ap, false);
    try {
      const what = 'the duplicate to have waited twice';
      await waitUntil(systemClock, { what, timeoutMs: 10_000, intervalMs: 50 }, async () => {
        return waits() >= before + 2 || undefined;
      });
    } finally {
      finish.reach();
    }
    const done = await Promise.all([first, second]);
    assert.deepEqual(
      done.map(({ value }) => value),
      ['first', 'first'],
    );
    assert.deepEqual(await balances(us, ['eva', 'emil']), [COINS - 1, COINS + 1]);
  });

  test('the connection cut around the decision: a definite answer, and one effect', async () => {
    await open('us-east', 'fay');
    await open('eu-west', 'fritz');
    // The farther of two groups decides.
    await using trapped = await trappedClient(us, 'eu-west-1');
    const cutting = (arrives: boolean): { readonly trap: Trap; readonly cuts: () => number } => {
      let cuts = 0;
      const trap: Trap = (chunk, { client, server }) => {
        if (!isDecision(chunk) || cuts > 0) return 'forward';
        cuts += 1;
        if (arrives) {
          server.write(chunk);
          client.removeAllListeners('close');
        }
        client.destroy();
        return 'swallow';
      };
      return { trap, cuts: () => cuts };
    };
    let paid = 0;
    for (const arrives of [true, false, true, false]) {
      for (const ids of [
        ['fay', 'fritz'],
        ['fritz', 'fay'],
      ]) {
        const { trap, cuts } = cutting(arrives);
        trapped.setTrap(trap);
        paid += 1;
        const name = `cut.${String(paid)}`;
        const paying = async (tx: Readonly<Record<string, Transaction>>): Promise<number> => {
          await pay(tx, { from: 'fay', to: 'fritz', amount: 1 });
          return paid;
        };
        const done = await trapped.client.transaction(ids, paying, key(name));
        assert.deepEqual([cuts(), done.value], [1, paid], name);
        trapped.setTrap(FORWARD);
        const seen = await balances(ap, ['fay', 'fritz'], done.token);
        assert.deepEqual(seen, [COINS - paid, COINS + paid], name);
        const again = await eu.transaction(ids, paying, key(name));
        assert.deepEqual([again.replayed, again.value], [true, paid]);
      }
    }
    await settled(cluster);
    assert.deepEqual(await balances(us, ['fay', 'fritz']), [COINS - paid, COINS + paid]);
  });

  test('a client killed at any step, and two others with its key: one effect, one answer', async () => {
    // With the key in a group that is prepared, and in the one that decides (the farthest of the three).
    const transfers = STEPS.flatMap(([stopAt, whose], index) =>
      (['prepared', 'decides'] as const).map((role) => {
        const name = `${role[0] ?? ''}${String(index)}`;
        const sides = { from: `${name}f`, to: `${name}t`, also: `${name}a` };
        const keyOf = role === 'prepared' ? sides.from : sides.also;
        return { ...sides, stopAt, whose, key: name, keyOf };
      }),
    );
    await open('us-east', ...transfers.map(({ from }) => from));
    await open('eu-west', ...transfers.map(({ to }) => to));
    await open('ap-south', ...transfers.map(({ also }) => also));
    const killed = await killAt(cluster, transfers);
    assert.notDeepEqual(await preparedIn(cluster), []);
    const repeat = (client: MeridianClient, one: StoppedTransfer): Promise<Committed<string>> => {
      const { from, to, also = '' } = one;
      return client.transaction(
        idsOf(one),
        async (tx) => {
          await pay(tx, { from, to, amount: 1 });
          await pay(tx, { from: to, to: also, amount: 1 });
          return answerOf(from, process.pid);
        },
        { ...key(one.key ?? ''), timeoutMs: 30_000, retriesMax: 40 },
      );
    };
    const outcomes = await Promise.all(
      transfers.map(async (one) => {
        const asked = await Promise.all([repeat(us, one), repeat(ap, one)]);
        const purses = await Promise.all(
          asked.map(({ token }) => balances(eu, [one.from, one.to, one.also], token)),
        );
        const paid = purses.every((seen) => seen.join() === [COINS - 1, COINS, COINS + 1].join());
        const answers = [...new Set(asked.map(({ value }) => value))];
        const ran = asked.filter(({ replayed }) => !replayed).length;
        return { step: one.stopAt, key: one.key, paid: paid || purses, answers, ran };
      }),
    );
    assert.deepEqual(
      outcomes,
      transfers.map(({ stopAt, whose, key: name, from }) => ({
        ...{ step: stopAt, key: name, paid: true },
        answers: [answerOf(from, whose === 'killed' ? killed : process.pid)],
        ran: whose === 'killed' ? 0 : 1,
      })),
    );
    await settled(cluster, 20_000);
    const all = await Promise.all(transfers.map((one) => balances(us, idsOf(one))));
    const total = all.flat().reduce((sum, coins) => sum + coins, 0);
    assert.equal(total, COINS * 3 * transfers.length);
  });
});
