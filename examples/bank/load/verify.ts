/** Reads what SQL holds of each account: by strong reads, on the leader of its home region. */
import type { MeridianClient, Transaction } from 'meridian';
import { forEachBounded } from './bounded.ts';
import type { ObservedAccount, ObservedEntry } from './ledger.ts';

const CONCURRENCY_PER_REGION = 8;

const READ_BALANCES = `
  SELECT savings.balance AS savings, checking.balance AS checking
  FROM savings JOIN checking USING (account_id)
  WHERE account_id = $1`;

const READ_ENTRIES = `
  SELECT request_id AS "requestId", savings_delta AS "savingsDelta",
         checking_delta AS "checkingDelta"
  FROM entry WHERE account_id = $1`;

export interface Readings {
  readonly observed: ReadonlyMap<string, ObservedAccount>;
  /** The first failures of accounts that are missing from `observed`. */
  readonly failures: readonly string[];
}

/** An account that can't be read is left out, and so fails the comparison. */
export async function readAccounts(
  clients: ReadonlyMap<string, MeridianClient>,
  accounts: Readonly<Record<string, readonly string[]>>,
): Promise<Readings> {
  const observed = new Map<string, ObservedAccount>();
  const failures: string[] = [];
  await Promise.all(
    [...clients].map(([region, db]) =>
      forEachBounded(
        accounts[region] ?? [],
        { concurrency: CONCURRENCY_PER_REGION },
        async (account) => {
          try {
            const { value } = await db.account(account).read((tx) => readAccount(tx, account));
            observed.set(account, value);
          } catch (error) {
            failures.push(`${account}: ${error instanceof Error ? error.message : String(error)}`);
          }
        },
      ),
    ),
  );
  return { observed, failures };
}

async function readAccount(tx: Transaction, account: string): Promise<ObservedAccount> {
  const balances = (await tx.query<Record<string, unknown>>(READ_BALANCES, [account])).rows[0];
  if (balances === undefined) throw new Error('its rows are gone');
  const { rows } = await tx.query<Record<keyof ObservedEntry, unknown>>(READ_ENTRIES, [account]);
  return {
    savings: Number(balances['savings']),
    checking: Number(balances['checking']),
    entries: rows.map((row) => ({
      requestId: String(row.requestId),
      savingsDelta: Number(row.savingsDelta),
      checkingDelta: Number(row.checkingDelta),
    })),
  };
}
