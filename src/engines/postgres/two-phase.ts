/**
 * The statements of two-phase commit, on any connection to a leader: the one that prepared, a
 * client's that recovers, the supervisor's.
 *
 * A finished transaction is unknown to the server (42704), whoever finished it. Whether that is on a
 * quorum is not known then, so a record of our own is waited for, which comes after it in the log.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import type { Position } from '../../topology/position.ts';
import type { PreparedSession } from '../connector.ts';
import type { Decision, PreparedTransaction } from '../two-phase.ts';
import { sendClosing } from './closing.ts';
import { parseReached } from './position-wait.ts';
import { quoteLiteral } from './quote.ts';
import { sqlStateOf } from './sqlstate.ts';

const NO_SUCH_TRANSACTION = '42704';
const DURABLE = 'SET synchronous_commit = on';

export type Reached = Omit<Position, 'group'>;

/** A commit without content; resolves when everything before it is on a quorum too. */
export async function awaitQuorum(client: pg.ClientBase): Promise<Reached> {
  return durably(client, `SELECT pg_logical_emit_message(true, 'meridian', '')`);
}

export async function preparedOn(client: pg.ClientBase): Promise<PreparedTransaction[]> {
  const found = await client.query<{ gid: string; age: number }>({
    name: 'meridian_prepared',
    text: `SELECT gid, (1000 * extract(epoch FROM clock_timestamp() - prepared))::float8 AS age
           FROM pg_prepared_xacts WHERE database = current_database()`,
  });
  return found.rows.map(({ gid, age }) => ({ gid, ageMs: age }));
}

export async function settleOn(
  client: pg.ClientBase,
  group: string,
  gid: string,
): Promise<{ readonly decision: Decision; readonly reached: Reached }> {
  let decision: unknown;
  const reached = await durably(
    client,
    `SELECT meridian.settle(${quoteLiteral(group)}, ${quoteLiteral(gid)}) AS decision`,
    (rows) => (decision = rows[0]?.['decision']),
  );
  if (decision !== 'commit' && decision !== 'abort') {
    throw new MeridianError('ERR_INTERNAL', 'a decision is neither commit nor abort');
  }
  return { decision, reached };
}

export async function finishOn(
  client: pg.ClientBase,
  gid: string,
  decision: Decision,
): Promise<Reached> {
  const verb = decision === 'commit' ? 'COMMIT' : 'ROLLBACK';
  try {
    return await durably(client, `${verb} PREPARED ${quoteLiteral(gid)}`);
  } catch (error) {
    if (sqlStateOf(error) !== NO_SUCH_TRANSACTION) throw error;
    return awaitQuorum(client);
  }
}

/** One statement whose effect is on a quorum when this resolves. */
async function durably(
  client: pg.ClientBase,
  text: string,
  read?: (rows: Record<string, unknown>[]) => unknown,
): Promise<Reached> {
  const { answer, reached, waitCancelled } = await sendClosing(client, DURABLE, text);
  if (answer.status === 'rejected') throw answer.reason as Error;
  if (waitCancelled) {
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the quorum did not confirm it');
  }
  if (reached.status === 'rejected') throw reached.reason as Error;
  read?.((answer.value as pg.QueryResult<Record<string, unknown>>).rows);
  return parseReached(reached.value.rows[0]);
}

export interface PreparedParts {
  readonly client: pg.PoolClient;
  readonly group: string;
  readonly gid: string;
  /** Gives the connection back, once; a broken one is not kept. */
  readonly release: (broken?: unknown) => void;
  readonly refused: (error: unknown) => MeridianError;
}

/** What `prepare` leaves behind on its connection. */
export function preparedSession(parts: PreparedParts): PreparedSession {
  const { client, group, gid, release, refused } = parts;
  return {
    finish: async (decision) => {
      try {
        const reached = await finishOn(client, gid, decision);
        release();
        return { group, ...reached };
      } catch (error) {
        release(error);
        throw refused(error);
      }
    },
    leave: () => {
      release();
    },
  };
}
