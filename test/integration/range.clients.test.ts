/**
 * What applications see of a range that moves: their calls wait and go on, what they were told holds in the
 * new region, and no reader with an old route is shown what was before.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { startFeedRelay } from '../../src/verify/feed-relay.ts';
import type { CreatedAccount } from '../../src/client/api.ts';
import { regional } from '../../src/topology/locality.ts';
import {
  startTestPlatform,
  TABLES,
  type TestClient,
  type TestPlatform,
} from '../support/cluster.ts';

const SCHEMA = {
  'database/0001_currency.sql':
    'CREATE TABLE currency (code text PRIMARY KEY, name text NOT NULL);',
  'regional/0001_purse.sql': `
CREATE TABLE kind (account_id text NOT NULL, code text, PRIMARY KEY (account_id, code));
INSERT INTO kind VALUES ('nobody', 'made by the migration');
CREATE TABLE purse (
  account_id text PRIMARY KEY,
  coins bigint NOT NULL CHECK (coins >= 0),
  currency text REFERENCES currency
);
CREATE TABLE note (
  account_id text, id bigint GENERATED ALWAYS AS IDENTITY, body text, PRIMARY KEY (account_id, id));`,
} as const;

const note = 'INSERT INTO note (account_id, body) VALUES ($1, $2) RETURNING id';

describe('applications', () => {
  let cluster: TestPlatform;
  let home: TestClient;
  let far: TestClient;
  let anna: CreatedAccount;

  before(async () => {
    cluster = await startTestPlatform({
      schema: SCHEMA,
      changes: () => ({
        rangesPerRegion: 2,
        tables: { ...TABLES, kind: regional({ by: 'account_id' }) },
      }),
    });
    home = await cluster.connect('us-east');
    far = await cluster.connect('ap-south');
    await home.global.write((tx) => tx.query(`INSERT INTO currency VALUES ('EUR', 'euro')`));
    anna = await home.createAccount({ region: 'us-east', id: 'anna' });
    await home
      .account('anna')
      .transaction((tx) => tx.query(`INSERT INTO purse VALUES ('anna', 0, 'EUR')`));
  });
  after(() => cluster[Symbol.asyncDispose]());

  const move = async (to: string): Promise<void> => {
    await cluster.platform.operate({ kind: 'move', range: anna.home.range, to });
  };
  const add = (client: TestClient): Promise<{ token: string }> =>
    client.account('anna').transaction((tx) => tx.query('UPDATE purse SET coins = coins + 1'));
  const coins = async (client: TestClient, token: string, staleness?: number): Promise<number> => {
    const { value } = await client
      .account('anna')
      .read((tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'), {
        ...{ token },
        ...(staleness === undefined ? {} : { staleness }),
      });
    return Number(value.rows[0]?.coins);
  };

  test('write and read on through the move, each their own writes, from both ends of the world', async () => {
    const stop = new AbortController();
    let done = 0;
    let longestMs = 0;
    const keys: string[] = [];
    const loop = async (writer: TestClient, reader: TestClient, name: string): Promise<void> => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const startedMs = performance.now();
        const key = `${name}-${String(n)}`;
        const { value, token } = await writer.account('anna').transaction(
          async (tx) => {
            await tx.query('UPDATE purse SET coins = coins + 1');
            await tx.query(note, ['anna', key]);
            return tx
              .query<{ coins: string }>('SELECT coins FROM purse')
              .then(({ rows }) => Number(rows[0]?.coins));
          },
          { idempotency: { key, fingerprint: key }, retriesMax: 50 },
        );
        longestMs = Math.max(longestMs, performance.now() - startedMs);
        done += 1;
        keys.push(key);
        assert.ok((await coins(reader, token)) >= value, 'its own write is read');
      }
    };
    const loops = [loop(home, far, 'home'), loop(far, home, 'far')];
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await move('ap-south');
    const inBetween = done;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    stop.abort();
    await Promise.all(loops);
    assert.ok(inBetween > 0 && done > inBetween, 'written before and after');
    process.stderr.write(`${String(done)} writes, the longest took ${longestMs.toFixed(0)} ms\n`);
    const { token } = await add(far);
    assert.equal(await coins(home, token), done + 1);
    const { homeRegion } = await far.locate('anna');
    assert.equal(homeRegion, 'ap-south');
    // Keys went along: what was done before the move is not done again after it.
    const again = await far.account('anna').transaction(
      async (tx) => {
        await tx.query('SELECT coins FROM purse');
        throw new Error('its first statement tells that the key has been used');
      },
      { idempotency: { key: keys[0] ?? '', fingerprint: keys[0] ?? '' } },
    );
    assert.equal(again.replayed, true);
    // Sequences went along, and the rows that a migration makes are there once.
    const { value } = await far.account('anna').transaction(async (tx) => {
      const { rows } = await tx.query<{ id: string }>(note, ['anna', 'last']);
      const { rows: all } = await tx.query<{ id: string }>('SELECT id FROM note');
      return { last: Number(rows[0]?.id), all: all.map(({ id }) => Number(id)) };
    });
    assert.equal(new Set(value.all).size, done + 1);
    assert.equal(value.last, Math.max(...value.all));
    const leader = (await cluster.platform.status()).groups.find(
      ({ name }) => name === 'ap-south-1',
    );
    const made = await cluster.sql<{ n: string }>(
      leader?.leader ?? '',
      `SELECT count(*) AS n FROM ${anna.home.range}.kind`,
    );
    assert.equal(made[0]?.n, '1');
  });

  const rehome = async (to: string): Promise<void> => {
    await cluster.platform.operate({ kind: 'rehome', accounts: ['anna'], to });
  };

  /** Its former replica in Europe, where the reader is, has not heard of it yet. */
  const notShownWhatWasBefore = async (leave: () => Promise<void>): Promise<void> => {
    const relay = await startFeedRelay(cluster.platform.env['MERIDIAN_CONTROL_URL'] ?? '');
    const reader = await cluster.connect('eu-west', { controlUrl: relay.url });
    const before = await coins(reader, (await add(home)).token);
    const replica = 'us-east-1.eu-west';
    await cluster.sql(replica, 'SELECT pg_wal_replay_pause()');
    const release = relay.hold();
    const resume = async (): Promise<void> => {
      // The log that it has to replay may end the statement that lets it.
      await cluster.sql(replica, 'SELECT pg_wal_replay_resume()').catch(() => {});
    };
    try {
      await leave();
      const { token } = await add(far);
      const reading = coins(reader, token);
      const early = await Promise.race([
        reading,
        new Promise<void>((resolve) => setTimeout(resolve, 1_500)),
      ]);
      assert.equal(early, undefined, 'nobody who may answer knows yet');
      release();
      assert.equal(await reading, before + 1);
    } finally {
      release();
      await resume();
      await relay[Symbol.asyncDispose]();
    }
  };

  test('with an old route and a late replica are not shown what was before', async () => {
    await move('us-east');
    await notShownWhatWasBefore(() => move('ap-south'));
  });

  test('nor what was before an account was re-homed', async () => {
    await move('us-east');
    await notShownWhatWasBefore(() => rehome('ap-south'));
    await rehome('us-east');
    await add(home);
    await rehome('ap-south');
  });

  test('find the range where it is after a restart', async () => {
    await cluster.restart();
    home = await cluster.connect('us-east');
    far = await cluster.connect('ap-south');
    assert.equal((await home.locate('anna')).homeRegion, 'ap-south');
    const { token } = await add(home);
    assert.ok((await coins(far, token)) > 0);
    const status = await cluster.platform.status();
    const { range } = await home.locate('anna', { fresh: true });
    const holder = status.groups.find(({ ranges }) => ranges.includes(range));
    assert.equal(holder?.name, 'ap-south-1');
  });
});
