/**
 * An `Idempotency-Key` on its whole way: client → gateway → app server → SQL at the account's home, with
 * app servers that die in the middle. What happened is read in the bank's journal, on the leader.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { kill } from 'node:process';
import { startBank, until, type Answer, type Bank } from '../support/bank.ts';
import { moment, raw } from '../support/gateway-rig.ts';

describe('a request with an idempotency key', () => {
  let bank: Bank;

  before(async () => {
    bank = await startBank();
    for (const id of ['anna', 'bert']) {
      const opened = await bank.open('us-east', { region: 'us-east', id });
      assert.equal(opened.status, 201, JSON.stringify(opened.json));
    }
  });
  after(async () => {
    await bank[Symbol.asyncDispose]();
  });

  const deposit = (
    requestId: string,
    more: { account?: string; region?: string } = {},
  ): Promise<Answer> =>
    bank.ask(more.region ?? 'us-east', `/accounts/${more.account ?? 'anna'}/deposit-checking`, {
      body: { amount: 5, requestId },
      headers: { 'idempotency-key': requestId },
    });
  const times = async (requestId: string): Promise<number> =>
    (await bank.entries('us-east', '%')).filter((one) => one.requestId === requestId).length;
  const serverNamed = async (name: string): Promise<{ pid: number; ready: boolean }> => {
    const { appServers } = await bank.cluster.platform.status();
    const found = appServers.find((one) => one.name === name);
    return { pid: found?.pid ?? 0, ready: found?.state === 'ready' };
  };

  test('is answered alike from every region, and happens once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        deposit('everywhere', { region: ['us-east', 'eu-west', 'ap-south'][i % 3] ?? '' }),
      ),
    );
    assert.deepEqual(new Set(answers.map((one) => one.status)), new Set([200]));
    assert.equal(new Set(answers.map((one) => JSON.stringify(one.json['applied']))).size, 1);
    assert.equal(await times('everywhere'), 1);
  });

  test('is refused when the key was for another request', async () => {
    await deposit('mine');
    const other = await bank.ask('us-east', '/accounts/anna/deposit-checking', {
      body: { amount: 6, requestId: 'mine' },
      headers: { 'idempotency-key': 'mine' },
    });
    assert.equal(other.status, 422);
    assert.match(JSON.stringify(other.json), /ERR_IDEMPOTENCY_MISMATCH/);
  });

  test('a refusal is kept with it: what was told once stays so', async () => {
    const withdraw = (): Promise<Answer> =>
      bank.ask('us-east', '/accounts/anna/transact-savings', {
        body: { amount: -1_000_000, requestId: 'too-much' },
        headers: { 'idempotency-key': 'too-much' },
      });
    const first = await withdraw();
    assert.equal(first.status, 409);
    assert.deepEqual(first.json, { refused: 'insufficient-funds' });
    // Money comes in, and an attempt of the refused request that was held up somewhere goes on only now.
    const more = await bank.ask('us-east', '/accounts/anna/transact-savings', {
      body: { amount: 2_000_000, requestId: 'much' },
      headers: { 'idempotency-key': 'much' },
    });
    assert.equal(more.status, 200);
    const late = await withdraw();
    assert.equal(late.status, 409);
    assert.deepEqual(late.json, first.json);
    assert.equal(await times('too-much'), 0);
  });

  test('is refused by the gateway when it is not one key', async () => {
    const port = Number(new URL(bank.cluster.platform.gateways['us-east'] ?? '').port);
    for (const keys of [[''], ['a b'], ['a', 'b'], ['x'.repeat(256)], ['\u00e9']]) {
      const lines = keys.map((key) => `idempotency-key: ${key}\r\n`).join('');
      const answer = await raw(
        port,
        `POST /accounts/anna/deposit-checking HTTP/1.1\r\nhost: x\r\nconnection: close\r\n` +
          `${lines}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
      );
      assert.match(answer, /^HTTP\/1\.1 400 [^]*ERR_IDEMPOTENCY_KEY_INVALID/, JSON.stringify(keys));
    }
  });

  test('is answered once although its app server is killed in the middle', async () => {
    const client = bank.clients.get('us-east');
    assert.ok(client);
    const [locked, released] = [moment(), moment()];
    const holding = client.account('bert').transaction(async (tx) => {
      await tx.query(`SELECT 1 FROM checking WHERE account_id = 'bert' FOR UPDATE`);
      locked.reach();
      await released.reached;
    });
    await Promise.race([locked.reached, holding]);
    const ids = Array.from({ length: 6 }, (_, i) => `killed.${String(i)}`);
    const asked = ids.map((id) => deposit(id, { account: 'bert' }));
    const victim = await serverNamed('us-east.0');
    try {
      await until(async () => {
        const rows = await bank.onLeader<{ n: number }>(
          'us-east',
          () => `SELECT count(*)::int AS n FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND application_name = 'app.us-east.0'`,
        );
        return (rows[0]?.n ?? 0) > 0;
      }, 'deposits of the victim that wait');
      kill(victim.pid, 'SIGKILL');
    } finally {
      released.reach();
      await holding;
    }
    for (const [i, answer] of (await Promise.all(asked)).entries()) {
      assert.equal(answer.status, 200, JSON.stringify(answer));
      assert.equal(await times(ids[i] ?? ''), 1);
    }
    await until(async () => {
      const now = await serverNamed('us-east.0');
      return now.ready && now.pid !== victim.pid;
    }, 'the app server to come back');
    const again = await deposit(ids[0] ?? '', { account: 'bert' });
    assert.equal(again.status, 200, 'answered by servers that have forgotten it');
    assert.equal(await times(ids[0] ?? ''), 1);
  });
});
