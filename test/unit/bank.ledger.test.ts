/** The ledger finds every way in which SQL can differ from what was acknowledged, and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  Ledger,
  type AppliedDeltas,
  type Comparison,
  type ObservedEntry,
} from '../../examples/bank/load/ledger.ts';

/** A bank that tells the truth: what SQL would hold, open to tampering. */
class Bank {
  readonly ledger = new Ledger();
  readonly rows = new Map<
    string,
    { savings: number; checking: number; entries: ObservedEntry[] }
  >();

  constructor(accounts: readonly string[]) {
    for (const account of accounts) {
      const opening = { account, savingsDelta: 1_000, checkingDelta: 1_000 };
      this.rows.set(account, { savings: 0, checking: 0, entries: [] });
      this.apply(`${account}.open`, [opening]);
      this.ledger.open(opening, `${account}.open`);
    }
  }

  apply(requestId: string, applied: readonly AppliedDeltas[]): void {
    for (const { account, savingsDelta, checkingDelta } of applied) {
      const row = this.row(account);
      row.savings += savingsDelta;
      row.checking += checkingDelta;
      row.entries.push({ requestId, savingsDelta, checkingDelta });
    }
  }

  acknowledged(requestId: string, applied: readonly AppliedDeltas[]): void {
    this.apply(requestId, applied);
    this.ledger.acknowledge(requestId, applied);
  }

  row(account: string): { savings: number; checking: number; entries: ObservedEntry[] } {
    const row = this.rows.get(account);
    assert.ok(row !== undefined);
    return row;
  }

  compare(): Comparison {
    return this.ledger.compare(this.rows);
  }

  found(): string[] {
    return this.compare().mismatches.map(({ account, kind }) => `${account} ${kind}`);
  }
}

const deposit = (account: string, amount: number): AppliedDeltas => ({
  account,
  savingsDelta: 0,
  checkingDelta: amount,
});
const payment = (from: string, to: string, amount: number): AppliedDeltas[] => [
  deposit(from, -amount),
  deposit(to, amount),
];

function busyBank(): Bank {
  const bank = new Bank(['a', 'b', 'c']);
  bank.acknowledged('r1', [deposit('a', 10)]);
  bank.acknowledged('r2', payment('a', 'b', 25));
  bank.acknowledged('r3', [{ account: 'b', savingsDelta: -40, checkingDelta: 0 }]);
  return bank;
}

describe('bank ledger', () => {
  test('an honest bank balances', () => {
    const comparison = busyBank().compare();
    assert.deepEqual(comparison.mismatches, []);
    assert.equal(comparison.accounts, 3);
  });

  test('a lost update: acknowledged, and nowhere in SQL', () => {
    const bank = busyBank();
    bank.ledger.acknowledge('r4', [deposit('c', 5)]);
    assert.deepEqual(bank.found(), ['c lost', 'c balance']);
  });

  test('a lost update: overwritten balance, entry kept', () => {
    const bank = busyBank();
    bank.row('a').checking -= 10;
    assert.deepEqual(bank.found(), ['a balance', 'a journal']);
  });

  test('a doubled update, with its entry and without', () => {
    const withEntry = busyBank();
    withEntry.apply('r1', [deposit('a', 10)]);
    assert.deepEqual(withEntry.found(), ['a doubled', 'a balance']);
    const without = busyBank();
    without.row('a').checking += 10;
    assert.deepEqual(without.found(), ['a balance', 'a journal']);
  });

  test('the wrong account: money and entry went elsewhere', () => {
    const bank = busyBank();
    bank.apply('r4', [deposit('c', 5)]);
    bank.ledger.acknowledge('r4', [deposit('b', 5)]);
    assert.deepEqual(bank.found(), ['b lost', 'b balance', 'c uninvited', 'c balance']);
  });

  test('two errors that cancel out in the sum are both found', () => {
    const bank = busyBank();
    bank.ledger.acknowledge('r4', [deposit('c', 5)]);
    bank.apply('r5', [deposit('c', 5)]);
    assert.deepEqual(bank.found(), ['c uninvited', 'c lost']);
  });

  test('an entry with other deltas than acknowledged', () => {
    const bank = busyBank();
    bank.apply('r4', [{ account: 'c', savingsDelta: 5, checkingDelta: 0 }]);
    bank.ledger.acknowledge('r4', [deposit('c', 5)]);
    assert.deepEqual(bank.found(), ['c altered', 'c balance', 'c balance']);
  });

  test('a refused request that was applied all the same', () => {
    const bank = busyBank();
    bank.apply('refused-1', [deposit('c', -5)]);
    assert.deepEqual(bank.found(), ['c uninvited', 'c balance']);
  });

  test('an unknown outcome may be there or not, whole', () => {
    const bank = busyBank();
    bank.ledger.doubt('u1', ['a', 'b']);
    bank.ledger.doubt('u2', ['a', 'c']);
    bank.apply('u2', payment('a', 'c', 7));
    const { mismatches, unknownApplied, unknownAbsent } = bank.compare();
    assert.deepEqual(mismatches, []);
    assert.deepEqual({ unknownApplied, unknownAbsent }, { unknownApplied: 1, unknownAbsent: 1 });
    assert.ok(bank.ledger.doubtful('a') && bank.ledger.doubtful('b'));
  });

  test('an unknown outcome may not be there half, or twice', () => {
    const half = busyBank();
    half.ledger.doubt('u1', ['a', 'b']);
    half.apply('u1', [deposit('a', -7)]);
    assert.deepEqual(half.found(), ['b torn']);
    const twice = busyBank();
    twice.ledger.doubt('u1', ['c']);
    twice.apply('u1', [deposit('c', 7)]);
    twice.apply('u1', [deposit('c', 7)]);
    assert.deepEqual(twice.found(), ['c doubled', 'c balance']);
  });

  test('an account that could not be read does not balance', () => {
    const bank = busyBank();
    bank.rows.delete('b');
    assert.deepEqual(bank.found(), ['b unreadable']);
  });

  test('any history balances, and any one change to it is found', () => {
    const accounts = ['a', 'b', 'c', 'd'];
    const account = fc.constantFrom(...accounts);
    const history = fc.array(fc.tuple(account, account, fc.integer({ min: 1, max: 999 })), {
      minLength: 1,
      maxLength: 40,
    });
    const run = (steps: readonly (readonly [string, string, number])[]): Bank => {
      const bank = new Bank(accounts);
      steps.forEach(([from, to, amount], index) => {
        const applied = from === to ? [deposit(from, amount)] : payment(from, to, amount);
        bank.acknowledged(`r${String(index)}`, applied);
      });
      return bank;
    };
    fc.assert(
      fc.property(
        history,
        fc.nat(),
        fc.constantFrom('drop', 'double', 'move'),
        (steps, at, how) => {
          assert.deepEqual(run(steps).compare().mismatches, []);
          const bank = run(steps);
          const victim = steps[at % steps.length]?.[0] ?? 'a';
          const row = bank.row(victim);
          const entry = row.entries[row.entries.length - 1];
          assert.ok(entry !== undefined);
          const sign = how === 'double' ? 1 : -1;
          row.savings += sign * entry.savingsDelta;
          row.checking += sign * entry.checkingDelta;
          if (how === 'double') row.entries.push(entry);
          else row.entries.pop();
          if (how === 'move') {
            const other = accounts.find((each) => each !== victim) ?? 'b';
            bank.apply(entry.requestId, [{ ...entry, account: other }]);
          }
          assert.ok(bank.found().some((found) => found.startsWith(victim)));
        },
      ),
    );
  });
});
