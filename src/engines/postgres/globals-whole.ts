/**
 * A copy of the global tables made whole for a new era: the subscription of before goes, with all its
 * slots, and a new one begins exactly where a comparison with the publisher ends. It is made disabled,
 * and stays so when this is cut short; the next attempt begins from the start.
 */
import type pg from 'pg';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import { createSlotAndSnapshot, dropSlots } from './globals-slot.ts';
import { mergeGlobals } from './globals-merge.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { GLOBAL_PUBLICATION } from './roles.ts';
import { dropSubscription } from './subscriptions.ts';

export interface Subscription {
  readonly name: string;
  /** How the subscriber's server reaches the publisher's. */
  readonly connection: string;
  readonly slot: string;
  /** Nodes that lead. */
  readonly publisher: string;
  readonly subscriber: string;
  /** Throws when it is no use to go on. */
  readonly check: () => void;
}

const STATEMENT_TIMEOUT_MS = 30_000;

/** Whoever calls enables the subscription next. */
export async function makeWhole(cluster: Cluster, wanted: Subscription): Promise<void> {
  const { log } = cluster.services;
  const options = { statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  const publisher = cluster.admin(wanted.publisher);
  await withAdmin(
    cluster.admin(wanted.subscriber),
    async (client) => {
      await dropSubscription(client, wanted.name);
      const changed = await withAdmin(
        publisher,
        async (reader) => {
          await dropSlots(reader, wanted.name);
          wanted.check();
          await createSlotAndSnapshot(publisher, { name: wanted.slot, reader });
          wanted.check();
          await createSubscription(client, wanted);
          return mergeGlobals({ publisher: reader, subscriber: client, check: wanted.check });
        },
        options,
      );
      log.info('a copy of the global tables was compared with its publisher', {
        ...{ subscriber: wanted.subscriber, changed },
      });
    },
    options,
  );
}

async function createSubscription(client: pg.Client, wanted: Subscription): Promise<void> {
  await client.query(
    `CREATE SUBSCRIPTION ${quoteIdentifier(wanted.name)} CONNECTION ${quoteLiteral(wanted.connection)}
     PUBLICATION ${quoteIdentifier(GLOBAL_PUBLICATION)}
     WITH (slot_name = ${quoteLiteral(wanted.slot)}, create_slot = false, copy_data = false,
       enabled = false, binary = true, origin = none, synchronous_commit = 'off')`,
  );
}
