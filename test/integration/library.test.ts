/**
 * The client library on a running platform: what it promises about consistency, retries and routes,
 * each shown on real servers with the WAN emulated at a quarter of its length.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { mergeTokens } from '../../src/topology/position.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';

describe('the client library', () => {
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
    await us.global.write((tx) => tx.query(`INSERT INTO currency VALUES ('EUR', 'Euro')`));
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const open = async (region: string, id: string, coins = 100): Promise<string> => {
    const created = await us.createAccount({ region, id });
    const { token } = await us
      .account(id)
      .transaction((tx) =>
        tx.query('INSERT INTO purse (account_id, coins) VALUES ($1, $2)', [id, coins]),
      );
    return mergeTokens(created.token, token);
  };
  const coins = (client: TestClient, id: string, options = {}): Promise<string | undefined> =>
    client
      .account(id)
      .read(async (tx) => {
        const found = await tx.query<{ coins: string }>(
          'SELECT coins FROM purse WHERE account_id = $1',
          [id],
        );
        return found.rows[0]?.coins;
      }, options)
      .then((done) => done.value);

  test('an account is served at its home from anywhere', async () => {
    await open('eu-west', 'anna');
    assert.equal((await ap.locate('anna')).homeRegion, 'eu-west');
    const paid = await ap
      .account('anna')
      .transaction((tx) =>
        tx.query('UPDATE purse SET coins = coins - 30 WHERE account_id = $1', ['anna']),
      );
    assert.match(paid.node, /^eu-west-1\./);
    assert.equal(await coins(us, 'anna'), '70');
  });

  test('an unknown account is not found, after the primary was asked', async () => {
    await assert.rejects(coins(ap, 'nobody'), { code: 'ERR_ACCOUNT_NOT_FOUND' });
  });

  test('a new account is found at once in a region whose directory lags behind', async () => {
    await us.createAccount({ region: 'us-east', id: 'fresh-one' });
    assert.equal((await ap.locate('fresh-one')).homeRegion, 'us-east');
    await assert.rejects(us.createAccount({ region: 'us-east', id: 'fresh-one' }), {
      code: 'ERR_ACCOUNT_EXISTS',
    });
  });

  test('a token makes a write visible in every region, on local replicas', async () => {
    let token = await open('us-east', 'tom', 0);
    for (let round = 1; round <= 20; round += 1) {
      const { token: written } = await us
        .account('tom')
        .transaction((tx) =>
          tx.query('UPDATE purse SET coins = $2 WHERE account_id = $1', ['tom', round]),
        );
      token = mergeTokens(token, written);
      const seen = await Promise.all([eu, ap].map((client) => coins(client, 'tom', { token })));
      assert.deepEqual(seen, [String(round), String(round)]);
    }
    assert.ok(ap.counters().readsOnReplica > 0, 'replicas served at least some of them');
  });

  test('a bounded read is refused by a replica that is too old and served by the leader', async () => {
    await open('us-east', 'berta');
    const replica = 'us-east-1.ap-south';
    const options = { staleness: 400 };
    // With replay paused the replica shows old data and an old heartbeat.
    await cluster.sql(replica, 'SELECT pg_wal_replay_pause()');
    try {
      await us
        .account('berta')
        .transaction((tx) =>
          tx.query('UPDATE purse SET coins = 1 WHERE account_id = $1', ['berta']),
        );
      await new Promise((resolve) => setTimeout(resolve, options.staleness));
      const before = ap.counters().readsRedirected;
      const read = await ap
        .account('berta')
        .read((tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'), options);
      assert.equal(read.node, 'us-east-1.a');
      assert.equal(ap.counters().readsRedirected, before + 1);
    } finally {
      await cluster.sql(replica, 'SELECT pg_wal_replay_resume()');
    }
  });

  test('bounded reads are served nearby once heartbeats are frequent', async () => {
    await open('us-east', 'carl');
    const nodes = new Set<string>();
    const deadline = Date.now() + 10_000;
    while (!nodes.has('us-east-1.eu-west') && Date.now() < deadline) {
      const read = await eu
        .account('carl')
        .read((tx) => tx.query('SELECT 1'), { staleness: 1_000 });
      nodes.add(read.node);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(nodes.has('us-east-1.eu-west'), `served by ${[...nodes].join(', ')}`);
  });

  test('conflicting transactions are run again until both are in', async () => {
    await open('us-east', 'dora', 0);
    const add = (client: TestClient): Promise<unknown> =>
      client.account('dora').transaction(async (tx) => {
        const { rows } = await tx.query<{ coins: string }>(
          'SELECT coins FROM purse WHERE account_id = $1',
          ['dora'],
        );
        await tx.query('UPDATE purse SET coins = $2 WHERE account_id = $1', [
          'dora',
          Number(rows[0]?.coins) + 1,
        ]);
      });
    await Promise.all(Array.from({ length: 12 }, () => add(us)));
    assert.equal(await coins(us, 'dora'), '12');
    assert.ok((us.counters().retries['ERR_ENGINE_SERIALIZATION'] ?? 0) > 0, 'some had conflicts');
  });

  test('a statement that fails undoes the whole transaction and tells why, without row values', async () => {
    await open('us-east', 'emil', 5);
    const attempt = us.account('emil').transaction(async (tx) => {
      await tx.query(`INSERT INTO note VALUES ('emil', 1, 'secret text')`);
      await tx.query('UPDATE purse SET coins = coins - 10 WHERE account_id = $1', ['emil']);
    });
    await assert.rejects(attempt, (error) => {
      assert.ok(isMeridianError(error, 'ERR_ENGINE_STATEMENT'));
      assert.equal(error.details['sqlState'], '23514');
      assert.equal(error.outcome, 'none');
      assert.doesNotMatch(JSON.stringify(error) + String(error.stack), /secret|Failing row/);
      return true;
    });
    const notes = await us.account('emil').read((tx) => tx.query('SELECT * FROM note'));
    assert.equal(notes.value.rowCount, 0);
  });

  test('statements sent together share a round trip, and the first refusal is the reason', async () => {
    await open('us-east', 'elsa', 5);
    const together = us
      .account('elsa')
      .transaction((tx) =>
        Promise.all([
          tx.query('UPDATE purse SET coins = -1 WHERE account_id = $1', ['elsa']),
          tx.query('UPDATE purse SET coins = 9 WHERE account_id = $1', ['elsa']),
        ]),
      );
    await assert.rejects(
      together,
      (error) => isMeridianError(error) && error.details['sqlState'] === '23514',
    );
    assert.equal(await coins(us, 'elsa'), '5');
  });

  test('an error of the application rolls back and arrives as it is', async () => {
    await open('us-east', 'fritz', 5);
    const boom = new Error('no');
    await assert.rejects(
      us.account('fritz').transaction(async (tx) => {
        await tx.query('DELETE FROM purse WHERE account_id = $1', ['fritz']);
        throw boom;
      }),
      boom,
    );
    assert.equal(await coins(us, 'fritz'), '5');
  });

  test('accounts of one group share a transaction, with a handle each', async () => {
    await open('us-east', 'gus', 10);
    await open('us-east', 'hal', 0);
    await us.transaction(['gus', 'hal'], async (tx) => {
      await tx.gus.query('UPDATE purse SET coins = coins - 4 WHERE account_id = $1', ['gus']);
      await tx.hal.query('UPDATE purse SET coins = coins + 4 WHERE account_id = $1', ['hal']);
    });
    assert.deepEqual([await coins(us, 'gus'), await coins(us, 'hal')], ['6', '4']);
  });

  test('global tables are written at the primary and joined locally in every group', async () => {
    await open('ap-south', 'jan');
    const { token } = await ap.global.write((tx) =>
      tx.query(`INSERT INTO currency VALUES ('INR', 'Rupee') ON CONFLICT DO NOTHING`),
    );
    const read = await eu.global.read(
      (tx) => tx.query<{ name: string }>(`SELECT name FROM currency WHERE code = 'INR'`),
      { token },
    );
    assert.equal(read.value.rows[0]?.name, 'Rupee');
    const deadline = Date.now() + 10_000;
    for (;;) {
      try {
        await ap
          .account('jan')
          .transaction((tx) =>
            tx.query(`UPDATE purse SET currency = 'INR' WHERE account_id = 'jan'`),
          );
        break;
      } catch (error) {
        // The copy in the account's own group follows by logical replication.
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    const joined = await ap
      .account('jan')
      .read((tx) =>
        tx.query<{ name: string }>(
          'SELECT c.name FROM purse p JOIN currency c ON c.code = p.currency',
        ),
      );
    assert.equal(joined.value.rows[0]?.name, 'Rupee');
  });

  test('the application may not write global tables in an account transaction, nor own anything', async () => {
    await open('us-east', 'kim');
    const inAccount = (text: string): Promise<unknown> =>
      us.account('kim').transaction((tx) => tx.query(text));
    await assert.rejects(inAccount(`UPDATE currency SET name = 'x'`), {
      code: 'ERR_ENGINE_PERMISSION',
    });
    await assert.rejects(inAccount('CREATE TABLE mine (id int)'), {
      code: 'ERR_ENGINE_PERMISSION',
    });
    await assert.rejects(inAccount('DROP TABLE purse'), { code: 'ERR_ENGINE_PERMISSION' });
    await assert.rejects(inAccount('UPDATE meridian.range SET epoch = 9'), {
      code: 'ERR_ENGINE_PERMISSION',
    });
    const role = await us
      .account('kim')
      .read((tx) =>
        tx.query<{ super: boolean }>(
          'SELECT rolsuper AS super FROM pg_roles WHERE rolname = current_user',
        ),
      );
    assert.equal(role.value.rows[0]?.super, false);
    await assert.rejects(
      us.account('kim').read((tx) => tx.query('DELETE FROM purse')),
      { code: 'ERR_ENGINE_READ_ONLY' },
    );
  });

  test('a route whose epoch is old is refused by the database and taken anew', async () => {
    await open('us-east', 'lea', 1);
    const before = us.control.view.groups['us-east-1']?.epoch ?? 0;
    const status = await cluster.platform.status();
    const leader = status.nodes.find((node) => node.name === 'us-east-1.a');
    assert.ok(leader?.pid);
    // The server dies and comes back in place at the next epoch, while this process may hold the old view.
    process.kill(leader.pid, 'SIGKILL');
    const two = (): Promise<unknown> =>
      us
        .account('lea')
        .transaction((tx) => tx.query('UPDATE purse SET coins = 2 WHERE account_id = $1', ['lea']));
    // Backends outlive their postmaster until they next wait: one of them may take the COMMIT along.
    // That is told as unknown, and the write may be repeated.
    await two().catch((error: unknown) => {
      if (!isMeridianError(error) || error.outcome !== 'unknown') throw error;
      return two();
    });
    assert.equal(await coins(us, 'lea'), '2');
    assert.ok((us.control.view.groups['us-east-1']?.epoch ?? 0) > before, 'the epoch rose');
    // Planted: the database moves on alone. The old route must be refused, never served.
    await cluster.sql(
      'us-east-1.a',
      `UPDATE meridian.range SET epoch = epoch + 1 WHERE name = 'r0001'`,
    );
    await assert.rejects(
      us.account('lea').transaction((tx) => tx.query('UPDATE purse SET coins = 3'), {
        retriesMax: 1,
      }),
      (error) =>
        isMeridianError(error) && /ERR_ENGINE_STALE_ROUTE/.test(error.code + error.message),
    );
    await cluster.sql(
      'us-east-1.a',
      `UPDATE meridian.range SET epoch = epoch - 1 WHERE name = 'r0001'`,
    );
    assert.equal(await coins(us, 'lea'), '2');
  });

  test('restarting the platform keeps the data and raises every epoch', async () => {
    await open('eu-west', 'mia', 7);
    const before = us.control.view.groups;
    await cluster.restart();
    const again = await cluster.connect('us-east');
    assert.equal(await coins(again, 'mia'), '7');
    for (const [name, group] of Object.entries(again.control.view.groups)) {
      assert.ok(group.epoch > (before[name]?.epoch ?? 0), `${name} has a later epoch`);
    }
    const { token } = await again
      .account('mia')
      .transaction((tx) => tx.query('UPDATE purse SET coins = 8 WHERE account_id = $1', ['mia']));
    assert.equal(await coins(again, 'mia', { token }), '8');
  });
});
