/**
 * Transactions over several groups on real servers: all or nothing, whoever conflicts, and whatever a
 * reader, a refusal or a deadline does in between.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { Transaction } from '../../src/client/api.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { mergeTokens } from '../../src/topology/position.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { coinsOf, openPurse, pay, preparedIn, settled } from '../support/transfers.ts';

describe('transactions over several groups', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let eu: TestClient;
  let ap: TestClient;

  before(async () => {
    cluster = await startTestPlatform();
    [us, eu, ap] = await Promise.all([
      cluster.connect('us-east'),
      cluster.connect('eu-west'),
      cluster.connect('ap-south'),
    ]);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test('both halves are committed, and the token shows them in every region', async () => {
    let token = await openPurse(us, { region: 'us-east', id: 'anna', coins: 100 });
    token = mergeTokens(token, await openPurse(us, { region: 'ap-south', id: 'bina', coins: 0 }));
    for (let round = 1; round <= 5; round += 1) {
      const paid = await us.transaction(['anna', 'bina'], (tx) =>
        pay(tx, { from: 'anna', to: 'bina', amount: 10 }),
      );
      token = mergeTokens(token, paid.token);
      for (const client of [us, eu, ap]) {
        const seen = await Promise.all([
          coinsOf(client, 'anna', { token }),
          coinsOf(client, 'bina', { token }),
        ]);
        assert.deepEqual(seen, [100 - 10 * round, 10 * round]);
      }
    }
    assert.equal(us.counters().crossGroupCommitted, 5);
    assert.deepEqual(await preparedIn(cluster), []);
  });

  test('three groups, two accounts in one of them: each handle is its own account', async () => {
    const ids = ['carl', 'cato', 'cilla', 'cyra'] as const;
    const regions = ['eu-west', 'us-east', 'eu-west', 'ap-south'];
    await Promise.all(
      ids.map((id, index) => openPurse(us, { region: regions[index] ?? '', id, coins: 0 })),
    );
    await eu.transaction(ids, async (tx) => {
      await Promise.all(
        ids.map((id, index) =>
          tx[id].query('UPDATE purse SET coins = $2 WHERE account_id = $1', [id, index + 1]),
        ),
      );
    });
    const seen = await Promise.all(ids.map((id) => coinsOf(ap, id)));
    assert.deepEqual(seen, [1, 2, 3, 4]);
  });

  test('a refusal in one group, an error of the function: nothing of it anywhere', async () => {
    await openPurse(us, { region: 'us-east', id: 'dora', coins: 5 });
    await openPurse(us, { region: 'eu-west', id: 'dirk', coins: 5 });
    const both = async (): Promise<number[]> =>
      Promise.all([coinsOf(us, 'dora'), coinsOf(us, 'dirk')]);
    await assert.rejects(
      us.transaction(['dora', 'dirk'], (tx) => pay(tx, { from: 'dora', to: 'dirk', amount: 6 })),
      (error) => isMeridianError(error) && error.details['sqlState'] === '23514',
    );
    const boom = new Error('no');
    await assert.rejects(
      us.transaction(['dora', 'dirk'], async (tx) => {
        await pay(tx, { from: 'dora', to: 'dirk', amount: 1 });
        throw boom;
      }),
      boom,
    );
    // A function that goes on after a refusal does not get half of its work committed.
    await assert.rejects(
      us.transaction(['dora', 'dirk'], async (tx) => {
        await tx.dirk.query('UPDATE purse SET coins = 9 WHERE account_id = $1', ['dirk']);
        await tx.dora.query('UPDATE purse SET coins = -1').catch(() => {});
      }),
      (error) => isMeridianError(error) && error.details['sqlState'] === '23514',
    );
    assert.deepEqual(await both(), [5, 5]);
    assert.deepEqual(await preparedIn(cluster), []);
  });

  test('accounts that the function leaves alone cost nothing and change nothing', async () => {
    await openPurse(us, { region: 'us-east', id: 'elsa', coins: 1 });
    await openPurse(us, { region: 'eu-west', id: 'emil', coins: 1 });
    const before = us.counters().crossGroupCommitted;
    const one = await us.transaction(['elsa', 'emil'], (tx) =>
      tx.emil.query('UPDATE purse SET coins = 2 WHERE account_id = $1', ['emil']),
    );
    assert.match(one.node, /^eu-west-1\./);
    await us.transaction(['elsa', 'emil'], async () => {});
    assert.equal(us.counters().crossGroupCommitted, before);
    assert.equal(await coinsOf(us, 'emil', { token: one.token }), 2);
  });

  test('a deadline too short for the commit ends it before anything is prepared', async () => {
    await openPurse(us, { region: 'us-east', id: 'fay', coins: 1 });
    await openPurse(us, { region: 'ap-south', id: 'fritz', coins: 1 });
    await coinsOf(us, 'fritz');
    const error = await us
      .transaction(['fay', 'fritz'], (tx) => pay(tx, { from: 'fay', to: 'fritz', amount: 1 }), {
        timeoutMs: 150,
      })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    assert.ok(isMeridianError(error, 'ERR_DEADLINE_EXCEEDED'), String(error));
    assert.equal(error.outcome, 'none');
    assert.deepEqual(await Promise.all([coinsOf(us, 'fay'), coinsOf(us, 'fritz')]), [1, 1]);
  });

  test('two that wait for each other in different groups both get through', async () => {
    await openPurse(us, { region: 'us-east', id: 'gus', coins: 10 });
    await openPurse(us, { region: 'eu-west', id: 'gerd', coins: 10 });
    const lock = (tx: Transaction, id: string): Promise<unknown> =>
      tx.query('SELECT coins FROM purse WHERE account_id = $1 FOR UPDATE', [id]);
    let meet = (): void => {};
    const meeting = new Promise<void>((resolve) => (meet = resolve));
    let arrived = 0;
    const crossing = (client: TestClient, first: 'gus' | 'gerd'): Promise<unknown> =>
      client.transaction(['gus', 'gerd'], async (tx) => {
        await lock(tx[first], first);
        arrived += 1;
        if (arrived === 2) meet();
        if (tx.gus.attempt === 1) await meeting;
        const second = first === 'gus' ? 'gerd' : 'gus';
        await pay(tx, { from: first, to: second, amount: 1 });
      });
    await Promise.all([crossing(us, 'gus'), crossing(eu, 'gerd')]);
    assert.deepEqual(await Promise.all([coinsOf(us, 'gus'), coinsOf(us, 'gerd')]), [10, 10]);
  });

  test('many that conflict: every total stays, and nothing stays in doubt', async () => {
    const seed = Date.now() % 100_000;
    const random = seededRandom(seed);
    const clients = [us, eu, ap];
    const ids = ['h0', 'h1', 'h2', 'h3', 'h4', 'h5'];
    const regions = ['us-east', 'eu-west', 'ap-south'];
    await Promise.all(
      ids.map((id, index) => openPurse(us, { region: regions[index % 3] ?? '', id, coins: 1_000 })),
    );
    const expected = new Map(ids.map((id) => [id, 1_000]));
    const transfers = Array.from({ length: 60 }, () => {
      const from = random.below(ids.length);
      const to = (from + 1 + random.below(ids.length - 1)) % ids.length;
      const amount = 1 + random.below(20);
      return { from: ids[from] ?? '', to: ids[to] ?? '', amount, client: random.below(3) };
    });
    let failed = 0;
    const run = async (mine: typeof transfers): Promise<void> => {
      for (const { from, to, amount, client } of mine) {
        try {
          await clients[client]?.transaction([from, to], (tx) => pay(tx, { from, to, amount }), {
            timeoutMs: 20_000,
          });
          expected.set(from, (expected.get(from) ?? 0) - amount);
          expected.set(to, (expected.get(to) ?? 0) + amount);
        } catch (error) {
          assert.ok(isMeridianError(error) && error.outcome === 'none', String(error));
          failed += 1;
        }
      }
    };
    const lanes = [0, 1, 2, 3, 4, 5].map((lane) =>
      run(transfers.filter((_, index) => index % 6 === lane)),
    );
    await Promise.all(lanes);
    const seen = await Promise.all(ids.map((id) => coinsOf(us, id)));
    assert.deepEqual(seen, [...expected.values()], `seed ${String(seed)}`);
    assert.ok(failed < transfers.length / 2, `${String(failed)} gave up, seed ${String(seed)}`);
    await settled(cluster);
  });
});
