/**
 * What a client may believe after COMMIT. A proxy in the test's own process stands between the client
 * and the real leader, and cuts or holds the connection at the moment that matters.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect as dial, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createConnector } from '../../src/engines/postgres/connector.ts';
import type { Connector, SessionTarget, SessionTransaction } from '../../src/engines/connector.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import type { RoutedNode } from '../../src/topology/routing.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';

type Trap = (chunk: Buffer, pair: { client: Socket; server: Socket }) => 'forward' | 'swallow';

/** Forwards to the leader; the trap sees what the client sends. */
function startProxy(port: number): { server: Server; setTrap(trap: Trap): void } {
  let trap: Trap = () => 'forward';
  const server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    client.on('data', (chunk: Buffer) => {
      if (trap(chunk, { client, server: upstream }) === 'forward') upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('close', end);
      socket.on('error', end);
    }
  });
  return {
    server,
    setTrap: (next) => {
      trap = next;
    },
  };
}

describe('the end of a transaction', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let proxy: ReturnType<typeof startProxy>;
  let connector: Connector;
  let target: SessionTarget;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => ({ latency: 'off' }) });
    us = await cluster.connect('us-east');
    await us.createAccount({ region: 'us-east', id: 'anna' });
    await us
      .account('anna')
      .transaction((tx) => tx.query(`INSERT INTO purse (account_id, coins) VALUES ('anna', 0)`));
    const group = us.control.view.groups['us-east-1'];
    const leader = group?.nodes.find((node) => node.name === group.leader);
    assert.ok(group && leader);
    proxy = startProxy(leader.address.port);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    const port = (proxy.server.address() as AddressInfo).port;
    const node: RoutedNode = { ...leader, address: { host: '127.0.0.1', port } };
    target = {
      node,
      group: group.name,
      access: { kind: 'write', groupEpoch: group.epoch, global: false },
      scopes: [{ range: { name: 'r0001', epoch: 1 }, account: 'anna' }],
    };
    connector = createConnector({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      credentials: us.control.hello.database,
      applicationName: 'commit-test',
      connectionsMax: 4,
      connectTimeoutMs: 2_000,
    });
  });
  after(async () => {
    await connector[Symbol.asyncDispose]();
    proxy.server.close();
    await cluster[Symbol.asyncDispose]();
  });

  const never = new AbortController().signal;
  const begin = async (coins: number, signal = never): Promise<SessionTransaction> => {
    const tx = await connector.begin(target, { signal });
    await tx.query(0, { text: 'UPDATE purse SET coins = $1', values: [coins] });
    return tx;
  };
  const coins = async (): Promise<number> => {
    const { value } = await us
      .account('anna')
      .read((tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'));
    return Number(value.rows[0]?.coins);
  };
  const isCommit = (chunk: Buffer): boolean => chunk.includes('COMMIT');

  test('a connection cut before COMMIT arrived: unknown, and not committed', async () => {
    const tx = await begin(1);
    proxy.setTrap((chunk, { client }) => {
      if (!isCommit(chunk)) return 'forward';
      client.destroy();
      return 'swallow';
    });
    await assert.rejects(tx.commit(), { code: 'ERR_ENGINE_COMMIT_UNKNOWN', outcome: 'unknown' });
    await tx.rollback();
    proxy.setTrap(() => 'forward');
    assert.equal(await coins(), 0);
  });

  test('a connection cut after COMMIT arrived: unknown too, and committed', async () => {
    const tx = await begin(2);
    proxy.setTrap((chunk, { client, server }) => {
      if (!isCommit(chunk)) return 'forward';
      server.write(chunk);
      client.destroy();
      // The server is given time to act before its end of the connection goes as well.
      server.removeAllListeners('close');
      return 'swallow';
    });
    await assert.rejects(tx.commit(), { code: 'ERR_ENGINE_COMMIT_UNKNOWN', outcome: 'unknown' });
    await tx.rollback();
    proxy.setTrap(() => 'forward');
    const deadline = Date.now() + 3_000;
    while ((await coins()) !== 2 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(await coins(), 2);
  });

  test('a deadline that strikes while COMMIT is under way: unknown, never success', async () => {
    const giveUp = new AbortController();
    const tx = await begin(3, giveUp.signal);
    proxy.setTrap((chunk) => {
      if (!isCommit(chunk)) return 'forward';
      setImmediate(() => {
        giveUp.abort();
      });
      return 'swallow';
    });
    await assert.rejects(tx.commit(), { code: 'ERR_ENGINE_COMMIT_UNKNOWN', outcome: 'unknown' });
    await tx.rollback();
    proxy.setTrap(() => 'forward');
  });

  test('a wait for the quorum that is cancelled is answered as success by the server: unknown here', async () => {
    const before = await coins();
    // Both voting standbys stop receiving: commits wait for a quorum that does not come.
    const voters = ['us-east-1.b', 'us-east-1.c'];
    const { nodes } = await cluster.platform.status();
    const pids = voters.map((name) => nodes.find((node) => node.name === name)?.pid ?? 0);
    const receivers = await Promise.all(
      voters.map((name) =>
        cluster.sql<{ pid: number }>(name, 'SELECT pid FROM pg_stat_wal_receiver'),
      ),
    );
    const stopped = receivers.flat().map((row) => row.pid);
    assert.equal(stopped.length, pids.length);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      const tx = await begin(before + 10);
      const committing = tx.commit();
      committing.catch(() => {});
      const deadline = Date.now() + 5_000;
      let cancelled = 0;
      while (cancelled === 0 && Date.now() < deadline) {
        const rows = await cluster.sql<{ done: boolean }>(
          'us-east-1.a',
          `SELECT pg_cancel_backend(pid) AS done FROM pg_stat_activity
           WHERE wait_event = 'SyncRep' AND application_name = 'commit-test'`,
        );
        cancelled = rows.length;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.equal(cancelled, 1, 'the commit waited for the quorum');
      await assert.rejects(committing, {
        code: 'ERR_ENGINE_COMMIT_UNKNOWN',
        outcome: 'unknown',
      });
      await tx.rollback();
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
  });

  test('a session that lowers synchronous_commit still commits by quorum', async () => {
    const tx = await connector.begin(target, { signal: never });
    await tx.query(0, { text: 'SET synchronous_commit = off', values: [] });
    await tx.query(0, { text: 'UPDATE purse SET coins = coins + 1', values: [] });
    let closing = '';
    proxy.setTrap((chunk) => {
      if (isCommit(chunk)) closing = chunk.toString('latin1');
      return 'forward';
    });
    await tx.commit();
    proxy.setTrap(() => 'forward');
    assert.match(closing, /SET LOCAL synchronous_commit = on; COMMIT/);
  });

  test('a statement after the end is refused', async () => {
    const tx = await begin(5);
    await tx.commit();
    await assert.rejects(tx.query(0, { text: 'SELECT 1', values: [] }), {
      code: 'ERR_TRANSACTION_CLOSED',
    });
  });

  test('an opening that is refused runs nothing of the statement behind it', async () => {
    const before = await coins();
    const stale: SessionTarget = {
      ...target,
      access: { kind: 'write', groupEpoch: 999, global: false },
    };
    const tx = await connector.begin(stale, { signal: never });
    await assert.rejects(tx.query(0, { text: 'UPDATE purse SET coins = 77', values: [] }), {
      code: 'ERR_ENGINE_STALE_ROUTE',
    });
    await assert.rejects(tx.commit(), { code: 'ERR_ENGINE_STALE_ROUTE' });
    await tx.rollback();
    assert.equal(await coins(), before);
  });
});
