/**
 * The leader's right to serve strong reads, as the arbiter keeps it. Pure arithmetic; the database's
 * half is schema-lease.ts.
 *
 * A grant says: until `base + length` on the leader's own clock, where `base` is what that clock showed
 * in an earlier answer. So a grant that is delayed on its way, by a cut that heals later, gives nothing
 * that had not been counted: `goneByMs` is known before it is sent. No two clocks are ever compared; only
 * their pace must agree, and a clock that jumps back by more than `clockOffsetMaxMs` breaks it.
 *
 * A successor is promoted when the predecessor is known to be dead, or `goneByMs` has passed. Checking
 * the lease when a transaction opens, after its snapshot was taken, is enough: a read takes effect at
 * its snapshot, when the lease was valid and so nobody else had acknowledged anything newer.
 * (Gray and Cheriton, "Leases", 1989; Raft's leader leases, Ongaro 2014, 6.4.1.)
 */
import type { NodeName } from '../../../topology/node.ts';

export interface LeaseTerms {
  readonly leaseMs: number;
  readonly clockOffsetMaxMs: number;
}

export interface Lease {
  readonly holder: NodeName;
  /** The holder's clock in its last answer, and when that came, on ours. */
  readonly base: string | undefined;
  readonly baseAtMs: number;
  /** Confirmed: valid until then at least, unless the clocks run apart. */
  readonly validUntilMs: number;
  /** Whatever was ever sent has run out by then. */
  readonly goneByMs: number;
  /** Without a break since. */
  readonly sinceMs: number;
}

export function newLease(holder: NodeName, nowMs: number): Lease {
  return {
    holder,
    base: undefined,
    baseAtMs: nowMs,
    validUntilMs: nowMs,
    goneByMs: nowMs,
    sinceMs: nowMs,
  };
}

/** The same holder opens again: what it was granted before may be in force still. */
export function reopened(lease: Lease, holder: NodeName, nowMs: number): Lease {
  const next = newLease(holder, nowMs);
  if (lease.holder !== holder) return next;
  return { ...next, goneByMs: Math.max(lease.goneByMs, nowMs) };
}

/** To be taken before the grant is sent: from then on it may be in force. */
export function granting(lease: Lease, terms: LeaseTerms): Lease {
  if (lease.base === undefined) return lease;
  const goneByMs = lease.baseAtMs + terms.leaseMs + terms.clockOffsetMaxMs;
  return { ...lease, goneByMs: Math.max(lease.goneByMs, goneByMs) };
}

/** The holder has answered: the grant is in force, and its clock the base of the next one. */
export function granted(
  lease: Lease,
  answer: { readonly clock: string; readonly nowMs: number },
  terms: LeaseTerms,
): Lease {
  const { clock, nowMs } = answer;
  const next = { ...lease, base: clock, baseAtMs: nowMs };
  if (lease.base === undefined) return next;
  const broken = lease.validUntilMs <= nowMs;
  return {
    ...next,
    validUntilMs: lease.baseAtMs + terms.leaseMs,
    sinceMs: broken ? nowMs : lease.sinceMs,
  };
}

/** Nothing is in force any more: the holder is known to be dead, or gave it back. */
export function ended(lease: Lease, nowMs: number): Lease {
  return { ...lease, base: undefined, validUntilMs: nowMs, goneByMs: nowMs };
}
