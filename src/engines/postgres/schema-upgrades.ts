/**
 * Changes of Meridian's own schema since version 1, in order. A new database is made at version 1 and
 * goes through all of them, so that old and new data end up alike and the path is always exercised.
 *
 * Each runs once per group, as the administrator, in the transaction that records its version. What a
 * range needs besides is in `rangeStatements` (schema.ts) and must be idempotent.
 */
import { ADMISSION_V2 } from './schema-admission.ts';
import { DECISION_V2 } from './schema-decision.ts';
import { DRAIN_V6 } from './schema-drain.ts';
import { FENCE_V2 } from './schema-fence.ts';
import { IDEMPOTENCY_V2 } from './schema-idempotency.ts';
import { LEASE_V3 } from './schema-lease.ts';
import { MOVE_V4 } from './schema-move.ts';
import { TRANSFER_V5 } from './schema-transfer.ts';

export interface SchemaUpgrade {
  /** The version that it leads to. */
  readonly version: number;
  /** One text; may hold several statements. */
  readonly statements: string;
}

export const SCHEMA_UPGRADES: readonly SchemaUpgrade[] = [
  { version: 2, statements: [ADMISSION_V2, FENCE_V2, DECISION_V2, IDEMPOTENCY_V2].join('\n') },
  { version: 3, statements: LEASE_V3 },
  { version: 4, statements: MOVE_V4 },
  { version: 5, statements: TRANSFER_V5 },
  { version: 6, statements: DRAIN_V6 },
];

/** What this release writes; data of a later version is refused. */
export const SCHEMA_VERSION = SCHEMA_UPGRADES.at(-1)?.version ?? 1;

export function upgradesAfter(version: number): readonly SchemaUpgrade[] {
  return SCHEMA_UPGRADES.filter((upgrade) => upgrade.version > version);
}
