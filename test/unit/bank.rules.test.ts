/** SmallBank's published arithmetic, at its edges, and the laws that hold for any balances. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  amalgamate,
  depositChecking,
  OVERDRAFT_PENALTY,
  Refused,
  sendPayment,
  transactSavings,
  writeCheck,
} from '../../examples/bank/rules.ts';

const refusedFor = (reason: string) => (error: unknown) =>
  error instanceof Refused && error.reason === reason;

const balances = fc.record({
  savings: fc.integer({ min: 0, max: 1e9 }),
  checking: fc.integer({ min: -1e9, max: 1e9 }),
});
const amounts = fc.integer({ min: 1, max: 1e9 });

describe('bank rules', () => {
  test('a deposit goes to checking', () => {
    assert.deepEqual(depositChecking(130), { savings: 0, checking: 130 });
  });

  test('savings may be emptied and not overdrawn', () => {
    const held = { savings: 100, checking: 500 };
    assert.deepEqual(transactSavings(held, -100), { savings: -100, checking: 0 });
    assert.throws(() => transactSavings(held, -101), refusedFor('insufficient-funds'));
    assert.deepEqual(transactSavings({ savings: 0, checking: 0 }, 7), { savings: 7, checking: 0 });
  });

  test('a check draws on checking alone, and costs a unit more when both do not cover it', () => {
    const held = { savings: 60, checking: 40 };
    assert.deepEqual(writeCheck(held, 100), { savings: 0, checking: -100 });
    assert.deepEqual(writeCheck(held, 101), { savings: 0, checking: -101 - OVERDRAFT_PENALTY });
  });

  test('an amalgamation moves everything, debts included', () => {
    assert.deepEqual(amalgamate({ savings: 70, checking: -20 }), {
      from: { savings: -70, checking: 20 },
      to: { savings: 0, checking: 50 },
    });
  });

  test('a payment needs its amount in checking', () => {
    const held = { savings: 1_000, checking: 50 };
    assert.deepEqual(sendPayment(held, 50), {
      from: { savings: 0, checking: -50 },
      to: { savings: 0, checking: 50 },
    });
    assert.throws(() => sendPayment(held, 51), refusedFor('insufficient-funds'));
  });

  test('transfers neither make nor lose money', () => {
    const sum = (deltas: { savings: number; checking: number }): number =>
      deltas.savings + deltas.checking;
    fc.assert(
      fc.property(balances, amounts, (held, amount) => {
        const emptied = amalgamate(held);
        assert.equal(sum(emptied.from) + sum(emptied.to), 0);
        assert.equal(held.savings + emptied.from.savings, 0);
        assert.equal(held.checking + emptied.from.checking, 0);
        if (held.checking >= amount) {
          const paid = sendPayment(held, amount);
          assert.equal(sum(paid.from) + sum(paid.to), 0);
          assert.ok(held.checking + paid.from.checking >= 0);
        }
      }),
    );
  });
});
