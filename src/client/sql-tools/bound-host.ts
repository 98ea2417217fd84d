/**
 * A pool inside a transaction that the library runs: every statement belongs to it, and a tool's own
 * BEGIN … COMMIT is a savepoint in it. So the library's function is run again as a whole when it
 * conflicts, tool and all.
 *
 * One block at a time, and nothing beside it: a statement of another connection would be undone with
 * the block, after it had been answered.
 */
import type { Token } from '../../topology/position.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type { Block, HandleSession, Host } from './host.ts';

export function boundHost(session: HandleSession): Host {
  let blocks = 0;
  let open = false;
  const refuseBeside = (): void => {
    if (!open) return;
    throw new MeridianError(
      'ERR_TRANSACTION_NESTED',
      'another connection of this pool has a transaction open, and all of them share one',
    );
  };
  return {
    // The session's own access decides; a write in a read is refused by the database.
    readOnly: false,
    token: (): Token => '',
    alone: async (statement) => {
      refuseBeside();
      return session.query(statement);
    },
    begin: async (): Promise<Block> => {
      refuseBeside();
      blocks += 1;
      const name = `meridian_${String(blocks)}`;
      open = true;
      try {
        await session.savepoint(name);
      } catch (error) {
        open = false;
        throw error;
      }
      return {
        get failure() {
          return session.failure;
        },
        // The library's own function waits for it.
        running: undefined,
        query: (statement) => session.query(statement),
        savepoint: (mark) => session.savepoint(mark),
        release: (mark) => session.release(mark),
        rollbackTo: (mark) => session.rollbackTo(mark),
        commit: async () => {
          open = false;
          await session.release(name);
        },
        rollback: async () => {
          open = false;
          // What cannot be forgiven stays the session's failure, and ends the whole.
          await session.rollbackTo(name).then(
            () => session.release(name),
            () => {},
          );
        },
      };
    },
  };
}
