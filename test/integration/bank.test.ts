/**
 * The whole path on real processes: client → gateway → app server → SQL at the account's home, with the
 * bank as the application. What was acknowledged is compared with the journal in SQL, on the leader.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { kill } from 'node:process';
import type { ProcessStatus } from '../../src/control/status.ts';
import { startBank, until, type Answer, type Bank } from '../support/bank.ts';
import { moment } from '../support/gateway-rig.ts';

/** A POST that was sent once, and what came of it. */
interface Sent {
  readonly account: string;
  readonly requestId: string;
  readonly answer: Answer | Error;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('the bank on a platform', () => {
  let bank: Bank;
  let requests = 0;

  before(async () => {
    bank = await startBank();
  });
  after(async () => {
    await bank[Symbol.asyncDispose]();
  });

  const deposit = async (region: string, account: string, amount = 1): Promise<Sent> => {
    requests += 1;
    const requestId = `test.${String(requests)}`;
    const answer = await bank
      .ask(region, `/accounts/${account}/deposit-checking`, { body: { amount, requestId } })
      .catch((error: unknown) => error as Error);
    return { account, requestId, answer };
  };
  const openMany = async (prefix: string, count: number): Promise<string[]> => {
    const ids = Array.from({ length: count }, (_, index) => `${prefix}.${String(index)}`);
    for (const opened of await Promise.all(
      ids.map((id) => bank.open('us-east', { region: 'us-east', id })),
    )) {
      assert.equal(opened.status, 201, JSON.stringify(opened.json));
    }
    return ids;
  };

  /**
   * Runs `then` while deposits to the accounts are in the middle of their transactions, held there by
   * a lock on the rows they change; lets them go on afterwards, and gives what came of them.
   */
  const inMidRequest = async (accounts: string[], then: () => Promise<void>): Promise<Sent[]> => {
    const client = bank.clients.get('us-east');
    assert.ok(client);
    const [locked, released] = [moment(), moment()];
    const holding = client.transaction(accounts, async (handles) => {
      for (const id of accounts) {
        const lock = 'SELECT balance FROM checking WHERE account_id = $1 FOR UPDATE';
        await handles[id]?.query(lock, [id]);
      }
      locked.reach();
      await released.reached;
    });
    await Promise.race([locked.reached, holding]);
    const sent = accounts.map((account) => deposit('us-east', account));
    try {
      await until(async () => {
        const waiting = await bank.onLeader<{ count: number }>(
          'us-east',
          () => 'SELECT count(*)::int FROM pg_locks WHERE NOT granted',
        );
        return (waiting[0]?.count ?? 0) >= accounts.length;
      }, 'deposits that wait for a lock');
      await then();
    } finally {
      released.reach();
      await holding;
    }
    return Promise.all(sent);
  };

  /** Each is in the journal at most once, exactly once if acknowledged; balances are its sums. */
  const moneyMatches = async (prefix: string, sent: readonly Sent[]): Promise<void> => {
    const entries = await bank.entries('us-east', `${prefix}.%`);
    for (const { account, requestId, answer } of sent) {
      const times = entries.filter((one) => one.requestId === requestId);
      assert.ok(
        times.length <= 1,
        `${requestId} was applied ${times.length} times; ${told(answer)}`,
      );
      if (!(answer instanceof Error) && answer.status === 200) {
        assert.equal(times[0]?.account, account, `${requestId} was acknowledged and is lost`);
      }
      if (isRefusedWithoutEffect(answer)) {
        assert.equal(times.length, 0, `${requestId} was refused and happened; ${told(answer)}`);
      }
    }
    const held = await bank.onLeader<{ account_id: string; balance: string }>(
      'us-east',
      (range) => `SELECT account_id, balance FROM ${range}.checking WHERE account_id LIKE $1`,
      [`${prefix}.%`],
    );
    for (const { account_id: account, balance } of held) {
      const own = entries.filter((one) => one.account === account);
      assert.equal(
        Number(balance),
        own.reduce((sum, one) => sum + one.checking, 0),
        `the balance of ${account} is the sum of its entries`,
      );
    }
  };

  test('a request for an account homed elsewhere is served at its home; a read stays local', async () => {
    const opened = await bank.open('us-east', { region: 'eu-west', id: 'emil' });
    assert.equal(opened.status, 201, JSON.stringify(opened.json));
    const { answer } = await deposit('ap-south', 'emil', 234);
    assert.ok(!(answer instanceof Error), told(answer));
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
    assert.match(answer.servedBy ?? '', /^eu-west\./);
    assert.match(String(answer.json['node']), /^eu-west-1\./);
    assert.deepEqual(answer.json['applied'], [
      { account: 'emil', savingsDelta: 0, checkingDelta: 234 },
    ]);
    for (const region of ['ap-south', 'us-east', 'eu-west']) {
      const headers = { 'meridian-token': answer.token ?? '' };
      const read = await bank.ask(region, '/accounts/emil/balance', { headers });
      assert.equal(read.status, 200, JSON.stringify(read.json));
      assert.match(read.servedBy ?? '', new RegExp(`^${region}\\.`));
      assert.equal(read.json['checking'], 1_234);
      assert.deepEqual(read.json['currency'], { code: 'EUR', name: 'Euro' });
      assert.deepEqual(read.json['country'], { code: 'IE', name: 'Ireland' });
    }
    const { answer: none } = await deposit('ap-south', 'nobody');
    assert.ok(!(none instanceof Error) && none.status === 404, told(none));
  });

  test('a token, by header or cookie, makes a write visible through every gateway', async () => {
    await bank.open('us-east', { region: 'us-east', id: 'tom' });
    const regions = ['us-east', 'eu-west', 'ap-south'];
    let staleWithout = 0;
    for (let round = 1; round <= 20; round += 1) {
      const [writer, one, other] = [0, 1, 2].map((shift) => regions[(round + shift) % 3] ?? '');
      const { answer } = await deposit(writer ?? '', 'tom');
      assert.ok(!(answer instanceof Error) && answer.status === 200, told(answer));
      // As stale as can be, so that only the token asks for more.
      const read = async (region = '', headers = {}): Promise<unknown> => {
        const path = '/accounts/tom/balance?staleness=3600000';
        return (await bank.ask(region, path, { headers })).json['checking'];
      };
      const [byHeader, byCookie, ...without] = await Promise.all([
        read(one, { 'meridian-token': answer.token ?? '' }),
        read(other, { cookie: answer.cookie ?? '' }),
        read(one),
        read(other),
      ]);
      const expected = 1_000 + round;
      const where = `round ${String(round)}, written through ${String(writer)}`;
      assert.equal(byHeader, expected, `${where}, read through ${String(one)} with the header`);
      assert.equal(byCookie, expected, `${where}, read through ${String(other)} with the cookie`);
      staleWithout += without.filter((checking) => checking !== expected).length;
    }
    assert.ok(staleWithout > 0, 'without a token some reads are stale, or this shows nothing');
  });

  test('the load driver: no errors, every account balanced', async () => {
    const { code, summary } = await bank.drive(['--for', '5s', '--rate', '60', '--accounts', '20']);
    const said = JSON.stringify(summary);
    assert.equal(summary.errors, 0, said);
    assert.equal(summary.balanced, true, said);
    assert.ok(summary.requests > 200, said);
    assert.equal(summary.accounts, 60);
    assert.ok(summary.readYourWritesChecks > 0, said);
    assert.equal(summary.readYourWritesViolations, 0, said);
    assert.equal(code, 0, said);
  });

  const faults: readonly [kind: 'lost' | 'doubled', sign: number, change: string][] = [
    ['lost', -1, 'DELETE FROM entry WHERE account_id = $1 AND entry_id = $2'],
    [
      'doubled',
      1,
      `INSERT INTO entry (account_id, request_id, kind, savings_delta, checking_delta)
       SELECT account_id, request_id, kind, savings_delta, checking_delta FROM entry
       WHERE account_id = $1 AND entry_id = $2`,
    ],
  ];
  for (const [kind, sign, change] of faults) {
    test(`the load driver finds an update that was ${kind}`, async () => {
      let account = '';
      const plant = async (): Promise<void> => {
        const [newest] = (await bank.entries('eu-west', 'run-%'))
          .filter((one) => one.checking !== 0 && !one.requestId.endsWith('.open'))
          .slice(-1);
        assert.ok(newest, 'the run changed an account');
        account = newest.account;
        const values = [account, newest.entryId];
        await bank.onLeader('eu-west', (range) => inRange(change, range), values);
        const move = 'UPDATE checking SET balance = balance + $2::bigint WHERE account_id = $1';
        const back = [account, sign * newest.checking];
        await bank.onLeader('eu-west', (range) => inRange(move, range), back);
      };
      const { code, summary } = await bank.drive(
        ['--for', '2s', '--rate', '60', '--accounts', '5'],
        plant,
      );
      const said = JSON.stringify(summary);
      assert.equal(code, 1, said);
      assert.equal(summary.errors, 0, said);
      assert.equal(summary.balanced, false, said);
      assert.deepEqual(
        summary.mismatches.map((one) => [one.account, one.kind]),
        [
          [account, kind],
          [account, 'balance'],
        ],
        said,
      );
    });
  }

  test('an app server killed in mid-request: every request is answered, and money matches', async () => {
    const accounts = await openMany('app', 8);
    const others = await openMany('app.other', 8);
    const before = await serverNamed('us-east.0');
    const load: Promise<Sent>[] = [];
    const reads: Promise<Answer>[] = [];
    const held = await inMidRequest(accounts, async () => {
      for (let i = 0; i < 100; i += 1) {
        if (i === 40) kill(before.pid ?? 0, 'SIGKILL');
        const account = others[i % others.length] ?? '';
        load.push(deposit(['us-east', 'eu-west', 'ap-south'][i % 3] ?? '', account));
        reads.push(bank.ask('us-east', `/accounts/${account}/balance`));
        await sleep(4);
      }
    });
    for (const read of await Promise.all(reads)) {
      assert.equal(read.status, 200, JSON.stringify(read));
    }
    const sent = [...held, ...(await Promise.all(load))];
    for (const { requestId, answer } of sent) {
      assert.ok(!(answer instanceof Error), `${requestId}: ${told(answer)}`);
      if (answer.status !== 200) assertReasonable(answer);
    }
    assert.ok(
      held.some(({ answer }) => outcomeOf(answer) === 'unknown'),
      `some were in the server that was killed: ${JSON.stringify(held)}`,
    );
    await moneyMatches('app', sent);
    await until(async () => {
      const now = await serverNamed('us-east.0');
      return now.state === 'ready' && now.pid !== before.pid && now.restarts > before.restarts;
    }, 'the app server to come back');
    const served = new Set<string | undefined>();
    await until(async () => {
      const read = await bank.ask('us-east', `/accounts/${accounts[0] ?? ''}/balance`);
      return served.add(read.servedBy).has('us-east.0');
    }, 'the app server to get requests again');
  });

  test('a gateway killed in mid-request: nothing acknowledged is lost, nothing happens twice', async () => {
    const accounts = await openMany('gate', 8);
    const others = await openMany('gate.other', 8);
    const gateway = async (): Promise<ProcessStatus> => {
      const { gateways } = await bank.cluster.platform.status();
      return gateways.find((one) => one.region === 'us-east') as ProcessStatus;
    };
    const before = await gateway();
    const here: Promise<Sent>[] = [];
    const elsewhere: Promise<Sent>[] = [];
    const held = await inMidRequest(accounts, async () => {
      for (let i = 0; i < 100; i += 1) {
        if (i === 40) kill(before.pid ?? 0, 'SIGKILL');
        const account = others[i % others.length] ?? '';
        here.push(deposit('us-east', account));
        elsewhere.push(deposit('eu-west', account));
        await sleep(4);
      }
    });
    const [throughIt, throughAnother] = [await Promise.all(here), await Promise.all(elsewhere)];
    assert.ok(
      held.every(({ answer }) => answer instanceof Error),
      JSON.stringify(held),
    );
    assert.ok(throughIt.some(({ answer }) => answer instanceof Error));
    for (const { requestId, answer } of throughAnother) {
      assert.ok(!(answer instanceof Error), `${requestId}: ${told(answer)}`);
      if (answer.status !== 200) assertReasonable(answer);
    }
    const now = async (): Promise<boolean> => {
      const { pid, state, restarts } = await gateway();
      return state === 'ready' && pid !== before.pid && restarts > before.restarts;
    };
    await until(now, 'the gateway to come back');
    assert.equal((await gateway()).port, before.port);
    const last = await Promise.all(accounts.map((account) => deposit('us-east', account)));
    for (const { answer } of last) {
      assert.ok(!(answer instanceof Error) && answer.status === 200, told(answer));
    }
    await moneyMatches('gate', [...held, ...throughIt, ...throughAnother, ...last]);
  });

  const serverNamed = async (name: string): Promise<ProcessStatus> => {
    const { appServers } = await bank.cluster.platform.status();
    return appServers.find((one) => one.name === name) as ProcessStatus;
  };
});

/** Table names of a statement, in a range's schema. */
function inRange(text: string, range: string): string {
  return text.replace(/\b(FROM|INTO|UPDATE) (entry|checking)\b/g, `$1 ${range}.$2`);
}

function told(answer: Answer | Error): string {
  return answer instanceof Error ? answer.message : JSON.stringify(answer);
}

function errorOf(answer: Answer): Readonly<Record<string, unknown>> {
  return (answer.json['error'] ?? {}) as Record<string, unknown>;
}

function outcomeOf(answer: Answer | Error): unknown {
  return answer instanceof Error ? 'unknown' : errorOf(answer)['outcome'];
}

function isRefusedWithoutEffect(answer: Answer | Error): boolean {
  return outcomeOf(answer) === 'none';
}

/** A failure that its client can act on: says what it was, and whether to come back. */
function assertReasonable(answer: Answer): void {
  const said = JSON.stringify(answer);
  const { code, message, outcome, retry } = errorOf(answer);
  assert.match(String(code), /^ERR_/, said);
  assert.ok(typeof message === 'string' && message !== '', said);
  assert.ok(outcome === 'unknown' || retry === 'backoff' || retry === 'now', said);
}
