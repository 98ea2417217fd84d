/**
 * Idempotency keys on real servers: one effect and one answer for each key, whatever happens to the
 * connections, the app servers and the answers. A proxy in the test's own process stands between a
 * client and the leader, and cuts it off at the moment that matters; what truly happened is read past
 * everything, in the bank's journal.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Committed, Transaction } from '../../src/client/api.ts';
import { ANSWER_BYTES_MAX } from '../../src/client/idempotency.ts';
import { startBank, until, type Bank } from '../support/bank.ts';
import { moment } from '../support/gateway-rig.ts';
import type { TestClient } from '../support/cluster.ts';
import { FORWARD, trappedClient, type Trapped } from '../support/trapped-client.ts';

const isCommit = (chunk: Buffer): boolean => chunk.includes('synchronous_commit = on; COMMIT');

describe('idempotency keys', () => {
  let bank: Bank;
  let us: TestClient;
  let trapped: Trapped;

  before(async () => {
    bank = await startBank();
    us = bank.clients.get('us-east') as TestClient;
    for (const [region, id] of [
      ['us-east', 'anna'],
      ['us-east', 'bert'],
      ['eu-west', 'emil'],
    ] as const) {
      const opened = await bank.open('us-east', { region, id });
      assert.equal(opened.status, 201, JSON.stringify(opened.json));
    }
    trapped = await trappedClient(us);
  });
  after(async () => {
    await trapped[Symbol.asyncDispose]();
    await bank[Symbol.asyncDispose]();
  });

  /** Journals one entry; answers with what no second run would. */
  const journal =
    (account: string, requestId: string, ran: string[] = []) =>
    async (tx: Transaction): Promise<{ entry: string; run: number }> => {
      ran.push(requestId);
      const { rows } = await tx.query<{ id: string }>(
        `INSERT INTO entry (account_id, request_id, kind, savings_delta, checking_delta)
         VALUES ($1, $2, 'deposit-checking', 0, 0) RETURNING entry_id::text AS id`,
        [account, requestId],
      );
      return { entry: String(rows[0]?.id), run: ran.length };
    };
  const times = async (requestId: string, region = 'us-east'): Promise<number> => {
    const entries = await bank.entries(region, '%');
    return entries.filter((one) => one.requestId === requestId).length;
  };
  const keyed = (key: string, more = {}): { idempotency: { key: string } } => ({
    idempotency: { key, ...more },
  });

  test('fifty at once with one key: one effect and one answer', async () => {
    const ran: string[] = [];
    const clients = [us, trapped.client];
    const done = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        (clients[i % 2] as TestClient)
          .account('anna')
          .transaction(journal('anna', 'fifty', ran), keyed('fifty')),
      ),
    );
    assert.equal(await times('fifty'), 1);
    assert.equal(new Set(done.map((one) => one.value.entry)).size, 1);
    assert.equal(done.filter((one) => !one.replayed).length, 1);
  });

  test('a replay does not run the function, and its token includes the write', async () => {
    const ran: string[] = [];
    const first = await us
      .account('anna')
      .transaction(journal('anna', 'twice', ran), keyed('twice'));
    const again = await us
      .account('anna')
      .transaction((tx) => journal('anna', 'other', ran)(tx), keyed('twice'));
    assert.deepEqual(again.value, first.value);
    assert.deepEqual([first.replayed, again.replayed], [false, true]);
    assert.equal(await times('other'), 0);
    const ap = bank.clients.get('ap-south') as TestClient;
    const seen = await ap
      .account('anna')
      .read(
        (tx) => tx.query(`SELECT 1 FROM entry WHERE account_id = 'anna' AND request_id = 'twice'`),
        { token: again.token },
      );
    assert.equal(seen.value.rowCount, 1);
  });

  test('the same key is another one for another account, in one range and elsewhere', async () => {
    const before = us.counters().replays;
    await us.account('anna').transaction(journal('anna', 'a.shared'), keyed('shared'));
    await us.account('bert').transaction(journal('bert', 'b.shared'), keyed('shared'));
    await us.account('emil').transaction(journal('emil', 'e.shared'), keyed('shared'));
    assert.deepEqual([await times('b.shared'), await times('e.shared', 'eu-west')], [1, 1]);
    assert.equal(us.counters().replays, before);
  });

  test("an account's transaction neither sees nor changes another's keys", async () => {
    await us.account('anna').transaction(journal('anna', 'hidden'), keyed('hidden'));
    const { value } = await us.account('bert').transaction(async (tx) => ({
      seen: (await tx.query(`SELECT 1 FROM meridian_idempotency WHERE key = 'hidden'`)).rowCount,
      changed: (
        await tx.query(`UPDATE meridian_idempotency SET answer = '{}' WHERE key = 'hidden'`)
      ).rowCount,
    }));
    assert.deepEqual(value, { seen: 0, changed: 0 });
  });

  test('keys take no part in the conflicts of serializable transactions', async () => {
    const [open, finish] = [moment(), moment()];
    const held = us.account('bert').transaction(async (tx) => {
      await tx.query('SELECT 1');
      open.reach();
      await finish.reached;
    }, keyed('held'));
    try {
      await open.reached;
      await us.account('anna').transaction(journal('anna', 'unlocked'), keyed('unlocked'));
      // What a finished transaction has read is remembered while another of its time is open.
      const read = await bank.onLeader<{ relation: string }>(
        'us-east',
        () => `SELECT relation::regclass::text AS relation FROM pg_locks WHERE mode = 'SIReadLock'`,
      );
      assert.ok(read.length > 0);
      assert.deepEqual(
        read.filter(({ relation }) => relation.includes('idempotency')),
        [],
      );
    } finally {
      finish.reach();
      await held;
    }
  });

  test('another request with the key is refused, and does nothing', async () => {
    await us.account('anna').transaction(journal('anna', 'f1'), keyed('f', { fingerprint: 'x' }));
    await assert.rejects(
      us.account('anna').transaction(journal('anna', 'f2'), keyed('f', { fingerprint: 'y' })),
      { code: 'ERR_IDEMPOTENCY_MISMATCH', outcome: 'none' },
    );
    assert.equal(await times('f2'), 0);
  });

  test('a function that throws frees the key; so does an answer that can not be kept', async () => {
    const refusing = us.account('anna').transaction(async (tx) => {
      await journal('anna', 'freed')(tx);
      throw new Error('refused');
    }, keyed('freed'));
    await assert.rejects(refusing, { message: 'refused' });
    for (const value of ['x'.repeat(ANSWER_BYTES_MAX), 1n]) {
      await assert.rejects(
        us.account('anna').transaction(async (tx) => {
          await journal('anna', 'freed')(tx);
          return value;
        }, keyed('freed')),
        { code: 'ERR_IDEMPOTENCY_ANSWER' },
      );
    }
    assert.equal(await times('freed'), 0);
    const done = await us.account('anna').transaction(journal('anna', 'freed'), keyed('freed'));
    assert.equal(done.replayed, false);
    assert.equal(await times('freed'), 1);
  });

  test('what JSON loses is missed the first time already; nothing is an answer too', async () => {
    const dated = await us
      .account('anna')
      .transaction(async () => ({ at: new Date(0), nothing: undefined }), keyed('dated'));
    assert.deepEqual(dated.value, { at: '1970-01-01T00:00:00.000Z' });
    for (const replayed of [false, true]) {
      const done = await us.account('anna').transaction(async () => undefined, keyed('nothing'));
      assert.deepEqual([done.value, done.replayed], [undefined, replayed]);
    }
  });

  test('a transaction over two accounts keeps its key with the first', async () => {
    const pay = (
      ids: readonly ['anna', 'bert'] | readonly ['bert', 'anna'],
    ): Promise<Committed<string>> =>
      us.transaction(
        ids,
        async (handles) => {
          for (const id of ids) await journal(id, `pair.${ids[0]}`)(handles[id]);
          return ids[0];
        },
        keyed('pair'),
      );
    const [first, again, other] = [
      await pay(['anna', 'bert']),
      await pay(['anna', 'bert']),
      await pay(['bert', 'anna']),
    ];
    assert.deepEqual([first.replayed, again.replayed, other.replayed], [false, true, false]);
    assert.deepEqual([await times('pair.anna'), await times('pair.bert')], [2, 2]);
  });

  test('a connection cut before COMMIT arrived: it is run again, once', async () => {
    const ran: string[] = [];
    let cuts = 0;
    trapped.setTrap((chunk, { client }) => {
      if (!isCommit(chunk) || cuts > 0) return 'forward';
      cuts += 1;
      client.destroy();
      return 'swallow';
    });
    const done = await trapped.client
      .account('anna')
      .transaction(journal('anna', 'cut.before', ran), keyed('cut.before'));
    trapped.setTrap(FORWARD);
    assert.deepEqual(
      [cuts, done.replayed, ran.length, await times('cut.before')],
      [1, false, 2, 1],
    );
  });

  test('a connection cut after COMMIT arrived: the answer is the first one', async () => {
    const ran: string[] = [];
    let cuts = 0;
    trapped.setTrap((chunk, { client, server }) => {
      if (!isCommit(chunk) || cuts > 0) return 'forward';
      cuts += 1;
      server.write(chunk);
      client.removeAllListeners('close');
      client.destroy();
      return 'swallow';
    });
    const done = await trapped.client
      .account('anna')
      .transaction(journal('anna', 'cut.after', ran), keyed('cut.after'));
    trapped.setTrap(FORWARD);
    assert.deepEqual([cuts, done.replayed, ran.length, await times('cut.after')], [1, true, 1, 1]);
    assert.equal(done.value.run, 1);
  });

  test('a COMMIT that is still under way: the second attempt waits for it', async () => {
    const voters = ['us-east-1.b', 'us-east-1.c'];
    const receivers = await Promise.all(
      voters.map((name) =>
        bank.cluster.sql<{ pid: number }>(name, 'SELECT pid FROM pg_stat_wal_receiver'),
      ),
    );
    const stopped = receivers.flat().map((row) => row.pid);
    assert.equal(stopped.length, 2);
    const ran: string[] = [];
    let cuts = 0;
    trapped.setTrap((chunk, { client, server }) => {
      if (!isCommit(chunk) || cuts > 0) return 'forward';
      cuts += 1;
      server.write(chunk);
      client.removeAllListeners('close');
      client.destroy();
      return 'swallow';
    });
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      const running = trapped.client
        .account('anna')
        .transaction(journal('anna', 'under.way', ran), keyed('under.way'));
      await until(async () => {
        const rows = await bank.onLeader<{ waits: string }>(
          'us-east',
          () => `SELECT wait_event AS waits FROM pg_stat_activity
                 WHERE application_name = 'idempotency-test'
                   AND wait_event IN ('SyncRep', 'transactionid')`,
        );
        return new Set(rows.map((row) => row.waits)).size === 2;
      }, 'a claim that waits for a commit that waits for the quorum');
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
      const done = await running;
      assert.deepEqual([done.replayed, ran.length, await times('under.way')], [true, 1, 1]);
    } finally {
      trapped.setTrap(FORWARD);
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
  });

  test('without a leader to ask, the outcome stays unknown at the deadline', async () => {
    let committing = false;
    trapped.setTrap((chunk, { client }) => {
      committing ||= isCommit(chunk);
      if (!committing) return 'forward';
      client.destroy();
      return 'swallow';
    });
    const call = trapped.client
      .account('anna')
      .transaction(journal('anna', 'no.leader'), { ...keyed('no.leader'), timeoutMs: 700 });
    await assert.rejects(call, { code: 'ERR_ENGINE_COMMIT_UNKNOWN', outcome: 'unknown' });
    trapped.setTrap(FORWARD);
    const done = await trapped.client
      .account('anna')
      .transaction(journal('anna', 'no.leader'), keyed('no.leader'));
    assert.equal(done.replayed, false);
    assert.equal(await times('no.leader'), 1);
  });

  test('a key is free again when its time is over, and is removed', async () => {
    const options = keyed('short', { retentionMs: 1_000 });
    await us.account('anna').transaction(journal('anna', 'short'), options);
    const past = `UPDATE RANGE.meridian_idempotency SET expires_at = now() - interval '1 s' WHERE key = 'short'`;
    await bank.onLeader('us-east', (range) => past.replace('RANGE', range));
    const again = await us.account('anna').transaction(journal('anna', 'short'), options);
    assert.equal(again.replayed, false);
    assert.equal(await times('short'), 2);
    await bank.onLeader('us-east', (range) => past.replace('RANGE', range));
    await until(async () => {
      const rows = await bank.onLeader(
        'us-east',
        (range) => `SELECT 1 FROM ${range}.meridian_idempotency WHERE key = 'short'`,
      );
      return rows.length === 0;
    }, 'the sweep');
  });

  test('keys of every syntax are one key each, or refused', async () => {
    const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
    const good = fc.string({ unit: visible, minLength: 1, maxLength: 255 });
    const any = fc.string({ unit: 'binary', maxLength: 300 });
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(good, any), async (key) => {
        number += 1;
        const requestId = `fuzz.${String(number)}`;
        const run = (): Promise<Committed<unknown>> =>
          us.account('bert').transaction(journal('bert', requestId), keyed(key));
        if (/^[!-~]{1,255}$/.test(key)) {
          const { value } = await run();
          const again = await run();
          assert.ok(again.replayed);
          assert.deepEqual(again.value, value);
        } else {
          await assert.rejects(run(), { code: 'ERR_IDEMPOTENCY_KEY_INVALID' });
        }
      }),
      { numRuns: 60 },
    );
  });
});
