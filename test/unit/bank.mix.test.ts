/** The load's mix: published proportions, the right accounts, and the same requests for a seed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  buildDeck,
  classOf,
  createMix,
  SMALLBANK_WEIGHTS,
  type MixOptions,
  type PlannedRequest,
} from '../../examples/bank/load/mix.ts';

const REGIONS = ['us-east', 'eu-west', 'ap-south'];

const mixOptions = (changes: Partial<MixOptions> = {}): MixOptions => ({
  seed: 7,
  region: 'eu-west',
  accounts: Object.fromEntries(
    REGIONS.map((region) => [
      region,
      Array.from({ length: 20 }, (_, n) => `${region}.${String(n)}`),
    ]),
  ),
  countries: ['IE', 'IN'],
  globalShare: 0.13,
  balanceShare: 0,
  remoteShare: 0.25,
  tokenShare: 0.5,
  ...changes,
});

const take = (count: number, options = mixOptions()): PlannedRequest[] => {
  const next = createMix(options);
  return Array.from({ length: count }, next);
};

const share = (
  requests: readonly PlannedRequest[],
  which: (request: PlannedRequest) => boolean,
): number => requests.filter(which).length / requests.length;

describe('bank mix', () => {
  test("each thousand has SmallBank's weights exactly, up to rounding", () => {
    const requests = take(5_000);
    for (let start = 0; start < requests.length; start += 1_000) {
      const part = requests.slice(start, start + 1_000);
      for (const [kind, weight] of Object.entries(SMALLBANK_WEIGHTS)) {
        const expected = 0.87 * (weight / 100);
        const found = share(part, (request) => request.kind === kind);
        assert.ok(Math.abs(found - expected) <= 0.002, `${kind}: ${String(found)}`);
      }
      const global = share(part, (request) => classOf(request) === 'global read');
      assert.ok(Math.abs(global - 0.13) <= 0.002, String(global));
    }
  });

  test('a quarter of each kind of account request goes elsewhere', () => {
    const requests = take(4_000).filter((request) => 'account' in request);
    for (const kind of Object.keys(SMALLBANK_WEIGHTS)) {
      const found = share(
        requests.filter((request) => request.kind === kind),
        (request) => request.remote,
      );
      assert.ok(Math.abs(found - 0.25) <= 0.01, `${kind}: ${String(found)}`);
    }
  });

  test('the deck is full for any shares', () => {
    for (const [globalShare, remoteShare] of [
      [0, 0],
      [1, 0.5],
      [1 / 3, 1 / 7],
      [0.13, 1],
    ] as const) {
      const shares = { globalShare, remoteShare, balanceShare: (1 - globalShare) / 3 };
      assert.equal(buildDeck(shares).length, 1_000);
    }
    const local = buildDeck({ globalShare: 0.2, balanceShare: 0.1, remoteShare: 0 });
    assert.ok(local.every((card) => !card.remote));
    assert.equal(local.filter((card) => card.kind === 'balance').length, 205);
  });

  test('remote means homed elsewhere, and two accounts share one home', () => {
    const homeOf = (account: string): string => account.slice(0, account.lastIndexOf('.'));
    for (const request of take(3_000)) {
      if (!('account' in request)) continue;
      assert.equal(request.remote, homeOf(request.account) !== 'eu-west');
      if ('to' in request) {
        assert.notEqual(request.to, request.account);
        assert.equal(homeOf(request.to), homeOf(request.account));
      }
      if ('amount' in request && request.kind !== 'transact-savings') {
        assert.ok(Number.isInteger(request.amount) && request.amount >= 1);
      }
    }
  });

  test('classes: balances are local reads wherever the home is', () => {
    const remoteBalance = take(2_000).find((r) => r.kind === 'balance' && r.remote);
    assert.ok(remoteBalance !== undefined);
    assert.equal(classOf(remoteBalance), 'local read');
    const remotePayment = take(2_000).find((r) => r.kind === 'send-payment' && r.remote);
    assert.ok(remotePayment !== undefined);
    assert.equal(classOf(remotePayment), 'remote write');
  });

  test('about half of the balance reads carry a token', () => {
    const balances = take(20_000).filter((request) => request.kind === 'balance');
    const found = share(balances, (request) => request.kind === 'balance' && request.useToken);
    assert.ok(Math.abs(found - 0.5) < 0.05, String(found));
  });

  test('one region alone sends nothing elsewhere', () => {
    const requests = take(1_000, mixOptions({ accounts: { 'eu-west': ['a', 'b'] } }));
    assert.ok(requests.every((request) => !request.remote));
  });

  test('the same seed plans the same requests; another seed and another region do not', () => {
    assert.deepEqual(take(2_000), take(2_000));
    assert.notDeepEqual(take(50), take(50, mixOptions({ seed: 8 })));
    const kinds = (requests: readonly PlannedRequest[]): string[] => requests.map((r) => r.kind);
    assert.notDeepEqual(kinds(take(50)), kinds(take(50, mixOptions({ region: 'us-east' }))));
  });
});
