/** What the database refused, found in what a tool threw. */
import assert from 'node:assert/strict';
import pg from 'pg';

/** The database's own error, however deep a tool has wrapped it. */
export function refusalIn(error: unknown): pg.DatabaseError {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof pg.DatabaseError) return at;
  }
  throw new assert.AssertionError({ message: `no database error in ${String(error)}` });
}

export async function refusalOf(promise: Promise<unknown>): Promise<pg.DatabaseError> {
  return refusalIn(
    await promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
}
