/**
 * The words of transactions over several groups: last-agent two-phase commit. Its verbs are in
 * connector.ts.
 *
 * Every participant but one is prepared: durable, its locks kept, without an outcome. The one that is
 * left, the coordinator, commits its own half together with a record of the decision. Then the others
 * follow. Whoever finds a prepared transaction without a caller asks its coordinator's group, which
 * records "abort" unless there is a decision already; so there is one outcome, whoever asks first.
 *
 * The transaction's name (gid) says which group decides, so that any survivor can ask. An engine whose
 * transactions span groups by themselves needs none of this and leaves `Connector.twoPhase` undefined.
 */
import type { GroupName } from '../topology/position.ts';

/**
 * How long a prepared transaction is left to its coordinator before recovery decides. Far above what
 * the three round trips of a commit take; with the sweep's period it bounds for how long a coordinator
 * that died can keep rows locked.
 */
export const IN_DOUBT_AFTER_MS = 5_000;

/** The supervisor looks for prepared transactions this often. */
export const SWEEP_PERIOD_MS = 2_000;

/** A decision is kept at least this long; see decisions.ts of the engine for what else it takes. */
export const DECISION_KEPT_MS = 600_000;

/** Past this age of its transaction a decision to commit is refused, so that it can't outlive an abort. */
export const DECIDE_WITHIN_MS = 300_000;

export type Decision = 'commit' | 'abort';

/** A prepared transaction as a group's leader shows it. */
export interface PreparedTransaction {
  readonly gid: string;
  readonly ageMs: number;
}

const GID = /^meridian:([a-z][a-z0-9-]{0,62}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** `id` is a UUID. PostgreSQL allows 199 bytes; this takes 109 at most. */
export function formatGid(coordinator: GroupName, id: string): string {
  return `meridian:${coordinator}:${id}`;
}

/** The group that decides; undefined for a transaction that is not ours. */
export function coordinatorOf(gid: string): GroupName | undefined {
  return GID.exec(gid)?.[1];
}
