/**
 * What to do after a failed attempt. Pure. Everything before COMMIT is safe to run again, because
 * nothing of it happened; a commit of unknown outcome is not, unless an idempotency key makes it so.
 */
import type { MeridianError } from '../kernel/errors.ts';

export type Verdict =
  | { readonly kind: 'give-up' }
  /** Run again, after a jittered wait (conflicts) or at once. */
  | { readonly kind: 'again'; readonly wait: 'none' | 'backoff' }
  /** Run again with a newer routing view and a fresh directory lookup. */
  | { readonly kind: 'reroute' }
  /** A replica could not serve it: the leader can. */
  | { readonly kind: 'use-leader' };

export interface AttemptFacts {
  readonly error: MeridianError;
  readonly attempt: number;
  readonly retriesMax: number;
  /** The attempt went to a replica. */
  readonly onReplica: boolean;
  /** It has an idempotency key: to repeat it can't do it twice. */
  readonly keyed: boolean;
  /** An earlier attempt may have been committed: the deadline alone ends the search for the answer. */
  readonly unresolved: boolean;
}

export function judge(facts: AttemptFacts): Verdict {
  const { error, onReplica } = facts;
  if (error.outcome === 'unknown') {
    return facts.keyed ? { kind: 'again', wait: 'backoff' } : { kind: 'give-up' };
  }
  if (onReplica && isReplicasFault(error)) return { kind: 'use-leader' };
  if (facts.attempt > facts.retriesMax && !facts.unresolved) return { kind: 'give-up' };
  switch (error.code) {
    case 'ERR_ENGINE_SERIALIZATION':
      return { kind: 'again', wait: facts.attempt === 1 ? 'none' : 'backoff' };
    case 'ERR_ENGINE_STALE_ROUTE':
    case 'ERR_ENGINE_NO_NODE':
      return { kind: 'reroute' };
    case 'ERR_ENGINE_UNAVAILABLE':
    case 'ERR_ENGINE_OVERLOADED':
      return { kind: 'again', wait: 'backoff' };
    default:
      return { kind: 'give-up' };
  }
}

function isReplicasFault(error: MeridianError): boolean {
  return (
    error.code === 'ERR_ENGINE_TOO_STALE' ||
    error.code === 'ERR_ENGINE_UNAVAILABLE' ||
    error.code === 'ERR_ENGINE_STALE_ROUTE' ||
    // A standby cancels queries that hold back replay for too long.
    error.code === 'ERR_ENGINE_SERIALIZATION'
  );
}
