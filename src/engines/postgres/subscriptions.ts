/** Subscriptions of logical replication, whatever they carry. */
import type pg from 'pg';
import { quoteIdentifier } from './quote.ts';

/** Without its slot, which another server may have, or none. */
export async function dropSubscription(client: pg.Client, name: string): Promise<void> {
  const made = await client.query('SELECT FROM pg_subscription WHERE subname = $1', [name]);
  if (made.rowCount === 0) return;
  const subscription = quoteIdentifier(name);
  await client.query(`ALTER SUBSCRIPTION ${subscription} DISABLE`);
  await client.query(`ALTER SUBSCRIPTION ${subscription} SET (slot_name = NONE)`);
  await client.query(`DROP SUBSCRIPTION ${subscription}`);
}
