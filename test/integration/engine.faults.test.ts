/**
 * What a restarting leader, a standby and a late statement may not do, on real servers: answer before
 * the barrier, take a write, run outside its transaction, outlive the platform.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import pg from 'pg';
import { createConnector } from '../../src/engines/postgres/connector.ts';
import type { Connector, SessionTarget } from '../../src/engines/connector.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';

const LEADER = 'us-east-1.a';
const FOLLOWER = 'us-east-1.b';

describe('the postgres engine under faults', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let connector: Connector;
  const never = new AbortController().signal;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => ({ latency: 'off' }) });
    us = await cluster.connect('us-east');
    await us.createAccount({ region: 'us-east', id: 'anna' });
    await us
      .account('anna')
      .transaction((tx) => tx.query(`INSERT INTO purse (account_id, coins) VALUES ('anna', 0)`));
    connector = createConnector({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      credentials: us.control.hello.database,
      applicationName: 'fault-test',
      connectionsMax: 4,
      connectTimeoutMs: 2_000,
    });
  });
  after(async () => {
    await connector[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  const targetOn = (name: string, kind: 'write' | 'strong-read' = 'write'): SessionTarget => {
    const group = us.control.view.groups['us-east-1'];
    const node = group?.nodes.find((one) => one.name === name);
    assert.ok(group && node);
    return {
      node,
      group: group.name,
      access:
        kind === 'write'
          ? { kind, groupEpoch: group.epoch, global: false }
          : { kind, groupEpoch: group.epoch },
      scopes: [{ range: { name: 'r0001', epoch: 1 }, account: 'anna' }],
    };
  };
  const pidOf = async (name: string): Promise<number> => {
    const { nodes } = await cluster.platform.status();
    const pid = nodes.find((node) => node.name === name)?.pid;
    assert.ok(pid, `${name} runs`);
    return pid;
  };
  const coins = async (): Promise<number> => {
    const read = await us
      .account('anna')
      .read((tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'));
    return Number(read.value.rows[0]?.coins);
  };

  test('a route that takes a standby for the leader is stale, for writes and strong reads', async () => {
    for (const kind of ['write', 'strong-read'] as const) {
      const tx = await connector.begin(targetOn(FOLLOWER, kind), { signal: never });
      await assert.rejects(tx.query(0, { text: 'SELECT 1', values: [] }), {
        code: 'ERR_ENGINE_STALE_ROUTE',
      });
      await tx.rollback();
    }
  });

  test('a statement that comes while its transaction commits is refused, not run behind it', async () => {
    const tx = await connector.begin(targetOn(LEADER), { signal: never });
    await tx.query(0, { text: 'UPDATE purse SET coins = 1', values: [] });
    const committing = tx.commit();
    await assert.rejects(tx.query(0, { text: 'UPDATE r0001.purse SET coins = 99', values: [] }), {
      code: 'ERR_TRANSACTION_CLOSED',
    });
    await committing;
    assert.equal(await coins(), 1);
  });

  test('a failure behind a finished COMMIT is an unknown outcome, never one to run again', async () => {
    const tx = await connector.begin(targetOn(LEADER), { signal: never });
    // The position is asked for after COMMIT; this makes that statement alone fail with 55P03, which
    // before COMMIT would mean: run it again.
    await tx.query(0, { text: `SET lock_timeout = '50ms'`, values: [] });
    await tx.query(0, { text: 'UPDATE purse SET coins = coins + 1', values: [] });
    const before = await coins();
    const locked = cluster.sql(
      LEADER,
      `BEGIN; LOCK TABLE meridian.group_state; SELECT pg_sleep(0.5); COMMIT`,
    );
    // It waits behind the transaction's own lock, and gets it the moment that ends.
    const deadline = Date.now() + 5_000;
    for (let waiting = 0; waiting === 0 && Date.now() < deadline;) {
      const rows = await cluster.sql(
        LEADER,
        `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'meridian.group_state'::regclass`,
      );
      waiting = rows.length;
    }
    await assert.rejects(tx.commit(), { code: 'ERR_ENGINE_COMMIT_UNKNOWN', outcome: 'unknown' });
    await tx.rollback();
    await locked;
    assert.equal(await coins(), before + 1);
  });

  test('a leader that came back lets no client in before its barrier, whatever epoch it knows', async () => {
    const receivers = await Promise.all(
      [FOLLOWER, 'us-east-1.c'].map((name) =>
        cluster.sql<{ pid: number }>(name, 'SELECT pid FROM pg_stat_wal_receiver'),
      ),
    );
    const followers = [await pidOf(FOLLOWER), await pidOf('us-east-1.c')];
    const held = [...followers, ...receivers.flat().map((row) => row.pid)];
    const { address } = targetOn(LEADER).node;
    for (const pid of held) process.kill(pid, 'SIGSTOP');
    try {
      process.kill(await pidOf(LEADER), 'SIGKILL');
      // Up again, but with nobody to confirm its next epoch.
      const asApplication = async (): Promise<string> => {
        const client = new pg.Client({ ...address, ...us.control.hello.database });
        client.on('error', () => {});
        try {
          await client.connect();
          return 'let in';
        } catch (error) {
          return String((error as { code?: unknown }).code);
        } finally {
          await client.end().catch(() => {});
        }
      };
      const seen = new Set<string>();
      const deadline = Date.now() + 5_000;
      while (!seen.has('28000') && !seen.has('let in') && Date.now() < deadline) {
        seen.add(await asApplication());
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.ok(seen.has('28000'), `refused: ${[...seen].join(', ')}`);
      assert.ok(!seen.has('let in'));
    } finally {
      for (const pid of held) process.kill(pid, 'SIGCONT');
    }
    assert.equal(await coins(), 2);
  });

  test('a stop in the middle of a restart leaves no server behind', async () => {
    const before = new Set<number>();
    const { nodes } = await cluster.platform.status();
    for (const { pid } of nodes) if (pid !== null) before.add(pid);
    process.kill(await pidOf('ap-south-1.a'), 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 15));
    await cluster.restart();
    us = await cluster.connect('us-east');
    const after = (await cluster.platform.status()).nodes.map((node) => node.pid);
    assert.equal(after.filter((pid) => pid === null || before.has(pid)).length, 0);
    assert.equal(await coins(), 2);
  });
});
