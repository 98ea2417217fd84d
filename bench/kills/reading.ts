/** Reads the rows back from the leaders while nobody writes, and compares them with the books. */
import type { MeridianClient } from '../../src/client/api.ts';
import type { Books, Comparison } from './books.ts';
import type { Account } from './writers.ts';

const TIMEOUT_MS = 30_000;

/** Turns the pages of all accounts, and deletes the rows that are retired. */
export async function readBack(
  db: MeridianClient,
  books: Books,
  accounts: readonly Account[],
): Promise<Comparison> {
  const all = await Promise.all(
    accounts.map(async ({ id: account }) => {
      const handle = db.account(account);
      const { value } = await handle.read(
        (tx) =>
          tx.query<{ id: string }>('SELECT id FROM inserted WHERE account_id = $1', [account]),
        { timeoutMs: TIMEOUT_MS },
      );
      const compared = books.compare(account, new Set(value.rows.map(({ id }) => id)));
      if (compared.findings.length === 0) await retire(handle, account, compared.retired);
      return compared;
    }),
  );
  return {
    findings: all.flatMap(({ findings }) => findings),
    compared: all.reduce((sum, { compared }) => sum + compared, 0),
    doubtsApplied: all.reduce((sum, { doubtsApplied }) => sum + doubtsApplied, 0),
    retired: all.flatMap(({ retired }) => retired),
  };
}

async function retire(
  handle: ReturnType<MeridianClient['account']>,
  account: string,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  // Undone, it would be found as rows that nobody invited.
  const idempotency = { key: `retire-${account}-${ids[0] ?? ''}-${String(ids.length)}` };
  await handle.transaction(
    async (tx) => {
      await tx.query('DELETE FROM inserted WHERE account_id = $1 AND id = ANY($2)', [account, ids]);
    },
    { timeoutMs: TIMEOUT_MS, idempotency },
  );
}
