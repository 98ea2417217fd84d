/**
 * Time limits and cancellation of transactions, on real servers: which error each phase gives, and that
 * nothing of a limit stays on the connection.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { postgres } from '../../src/config/parts.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';

const LEADER = 'us-east-1.a';

describe('limits of a transaction', () => {
  let cluster: TestPlatform;
  let us: TestClient;

  before(async () => {
    cluster = await startTestPlatform({
      changes: () => ({ latency: 'off', engine: postgres({ fsync: false }) }),
    });
    us = await cluster.connect('us-east', {
      limits: { connectionsPerNodeMax: 1, connectTimeoutMs: 150 },
    });
    await us.createAccount({ region: 'us-east', id: 'anna' });
    await run(`INSERT INTO purse (account_id, coins) VALUES ('anna', 1)`);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const run = (text: string, options = {}): Promise<readonly object[]> =>
    us
      .account('anna')
      .transaction((tx) => tx.query(text), options)
      .then((done) => done.value.rows);

  /** Holds the row's lock past everything, until it is let go. */
  const lockRow = async (): Promise<() => Promise<void>> => {
    const locking = cluster.sql(
      LEADER,
      `SELECT pg_sleep(20) FROM (SELECT * FROM r0001.purse FOR UPDATE) held`,
    );
    locking.catch(() => undefined);
    const found = async (): Promise<number | undefined> => {
      const rows = await cluster.sql<{ pid: number }>(
        LEADER,
        `SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid)
         WHERE a.wait_event = 'PgSleep' AND l.mode = 'RowShareLock'`,
      );
      return rows[0]?.pid;
    };
    const deadline = Date.now() + 5_000;
    let pid = await found();
    while (pid === undefined && Date.now() < deadline) pid = await found();
    return async () => {
      await cluster.sql(LEADER, 'SELECT pg_terminate_backend($1)', [pid]);
      await locking.catch(() => undefined);
    };
  };

  test('a statement that takes too long has an error of its own, and the next user no limit', async () => {
    const startedAt = performance.now();
    await assert.rejects(run('SELECT pg_sleep(20)', { statementTimeoutMs: 50 }), {
      code: 'ERR_STATEMENT_TIMEOUT',
      outcome: 'none',
    });
    assert.ok(performance.now() - startedAt < 5_000);
    assert.deepEqual(await run(`SELECT current_setting('statement_timeout') AS s`), [{ s: '0' }]);
    const read = us.account('anna').read((tx) => tx.query('SELECT pg_sleep(20)'), {
      statementTimeoutMs: 50,
    });
    await assert.rejects(read, { code: 'ERR_STATEMENT_TIMEOUT' });
  });

  test('a lock that is not free in time has another, and is not waited for again', async () => {
    const release = await lockRow();
    try {
      const before = us.counters().retries;
      await assert.rejects(run('UPDATE purse SET coins = 2', { lockTimeoutMs: 50 }), {
        code: 'ERR_LOCK_TIMEOUT',
      });
      assert.deepEqual(us.counters().retries, before);
    } finally {
      await release();
    }
    await run('UPDATE purse SET coins = 3', { lockTimeoutMs: 50, statementTimeoutMs: 5_000 });
  });

  test('a limit that is no whole number of milliseconds is refused', async () => {
    for (const value of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
      await assert.rejects(run('SELECT 1', { statementTimeoutMs: value }), RangeError);
      await assert.rejects(run('SELECT 1', { lockTimeoutMs: value }), RangeError);
    }
  });

  test('cancelled while a statement runs: the lock is free soon after', async () => {
    const giveUp = new AbortController();
    const running = us.account('anna').transaction(
      async (tx) => {
        await tx.query('UPDATE purse SET coins = 50');
        setTimeout(() => {
          giveUp.abort();
        }, 50);
        await tx.query('SELECT pg_sleep(20)');
      },
      { signal: giveUp.signal },
    );
    await assert.rejects(running, { code: 'ERR_ABORTED', outcome: 'none' });
    await run('UPDATE purse SET coins = coins', { timeoutMs: 5_000 });
    assert.deepEqual(await run('SELECT coins FROM purse'), [{ coins: '3' }]);
  });

  test('cancelled between two statements, and before the commit: nothing is written', async () => {
    for (const last of ['SELECT 1', undefined]) {
      const giveUp = new AbortController();
      const running = us.account('anna').transaction(
        async (tx) => {
          await tx.query('UPDATE purse SET coins = 60');
          giveUp.abort();
          if (last !== undefined) await tx.query(last);
        },
        { signal: giveUp.signal },
      );
      await assert.rejects(running, { code: 'ERR_ABORTED', outcome: 'none' });
      assert.deepEqual(await run('SELECT coins FROM purse'), [{ coins: '3' }]);
    }
  });

  test('cancelled while it waits for a connection; waiting too long is an overload', async () => {
    let letGo = (): void => {};
    const held = us.account('anna').transaction(async (tx) => {
      await tx.query('SELECT 1');
      await new Promise<void>((resolve) => (letGo = resolve));
    });
    try {
      const giveUp = new AbortController();
      const waiting = run('SELECT 1', { signal: giveUp.signal });
      setTimeout(() => {
        giveUp.abort();
      }, 20);
      await assert.rejects(waiting, { code: 'ERR_ABORTED' });
      await assert.rejects(run('SELECT 1', { retriesMax: 0 }), (error) => {
        assert.ok(isMeridianError(error, 'ERR_RETRIES_EXHAUSTED'), String(error));
        assert.equal(error.details['lastCode'], 'ERR_ENGINE_OVERLOADED');
        return true;
      });
    } finally {
      letGo();
      await held;
    }
    await run('SELECT 1');
  });
});
