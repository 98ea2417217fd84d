/**
 * Clients while leaders die, hang and are cut off: what happened is told once and truly, and everything
 * else waits for the next leader within the time of its call.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { isMeridianError, type MeridianError } from '../../src/kernel/errors.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { freeze, pidOf } from '../support/node-signals.ts';
import { clientBy, startRelay, type Relay } from '../support/relay.ts';

const GROUP = 'us-east-1';
const LEADER = 'us-east-1.a';
const REPLICA = 'us-east-1.ap-south';
const ADD = 'UPDATE purse SET coins = coins + 1 WHERE account_id = $1';
/** Longer than any restart on a busy machine. */
const PATIENT = { timeoutMs: 60_000 };

describe('clients through the loss of a leader', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let ap: TestClient;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => ({ latency: 'off' }) });
    us = await cluster.connect('us-east');
    ap = await cluster.connect('ap-south');
  });
  after(() => cluster[Symbol.asyncDispose]());

  const open = async (id: string, region = 'us-east'): Promise<string> => {
    await us.createAccount({ region, id });
    await us
      .account(id)
      .transaction((tx) => tx.query('INSERT INTO purse (account_id, coins) VALUES ($1, 0)', [id]));
    return id;
  };
  const coins = async (id: string): Promise<number> => {
    const read = await us
      .account(id)
      .read((tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'), PATIENT);
    return Number(read.value.rows[0]?.coins);
  };
  const epoch = (client = us): number => client.control.view.groups[GROUP]?.epoch ?? 0;
  const kill = async (name = us.control.view.groups[GROUP]?.leader ?? ''): Promise<void> => {
    process.kill(await pidOf(cluster, name), 'SIGKILL');
  };
  const reopened = async (before: number): Promise<void> => {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const { version, groups } = us.control.view;
      const group = groups[GROUP];
      if (group !== undefined && group.epoch > before && group.leader !== undefined) return;
      await us.control.newerThan(version, AbortSignal.timeout(deadline - Date.now()));
    }
  };

  test('50 callers across a kill of the leader: nothing fails, keyed ones happen exactly once', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, (_, n) => open(`many-${String(n)}`)));
    const before = epoch();
    const failures: MeridianError[] = [];
    let running = true;
    const worker = async (id: string, n: number): Promise<{ acked: number; unknown: number }> => {
      const done = { acked: 0, unknown: 0 };
      for (let round = 0; running || round === 0; round += 1) {
        const idempotency = n % 2 === 0 ? { key: `${id}-${String(round)}` } : undefined;
        try {
          await us
            .account(id)
            .transaction((tx) => tx.query(ADD, [id]), { ...PATIENT, idempotency });
          done.acked += 1;
        } catch (error) {
          assert.ok(isMeridianError(error), String(error));
          if (error.outcome === 'unknown' && idempotency === undefined) done.unknown += 1;
          else failures.push(error);
        }
      }
      return done;
    };
    const working = Promise.all(ids.map(worker));
    try {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await kill();
      await reopened(before);
    } finally {
      running = false;
    }
    const done = await working;
    assert.deepEqual(failures, []);
    const seen = await Promise.all(ids.map(coins));
    seen.forEach((count, n) => {
      const { acked, unknown } = done[n] ?? { acked: -1, unknown: 0 };
      const possible = n % 2 === 0 ? count === acked : count >= acked && count <= acked + unknown;
      assert.ok(possible, `${String(n)}: ${String(count)} of ${JSON.stringify(done[n])}`);
    });
    assert.ok((us.counters().retries['ERR_ENGINE_UNAVAILABLE'] ?? 0) > 0, 'the kill hit somebody');
  });

  test('transfers between groups across a kill: all or nothing, each keyed one once', async () => {
    const [from, to] = [await open('from'), await open('to', 'eu-west')];
    await us
      .account(from)
      .transaction((tx) => tx.query('UPDATE purse SET coins = 100 WHERE account_id = $1', [from]));
    const before = epoch();
    let transfers = 0;
    let running = true;
    const worker = async (n: number): Promise<void> => {
      for (let round = 0; running || round === 0; round += 1) {
        await us.transaction(
          [from, to],
          async (tx) => {
            await tx[from]?.query('UPDATE purse SET coins = coins - 1 WHERE account_id = $1', [
              from,
            ]);
            await tx[to]?.query(ADD, [to]);
          },
          { ...PATIENT, idempotency: { key: `transfer-${String(n)}-${String(round)}` } },
        );
        transfers += 1;
        if (transfers >= 90) running = false;
      }
    };
    const working = Promise.all([1, 2, 3, 4].map(worker));
    try {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await kill();
      await reopened(before);
    } finally {
      running = false;
    }
    await working;
    assert.deepEqual([await coins(from), await coins(to)], [100 - transfers, transfers]);
  });

  test('a leader that hangs for a while: callers wait, and none fails', async () => {
    const id = await open('hung');
    const thaw = await freeze(cluster, LEADER);
    try {
      const waiting = Promise.all(
        Array.from({ length: 10 }, () =>
          us.account(id).transaction((tx) => tx.query(ADD, [id]), PATIENT),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 500));
      thaw();
      await waiting;
    } finally {
      thaw();
    }
    assert.equal(await coins(id), 10);
  });

  describe('with no leader at all', () => {
    test('calls wait until their deadline, and say what they waited for', async () => {
      const id = await open('nobody');
      const before = epoch();
      const leaving = await cluster.connect('us-east');
      await leaving.locate(id);
      const thaws = [await freeze(cluster, 'us-east-1.b'), await freeze(cluster, 'us-east-1.c')];
      const refused = (call: Promise<unknown>): Promise<void> =>
        assert.rejects(call, (error) => {
          assert.ok(isMeridianError(error, 'ERR_DEADLINE_EXCEEDED'), String(error));
          assert.equal(error.outcome, 'none');
          assert.equal(error.retry, 'backoff');
          assert.match(String(error.details['lastCode']), /^ERR_ENGINE_/);
          return true;
        });
      try {
        await kill();
        const closed = Date.now() + 20_000;
        while (us.control.view.groups[GROUP]?.leader !== undefined && Date.now() < closed) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        const short = { timeoutMs: 1_000 };
        await Promise.all([
          refused(us.account(id).transaction((tx) => tx.query(ADD, [id]), short)),
          refused(us.account(id).read((tx) => tx.query('SELECT 1'), short)),
          refused(us.global.write((tx) => tx.query('SELECT 1'), short)),
          refused(us.global.read((tx) => tx.query('SELECT 1'), short)),
          refused(us.createAccount({ region: 'eu-west', id: 'never', ...short })),
        ]);
        // Replicas need no leader, and a strong read of another group none of this one.
        const replica = await ap
          .account(id)
          .read((tx) => tx.query('SELECT 1'), { staleness: 600_000, ...PATIENT });
        assert.equal(replica.node, REPLICA);
        // Of a client that is closed meanwhile, calls end; they do not try again for ever.
        const left = [
          assert.rejects(leaving.account(id).transaction((tx) => tx.query(ADD, [id]), PATIENT)),
          assert.rejects(leaving.account(id).read((tx) => tx.query('SELECT 1'), PATIENT)),
        ];
        await new Promise((resolve) => setTimeout(resolve, 200));
        await leaving.close();
        await Promise.all(left);
        const patient = us.account(id).transaction((tx) => tx.query(ADD, [id]), PATIENT);
        const created = us.createAccount({ region: 'eu-west', id: 'later', ...PATIENT });
        for (const thaw of thaws) thaw();
        await Promise.all([patient, created]);
      } finally {
        for (const thaw of thaws) thaw();
      }
      await reopened(before);
      assert.equal(await coins(id), 1);
      assert.equal((await us.locate('later', { fresh: true })).homeRegion, 'eu-west');
      await assert.rejects(us.locate('never', { fresh: true }), { code: 'ERR_ACCOUNT_NOT_FOUND' });
    });
  });

  describe('cut off from a leader that has been replaced', () => {
    let relay: Relay;
    let client: TestClient;
    let before: number;
    const start = async (): Promise<void> => {
      before = epoch();
      const node = us.control.view.groups[GROUP]?.nodes.find(({ name }) => name === LEADER);
      assert.ok(node);
      relay = await startRelay(node.address);
      // The next leader is reached directly, the former one never again.
      client = clientBy(us, (group, name) =>
        group.name === GROUP && name === LEADER && group.epoch === before
          ? relay.address
          : undefined,
      );
    };
    const end = async (): Promise<void> => {
      await client.close();
      await relay[Symbol.asyncDispose]();
    };

    test('a statement under way fails at once, and the function runs at the next leader', async () => {
      const id = await open('stalled');
      await start();
      try {
        await client.account(id).transaction((tx) => tx.query(ADD, [id]));
        let hangs = (): void => {};
        const hanging = new Promise<void>((resolve) => (hangs = resolve));
        const attempts: number[] = [];
        const call = client.account(id).transaction(async (tx) => {
          attempts.push(tx.attempt);
          await tx.query('SELECT 1');
          if (tx.attempt === 1) relay.stall(hangs);
          await tx.query(ADD, [id]);
        }, PATIENT);
        await hanging;
        // More than there are connections: some wait in line, some connect.
        const others = Array.from({ length: 8 }, () =>
          client.account(id).transaction((tx) => tx.query(ADD, [id]), PATIENT),
        );
        await kill();
        await Promise.all([call, ...others]);
        assert.ok(attempts.length >= 2);
        assert.ok(relay.dialled > 0, 'some were connecting');
        assert.equal(await coins(id), 10);
      } finally {
        await end();
      }
    });

    test('a commit under way is unknown at once; with a key the next leader is asked', async () => {
      const id = await open('unknown');
      await start();
      try {
        const committing = new Set<string>();
        let hang = (): void => {};
        const hanging = new Promise<void>((resolve) => (hang = resolve));
        const call = (key?: string): Promise<unknown> =>
          client.account(id).transaction(
            async (tx) => {
              await tx.query('SELECT 1');
              if (tx.attempt > 1) return;
              committing.add(key ?? '');
              if (committing.size < 2) await hanging;
              // Both are about to commit: nothing of that arrives.
              else {
                relay.stall();
                hang();
              }
            },
            { ...PATIENT, ...(key === undefined ? {} : { idempotency: { key } }) },
          );
        const [keyed, plain] = [call('stalled-commit'), call()];
        plain.catch(() => {});
        await hanging;
        await kill();
        const startedAt = performance.now();
        await assert.rejects(plain, { code: 'ERR_ENGINE_COMMIT_UNKNOWN', outcome: 'unknown' });
        await keyed;
        assert.ok(performance.now() - startedAt < PATIENT.timeoutMs / 2);
        const again = await us.account(id).transaction(() => Promise.resolve(), {
          idempotency: { key: 'stalled-commit' },
        });
        assert.equal(again.replayed, true);
      } finally {
        await end();
      }
    });
  });

  test('tokens keep their meaning: of an earlier epoch, every replica includes them later', async () => {
    const id = await open('token');
    const { token } = await us.account(id).transaction((tx) => tx.query(ADD, [id]));
    const before = epoch();
    await kill();
    await reopened(before);
    const read = await ap
      .account(id)
      .read((tx) => tx.query<{ coins: string }>('SELECT coins FROM purse'), {
        token,
        ...PATIENT,
      });
    assert.equal(read.value.rows[0]?.coins, '1');
  });
});
