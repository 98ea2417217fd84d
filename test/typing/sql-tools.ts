/**
 * What the compiler says about SQL tools on the library's pools: they take them without a cast.
 * Nothing here runs; compiling this file is the test.
 */
import { drizzle } from 'drizzle-orm/node-postgres';
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import type { MeridianClient, SqlPool, Token } from '../../src/index.ts';

interface Database {
  purse: { account_id: string; coins: string };
}

declare const db: MeridianClient;

export function accepted(): void {
  const pools: SqlPool[] = [
    db.account('a').pool(),
    db.account('a').pool({ timeoutMs: 1_000, retriesMax: 3 }),
    db.account('a').readPool({ staleness: 1_000, token: '' }),
    db.global.pool(),
    db.global.readPool(),
  ];
  for (const pool of pools) {
    void new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
    void drizzle(pool);
    void drizzle({ client: pool });
    const plain: pg.Pool = pool;
    const token: Token = pool.token();
    void [plain, token];
  }
  void db.account('a').transaction(async (tx) => {
    void new Kysely<Database>({ dialect: new PostgresDialect({ pool: tx.pool() }) });
    void drizzle(tx.pool());
    void drizzle(await tx.pool().connect());
  });
  void db.transaction(['a', 'b'], async ({ a, b }) => [drizzle(a.pool()), drizzle(b.pool())]);
}

// @ts-expect-error -- a pool for writes has no staleness
void (() => db.account('a').pool({ staleness: 1 }));
