/**
 * What SmallBank's transactions do to balances: pure arithmetic, after the published definitions
 * (Alomari, Cahill, Fekete, Röhm: "The Cost of Serializability on Platforms That Use Snapshot
 * Isolation", ICDE 2008). transactions.ts reads the balances, asks here, and writes the result.
 *
 * All amounts are whole minor units. A rule that the balances don't allow throws `Refused`; what becomes
 * of that is kept-refusal.ts.
 */

/** SmallBank's charge for a check that the funds don't cover: one unit. */
export const OVERDRAFT_PENALTY = 1;

export interface Balances {
  readonly savings: number;
  readonly checking: number;
}

/** What to add to each balance. */
export type Deltas = Balances;

export interface Transfer {
  readonly from: Deltas;
  readonly to: Deltas;
}

export type RefusalReason =
  'insufficient-funds' | 'currency-mismatch' | 'unknown-reference' | 'account-exists';

/** The business says no. Not a fault: the answer is 409 with the reason. */
export class Refused extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super(`refused: ${reason}`);
    this.name = 'Refused';
    this.reason = reason;
  }
}

export function depositChecking(amount: number): Deltas {
  return { savings: 0, checking: amount };
}

/** A deposit, or with a negative amount a withdrawal, which must leave savings at 0 or more. */
export function transactSavings(balances: Balances, amount: number): Deltas {
  if (balances.savings + amount < 0) throw new Refused('insufficient-funds');
  return { savings: amount, checking: 0 };
}

/** A check is always honoured, by checking alone; one not covered by both balances costs extra. */
export function writeCheck(balances: Balances, amount: number): Deltas {
  const covered = balances.savings + balances.checking >= amount;
  return { savings: 0, checking: -(covered ? amount : amount + OVERDRAFT_PENALTY) };
}

/** Everything of one account, debts included, goes to the other's checking. */
export function amalgamate(from: Balances): Transfer {
  return {
    from: { savings: negated(from.savings), checking: negated(from.checking) },
    to: { savings: 0, checking: from.savings + from.checking },
  };
}

export function sendPayment(from: Balances, amount: number): Transfer {
  if (from.checking < amount) throw new Refused('insufficient-funds');
  return { from: { savings: 0, checking: -amount }, to: { savings: 0, checking: amount } };
}

/** -0 is a number of its own; balances have one zero. */
function negated(amount: number): number {
  return amount === 0 ? 0 : -amount;
}
