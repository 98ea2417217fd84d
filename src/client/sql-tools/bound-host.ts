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

/** Of a session, and shared by the handles on it: savepoints are all of theirs. */
export interface Blocks {
  begun: number;
  open: boolean;
}

export function boundHost(session: HandleSession, blocks: Blocks): Host {
  const refuseBeside = (): void => {
    if (!blocks.open) return;
    throw new MeridianError(
      'ERR_TRANSACTION_NESTED',
      'another connection has a transaction open inside this one, and all of them share it',
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
      blocks.begun += 1;
      const name = `meridian_${String(blocks.begun)}`;
      blocks.open = true;
      try {
        await session.savepoint(name);
      } catch (error) {
        blocks.open = false;
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
          blocks.open = false;
          await session.release(name);
        },
        rollback: async () => {
          blocks.open = false;
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
