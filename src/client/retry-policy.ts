/**
 * What to do after a failed attempt. Pure. Everything before COMMIT is safe to run again, because
 * nothing of it happened; a commit of unknown outcome is not, unless an idempotency key makes it so.
 *
 * Two kinds of failure, two bounds. Who meets others (conflicts, full pools) tries a bounded number of
 * times. Who meets nobody (no leader, an old one, a lost connection) waits for as long as the call may
 * take: a failover is over in seconds, however often one asks meanwhile.
 */
import type { MeridianError } from '../kernel/errors.ts';

export type Verdict =
  /** `final`: another try can't help, or must not be; `exhausted`: there were enough of them. */
  | { readonly kind: 'give-up'; readonly why: 'final' | 'exhausted' }
  /** Run again, after a jittered wait or at once; counts towards the bound. */
  | { readonly kind: 'again'; readonly wait: 'none' | 'backoff' }
  /** Run again by the newest route, once there is a newer view or after a jittered wait. */
  | { readonly kind: 'await-route' }
  /** A replica could not serve it: the leader can. */
  | { readonly kind: 'use-leader' }
  /** The account is in another range: there, and at once. */
  | { readonly kind: 'redirected' };

/** There is one redirection for each time that an account has moved; copies that lag may add some. */
const REDIRECTS_MAX = 8;

export interface AttemptFacts {
  readonly error: MeridianError;
  /** Earlier failures that count. */
  readonly conflicts: number;
  readonly retriesMax: number;
  /** The attempt was a read that any replica may serve, and went to this one; undefined: it was not. */
  readonly replica: 'leader' | 'follower' | undefined;
  /** How often the call was sent to another range already. */
  readonly redirects: number;
  /** It has an idempotency key: to repeat it can't do it twice. */
  readonly keyed: boolean;
  /** An earlier attempt may have been committed: the deadline alone ends the search for the answer. */
  readonly unresolved: boolean;
}

export function judge(facts: AttemptFacts): Verdict {
  const { error, replica } = facts;
  if (error.outcome === 'unknown') {
    return facts.keyed ? { kind: 'await-route' } : { kind: 'give-up', why: 'final' };
  }
  if (error.details['departed'] !== undefined && facts.redirects < REDIRECTS_MAX) {
    return { kind: 'redirected' };
  }
  if (replica !== undefined && isReplicasFault(error, replica)) return { kind: 'use-leader' };
  switch (error.code) {
    case 'ERR_ENGINE_STALE_ROUTE':
    case 'ERR_ENGINE_NO_NODE':
    case 'ERR_ENGINE_UNAVAILABLE':
      return { kind: 'await-route' };
    case 'ERR_ENGINE_SERIALIZATION':
    case 'ERR_ENGINE_OVERLOADED': {
      const { conflicts, retriesMax, unresolved } = facts;
      if (conflicts >= retriesMax && !unresolved) return { kind: 'give-up', why: 'exhausted' };
      const first = error.code === 'ERR_ENGINE_SERIALIZATION' && conflicts === 0;
      return { kind: 'again', wait: first ? 'none' : 'backoff' };
    }
    default:
      return { kind: 'give-up', why: 'final' };
  }
}

function isReplicasFault(error: MeridianError, replica: 'leader' | 'follower'): boolean {
  // Unlike its strong reads, this one waited for the leader to have reached a position.
  if (error.code === 'ERR_ENGINE_TOO_STALE') return true;
  // Asked as a replica, a leader fails like one that leads: there is no other to send it to.
  if (replica === 'leader') return false;
  return (
    error.code === 'ERR_ENGINE_UNAVAILABLE' ||
    error.code === 'ERR_ENGINE_STALE_ROUTE' ||
    // A standby cancels queries that hold back replay for too long.
    error.code === 'ERR_ENGINE_SERIALIZATION'
  );
}
