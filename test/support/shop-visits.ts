/** A customer's visit is counted as a program would: read, add one, write. Twice told, by two tools. */
import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Kysely, PostgresDialect } from 'kysely';
import type { SqlPool } from '../../src/index.ts';
import { customer, type Shop } from './shop.ts';

export const kyselyOn = (pool: SqlPool): Kysely<Shop> =>
  new Kysely<Shop>({ dialect: new PostgresDialect({ pool }) });

export async function visitByKysely(pool: SqlPool, id: string): Promise<void> {
  await kyselyOn(pool)
    .transaction()
    .execute(async (trx) => {
      const { visits } = await trx
        .selectFrom('customer')
        .where('account_id', '=', id)
        .select('visits')
        .executeTakeFirstOrThrow();
      await trx
        .updateTable('customer')
        .where('account_id', '=', id)
        .set({ visits: visits + 1 })
        .execute();
    });
}

export async function visitByDrizzle(pool: SqlPool, id: string): Promise<void> {
  await drizzle(pool).transaction(async (tx) => {
    const [found] = await tx.select().from(customer).where(eq(customer.accountId, id));
    await tx
      .update(customer)
      .set({ visits: (found?.visits ?? 0) + 1 })
      .where(eq(customer.accountId, id));
  });
}
