/** What a transaction function is given: one account's view of a session, plain or as a pool. */
import type { SessionTransaction } from '../engines/connector.ts';
import type { Transaction } from './api.ts';
import { boundHost, type Blocks } from './sql-tools/bound-host.ts';
import type { HandleSession } from './sql-tools/host.ts';
import { poolOn, type SqlPool } from './sql-tools/pool.ts';

/** What of a session concerns its statements; its end is not the function's. */
export type OpenSession = Pick<
  SessionTransaction,
  'failure' | 'query' | 'savepoint' | 'release' | 'rollbackTo'
>;

/** A transaction as the library's own parts see it. */
export interface Handle extends Transaction {
  readonly session: HandleSession;
}

const blocksOf = new WeakMap<OpenSession, Blocks>();

export function handleOn(
  session: OpenSession,
  of: { readonly scope: number; readonly attempt: number; readonly signal: AbortSignal },
): Handle {
  const slice: HandleSession = {
    get failure() {
      return session.failure;
    },
    query: (statement) => session.query(of.scope, statement),
    savepoint: (name) => session.savepoint(name),
    release: (name) => session.release(name),
    rollbackTo: (name) => session.rollbackTo(name),
  };
  const blocks = blocksOf.get(session) ?? { begun: 0, open: false };
  blocksOf.set(session, blocks);
  let pool: SqlPool | undefined;
  return {
    attempt: of.attempt,
    signal: of.signal,
    query: async <R extends object>(text: string, values: readonly unknown[] = []) => {
      const result = await slice.query({ text, values });
      return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
    },
    pool: () => (pool ??= poolOn(boundHost(slice, blocks))),
    session: slice,
  };
}
