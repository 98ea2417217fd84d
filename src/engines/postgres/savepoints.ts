/** Savepoints: their statements, and which refusals a rollback to one forgives. Pure. */
import type { MeridianError } from '../../kernel/errors.ts';
import { quoteIdentifier } from './quote.ts';

export type SavepointCommand = 'savepoint' | 'release' | 'rollback to';

const VERBS: Readonly<Record<SavepointCommand, string>> = {
  savepoint: 'SAVEPOINT',
  release: 'RELEASE SAVEPOINT',
  'rollback to': 'ROLLBACK TO SAVEPOINT',
};

export function savepointText(command: SavepointCommand, name: string): string {
  return `${VERBS[command]} ${quoteIdentifier(name)}`;
}

/**
 * A conflict dooms the snapshot, and a stale route every statement: going on after the mark would
 * either fail again or commit what a repetition of the whole would have decided otherwise.
 */
export function forgivable(failure: MeridianError): boolean {
  const limit = failure.code === 'ERR_STATEMENT_TIMEOUT' || failure.code === 'ERR_LOCK_TIMEOUT';
  return failure.outcome === 'none' && (failure.retry === 'never' || limit);
}
