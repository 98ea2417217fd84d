/**
 * SmallBank's transactions in SQL: each reads what its rule needs, asks rules.ts, and writes balances
 * and journal entries together. The caller gives a serializable transaction (one handle per account)
 * and runs it again after a conflict; nothing here has an effect outside the database.
 *
 * Few round trips: one to read both balances; then one statement per account changes them and journals
 * it, together.
 */
import type { Transaction } from 'meridian';
import * as rules from './rules.ts';
import { Refused, type Balances, type Deltas } from './rules.ts';

/** What one request did to one account. */
export interface Applied {
  readonly account: string;
  readonly savingsDelta: number;
  readonly checkingDelta: number;
}

export interface AmountRequest {
  readonly account: string;
  readonly amount: number;
  readonly requestId: string;
}

export interface AmalgamateRequest {
  readonly account: string;
  readonly to: string;
  readonly requestId: string;
}

export interface PaymentRequest extends AmountRequest {
  readonly to: string;
}

/** One handle per account of the request. */
export interface Handles {
  readonly from: Transaction;
  readonly to: Transaction;
}

/** The account exists in the directory at most; its rows don't. */
export class AccountRowsMissing extends Error {
  constructor(account: string) {
    super(`account ${account} is not open`);
    this.name = 'AccountRowsMissing';
  }
}

const READ_BALANCES = `
  SELECT customer.currency, savings.balance AS savings, checking.balance AS checking
  FROM customer
  JOIN savings USING (account_id)
  JOIN checking USING (account_id)
  WHERE customer.account_id = $1`;

// A balance that doesn't change is not touched: SmallBank's conflicts depend on it.
const APPLY = `
  WITH moved_savings AS (
    UPDATE savings SET balance = balance + $2::bigint
    WHERE account_id = $1 AND $2::bigint <> 0
    RETURNING account_id
  ), moved_checking AS (
    UPDATE checking SET balance = balance + $3::bigint
    WHERE account_id = $1 AND $3::bigint <> 0
    RETURNING account_id
  )
  INSERT INTO entry (account_id, savings_delta, checking_delta, request_id, kind)
  VALUES ($1, $2, $3, $4, $5)
  RETURNING (SELECT count(*) FROM moved_savings)::int AS savings_rows,
            (SELECT count(*) FROM moved_checking)::int AS checking_rows`;

const CREDIT = `
  WITH moved AS (
    UPDATE checking SET balance = balance + $2::bigint
    FROM customer
    WHERE checking.account_id = $1 AND customer.account_id = $1 AND customer.currency = $3
    RETURNING checking.account_id
  )
  INSERT INTO entry (account_id, savings_delta, checking_delta, request_id, kind)
  SELECT account_id, 0, $2::bigint, $4, $5 FROM moved`;

export async function depositChecking(tx: Transaction, request: AmountRequest): Promise<Applied[]> {
  const deltas = rules.depositChecking(request.amount);
  return [await apply(tx, { ...request, kind: 'deposit-checking', deltas })];
}

export async function transactSavings(tx: Transaction, request: AmountRequest): Promise<Applied[]> {
  const deltas = rules.transactSavings(await readBalances(tx, request.account), request.amount);
  return [await apply(tx, { ...request, kind: 'transact-savings', deltas })];
}

export async function writeCheck(tx: Transaction, request: AmountRequest): Promise<Applied[]> {
  const deltas = rules.writeCheck(await readBalances(tx, request.account), request.amount);
  return [await apply(tx, { ...request, kind: 'write-check', deltas })];
}

export async function amalgamate(handles: Handles, request: AmalgamateRequest): Promise<Applied[]> {
  const from = await readBalances(handles.from, request.account);
  const deltas = rules.amalgamate(from);
  const { account, to, requestId } = request;
  const change = { kind: 'amalgamate', requestId, currency: from.currency };
  return both(
    apply(handles.from, { ...change, account, deltas: deltas.from }),
    credit(handles.to, { ...change, account: to, deltas: deltas.to }),
  );
}

export async function sendPayment(handles: Handles, request: PaymentRequest): Promise<Applied[]> {
  const from = await readBalances(handles.from, request.account);
  const deltas = rules.sendPayment(from, request.amount);
  const { account, to, requestId } = request;
  const change = { kind: 'send-payment', requestId, currency: from.currency };
  return both(
    apply(handles.from, { ...change, account, deltas: deltas.from }),
    credit(handles.to, { ...change, account: to, deltas: deltas.to }),
  );
}

/**
 * Statements that don't wait for each other travel together: one round trip. Both are awaited even if
 * one fails, since a transaction must not end while a statement of it is under way.
 */
async function both(first: Promise<Applied>, second: Promise<Applied>): Promise<Applied[]> {
  const [one, other] = await Promise.allSettled([first, second]);
  if (one.status === 'rejected') throw one.reason;
  if (other.status === 'rejected') throw other.reason;
  return [one.value, other.value];
}

/** int8 arrives as text or number, by the driver's settings; past 2^53 it would lose cents. */
export function toMinorUnits(value: unknown): number {
  const units = Number(value);
  if (!Number.isSafeInteger(units)) throw new RangeError('not a whole amount that fits a number');
  return units;
}

interface AccountBalances extends Balances {
  readonly currency: string;
}

async function readBalances(tx: Transaction, account: string): Promise<AccountBalances> {
  const { rows } = await tx.query<Record<keyof AccountBalances, unknown>>(READ_BALANCES, [account]);
  const row = rows[0];
  if (row === undefined) throw new AccountRowsMissing(account);
  return {
    currency: String(row.currency),
    savings: toMinorUnits(row.savings),
    checking: toMinorUnits(row.checking),
  };
}

interface Change {
  readonly account: string;
  readonly deltas: Deltas;
  readonly requestId: string;
  readonly kind: string;
}

async function apply(tx: Transaction, change: Change): Promise<Applied> {
  const { account, deltas, requestId, kind } = change;
  const { rows } = await tx.query<{ savings_rows: number; checking_rows: number }>(APPLY, [
    account,
    deltas.savings,
    deltas.checking,
    requestId,
    kind,
  ]);
  const moved = rows[0];
  const complete =
    moved?.savings_rows === (deltas.savings === 0 ? 0 : 1) &&
    moved.checking_rows === (deltas.checking === 0 ? 0 : 1);
  if (!complete) throw new AccountRowsMissing(account);
  return toApplied(change);
}

/** Adds to the receiving account's checking if it holds the sender's currency. */
async function credit(
  tx: Transaction,
  change: Change & { readonly currency: string },
): Promise<Applied> {
  const { account, deltas, requestId, kind, currency } = change;
  const values = [account, deltas.checking, currency, requestId, kind];
  const { rowCount } = await tx.query(CREDIT, values);
  if (rowCount !== 1) {
    // Also tells an account without rows, by throwing.
    await readBalances(tx, account);
    throw new Refused('currency-mismatch');
  }
  return toApplied(change);
}

function toApplied({ account, deltas }: Change): Applied {
  return { account, savingsDelta: deltas.savings, checkingDelta: deltas.checking };
}
