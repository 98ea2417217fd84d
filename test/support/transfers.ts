/** Purses and payments between them, and what the leaders have prepared. */
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import type { MeridianClient, ReadOptions, Transaction } from '../../src/client/api.ts';
import { mergeTokens } from '../../src/topology/position.ts';
import type { TestPlatform } from './cluster.ts';

/** Gives the token with which the account and its purse are found everywhere. */
export async function openPurse(
  client: MeridianClient,
  purse: { readonly region: string; readonly id: string; readonly coins: number },
): Promise<string> {
  const { region, id, coins } = purse;
  const created = await client.createAccount({ region, id });
  const { token } = await client
    .account(id)
    .transaction((tx) =>
      tx.query('INSERT INTO purse (account_id, coins) VALUES ($1, $2)', [id, coins]),
    );
  return mergeTokens(created.token, token);
}

export interface Payment {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

export async function pay(
  handles: Readonly<Record<string, Transaction>>,
  { from, to, amount }: Payment,
): Promise<void> {
  const add = 'UPDATE purse SET coins = coins + $2 WHERE account_id = $1';
  await handles[from]?.query(add, [from, -amount]);
  await handles[to]?.query(add, [to, amount]);
}

export async function coinsOf(
  client: MeridianClient,
  id: string,
  options: ReadOptions = {},
): Promise<number> {
  const read = await client.account(id).read(async (tx) => {
    const found = await tx.query<{ coins: string }>(
      'SELECT coins FROM purse WHERE account_id = $1',
      [id],
    );
    return Number(found.rows[0]?.coins);
  }, options);
  return read.value;
}

/** What is prepared on the leaders, as "leader gid". */
export async function preparedIn(cluster: TestPlatform): Promise<string[]> {
  const { groups } = await cluster.platform.status();
  const found = await Promise.all(
    groups.map(async ({ leader }) => {
      if (leader === null) return [`${String(leader)} ?`];
      const rows = await cluster.sql<{ gid: string }>(leader, 'SELECT gid FROM pg_prepared_xacts');
      return rows.map(({ gid }) => `${leader} ${gid}`);
    }),
  );
  return found.flat();
}

/** Waits until nothing is prepared anywhere, and all can be asked; tells how long that took. */
export async function settled(cluster: TestPlatform, timeoutMs = 15_000): Promise<number> {
  const startedAt = performance.now();
  await waitUntil(
    systemClock,
    { what: 'all prepared transactions to be finished', timeoutMs, intervalMs: 50 },
    async () => {
      const { groups } = await cluster.platform.status();
      return groups.every(({ inDoubt }) => inDoubt?.count === 0) || undefined;
    },
  );
  return performance.now() - startedAt;
}
