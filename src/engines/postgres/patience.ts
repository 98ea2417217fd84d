/**
 * How DDL takes its locks beside traffic. A statement that waits for a table's exclusive lock holds up
 * everybody who comes after it; so it waits for a moment only, lets them pass, and tries again.
 */
import type { Clock } from '../../kernel/clock.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import type { Log } from '../../kernel/log.ts';
import type { Random } from '../../kernel/random.ts';
import { backoffMs } from '../../kernel/retry.ts';
import { sqlStateOf } from './sqlstate.ts';

/** What a waiting statement may cost the traffic behind it, each time. */
export const LOCK_TIMEOUT_MS = 250;
/** Longer than transactions of the library may last; then the failure is told. */
const PATIENCE_MS = 30_000;
const BACKOFF = { baseMs: 50, maxMs: 1_000 };

/** The lock was not had in time, or a deadlock or conflict ended the attempt: nothing was done. */
const PASSING = new Set(['55P03', '40P01', '40001']);

export interface PatienceServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** `run` is one transaction, or may be run again as it is. */
export async function patiently<T>(services: PatienceServices, run: () => Promise<T>): Promise<T> {
  const { clock, random, log } = services;
  const endsAtMs = clock.monotonicMs() + PATIENCE_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (!isPassing(error) || clock.monotonicMs() >= endsAtMs) throw error;
      log.debug('a migration waits for its locks', { attempt });
      await clock.sleep(backoffMs(attempt, random, BACKOFF));
    }
  }
}

/** Whoever met it: the database's own error is the failure, or its cause. */
function isPassing(error: unknown): boolean {
  const told = isMeridianError(error)
    ? (error.details['sqlState'] ?? sqlStateOf(error.cause))
    : sqlStateOf(error);
  return typeof told === 'string' && PASSING.has(told);
}
