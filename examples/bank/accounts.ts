/**
 * Opening an account, and reading one.
 *
 * Opening takes two steps: the platform's directory learns the account and its home region, then a
 * transaction at home inserts the rows. A crash between them leaves an account without rows; the same
 * request with the same id completes it, and repeated once more it changes nothing.
 */
import {
  isMeridianError,
  type AccountTransactionOptions,
  type Committed,
  type MeridianClient,
  type ReadOptions,
  type Transaction,
  type TransactionOptions,
} from 'meridian';
import { formatMoney } from './money.ts';
import { Refused } from './rules.ts';
import { AccountRowsMissing, toMinorUnits, type Applied } from './transactions.ts';

export interface OpenAccountRequest {
  readonly region: string;
  readonly country: string;
  readonly currency: string;
  readonly name: string;
  /** A random UUID when omitted. */
  readonly id?: string;
  /** Initial balances, in minor units. */
  readonly savings: number;
  readonly checking: number;
  readonly requestId: string;
}

export interface OpenedAccount {
  readonly id: string;
  /** False: it was open already, by an equal request. */
  readonly created: boolean;
  readonly applied: readonly Applied[];
}

/** Reference data changes rarely, and the foreign keys have the last word. */
const REFERENCE_STALENESS_MS = 60_000;

const CHECK_REFERENCES = `
  SELECT EXISTS (SELECT FROM country WHERE code = $1)
     AND EXISTS (SELECT FROM currency WHERE code = $2) AS known`;

const INSERT_ROWS = `
  WITH opened AS (
    INSERT INTO customer (account_id, name, country, currency)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (account_id) DO NOTHING
    RETURNING account_id
  ), opened_savings AS (
    INSERT INTO savings (account_id, balance) SELECT account_id, $5::bigint FROM opened
  ), opened_checking AS (
    INSERT INTO checking (account_id, balance) SELECT account_id, $6::bigint FROM opened
  )
  INSERT INTO entry (account_id, request_id, kind, savings_delta, checking_delta)
  SELECT account_id, $7, 'open', $5::bigint, $6::bigint FROM opened`;

const READ_OWNER = `SELECT name, country, currency FROM customer WHERE account_id = $1`;

export async function openAccount(
  db: MeridianClient,
  request: OpenAccountRequest,
  options: AccountTransactionOptions,
): Promise<Committed<OpenedAccount>> {
  const { country, currency } = request;
  const { idempotency, ...limits } = options;
  if (idempotency !== undefined && request.id === undefined) {
    const message = 'with an Idempotency-Key, name the `id` of the account: the key belongs to it';
    throw Object.assign(new Error(message), { statusCode: 400 });
  }
  const references = await db.global.read(
    (tx) => tx.query<{ known: boolean }>(CHECK_REFERENCES, [country, currency]),
    { ...limits, staleness: REFERENCE_STALENESS_MS },
  );
  if (references.value.rows[0]?.known !== true) throw new Refused('unknown-reference');
  const id = await ensureInDirectory(db, request, limits);
  return db.account(id).transaction((tx) => insertRows(tx, id, request), options);
}

async function ensureInDirectory(
  db: MeridianClient,
  request: OpenAccountRequest,
  options: TransactionOptions,
): Promise<string> {
  const { region, id } = request;
  try {
    return (await db.createAccount({ ...options, region, ...(id === undefined ? {} : { id }) })).id;
  } catch (error) {
    if (id === undefined || !isMeridianError(error, 'ERR_ACCOUNT_EXISTS')) throw error;
    const home = await db.locate(id, { fresh: true });
    if (home.homeRegion !== region) throw new Refused('account-exists');
    return id;
  }
}

async function insertRows(
  tx: Transaction,
  id: string,
  request: OpenAccountRequest,
): Promise<OpenedAccount> {
  const { name, country, currency, savings, checking, requestId } = request;
  const values = [id, name, country, currency, savings, checking, requestId];
  const { rowCount } = await tx.query(INSERT_ROWS, values);
  if (rowCount === 1) {
    const applied = [{ account: id, savingsDelta: savings, checkingDelta: checking }];
    return { id, created: true, applied };
  }
  const owner = (await tx.query<Record<string, unknown>>(READ_OWNER, [id])).rows[0];
  const same =
    owner?.['name'] === name && owner['country'] === country && owner['currency'] === currency;
  if (!same) throw new Refused('account-exists');
  return { id, created: false, applied: [] };
}

export interface AccountStatement {
  readonly account: string;
  readonly name: string;
  readonly country: { readonly code: string; readonly name: string };
  readonly currency: { readonly code: string; readonly name: string };
  readonly savings: number;
  readonly checking: number;
  readonly formatted: string;
}

// Regional and global tables in one plain join: both are in the replica that answers.
const READ_STATEMENT = `
  SELECT customer.name, country.code AS country_code, country.name AS country_name,
         currency.code AS currency_code, currency.name AS currency_name, currency.minor_digits,
         savings.balance AS savings, checking.balance AS checking
  FROM customer
  JOIN country ON country.code = customer.country
  JOIN currency ON currency.code = customer.currency
  JOIN savings ON savings.account_id = customer.account_id
  JOIN checking ON checking.account_id = customer.account_id
  WHERE customer.account_id = $1`;

/** SmallBank's Balance: what the account holds, from the nearest replica that is fresh enough. */
export function readStatement(
  db: MeridianClient,
  account: string,
  options: ReadOptions,
): Promise<Committed<AccountStatement>> {
  return db.account(account).read(async (tx) => {
    const row = (await tx.query<Record<string, unknown>>(READ_STATEMENT, [account])).rows[0];
    if (row === undefined) throw new AccountRowsMissing(account);
    const savings = toMinorUnits(row['savings']);
    const checking = toMinorUnits(row['checking']);
    const currency = String(row['currency_code']);
    const minorDigits = Number(row['minor_digits']);
    return {
      account,
      name: String(row['name']),
      country: { code: String(row['country_code']), name: String(row['country_name']) },
      currency: { code: currency, name: String(row['currency_name']) },
      savings,
      checking,
      formatted: formatMoney(savings + checking, { currency, minorDigits }),
    };
  }, options);
}
