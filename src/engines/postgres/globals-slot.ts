/**
 * The publisher's side of a copy that is made whole: a new logical slot, and a transaction that sees
 * exactly what the slot does not send.
 */
import pg from 'pg';
import { MeridianError, messageOf } from '../../kernel/errors.ts';
import type { AdminTarget } from './admin.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { DATABASE, ROLE } from './roles.ts';
import { fromDriver } from './sqlstate.ts';

/** A transaction that is open on the publisher, a prepared one too, holds up the slot for as long. */
const CREATE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 2_000;
const TERMINATE_TIMEOUT_MS = 2_000;

/** Also one that a creation which was given up has half made: its session is ended first. */
export async function dropSlots(publisher: pg.Client, subscription: string): Promise<void> {
  const ours = [`^${subscription}(__e[0-9]+_[0-9]+)?$`];
  await publisher.query(
    `SELECT pg_terminate_backend(active_pid, ${String(TERMINATE_TIMEOUT_MS)})
     FROM pg_replication_slots WHERE slot_name ~ $1 AND active_pid IS NOT NULL`,
    ours,
  );
  // Whose session is hard to end keeps its slot, and a slot of the same name then fails to be made.
  await publisher.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
     WHERE slot_name ~ $1 AND NOT active`,
    ours,
  );
}

/** Makes the slot and opens `reader`'s transaction at its snapshot. */
export async function createSlotAndSnapshot(
  target: AdminTarget,
  slot: { readonly name: string; readonly reader: pg.Client },
): Promise<void> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port: target.port, database: DATABASE },
    ...{ user: ROLE.administrator, password: target.password },
    application_name: 'meridian-globals',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CREATE_TIMEOUT_MS,
    // Known to the driver, not to its types.
    ...{ replication: 'database' },
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const made = await client.query<{ snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quoteIdentifier(slot.name)} LOGICAL pgoutput (SNAPSHOT 'export')`,
    );
    const snapshot = made.rows[0]?.snapshot_name ?? '';
    await slot.reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await slot.reader.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`);
  } catch (error) {
    if (messageOf(error) === 'Query read timeout') {
      throw new MeridianError(
        'ERR_ENGINE_UNAVAILABLE',
        `${target.node} made no slot within ${String(CREATE_TIMEOUT_MS)} ms: a transaction that is open there, or prepared, holds it up`,
      );
    }
    throw fromDriver(error, `making the slot of the global tables on ${target.node}`);
  } finally {
    void client.end().catch(() => {});
  }
}
