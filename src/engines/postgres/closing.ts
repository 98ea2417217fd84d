/**
 * Ends of transactions, as messages. Each sets `synchronous_commit` back to `on` itself, so that a
 * session that lowered it cannot be acknowledged early, and each tells whether the server's wait for
 * the quorum was cancelled: PostgreSQL then answers success and a notice (01000), with the record on
 * one disk alone.
 */
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { REACHED_SQL, type ReachedRow } from './position-wait.ts';
import { quoteLiteral } from './quote.ts';

const QUORUM_WAIT_CANCELLED = '01000';

/** One message: the server has all of it or nothing. */
const COMMIT = 'SET LOCAL synchronous_commit = on; COMMIT';

export const CLOSING = {
  commit: COMMIT,
  /** A refusal of the decision ends the message: COMMIT is not reached. */
  decide: (gid: string) => `SELECT meridian.decide(${quoteLiteral(gid)}); ${COMMIT}`,
  prepare: (gid: string) =>
    `SET LOCAL synchronous_commit = on; PREPARE TRANSACTION ${quoteLiteral(gid)}`,
} as const;

export interface Closed {
  readonly answer: PromiseSettledResult<unknown>;
  /** Tag of the last command; ROLLBACK instead of what was sent, when the transaction had failed. */
  readonly tag: string | undefined;
  /** Asked for in a message of its own, so that its failure is its own. */
  readonly reached: PromiseSettledResult<pg.QueryResult<ReachedRow>>;
  readonly waitCancelled: boolean;
}

/** Sends the messages and the question for the position in one flight; never rejects. */
export async function sendClosing(
  client: pg.ClientBase,
  ...messages: readonly string[]
): Promise<Closed> {
  let waitCancelled = false;
  const onNotice = (notice: { code?: string | undefined }): void => {
    if (notice.code === QUORUM_WAIT_CANCELLED) waitCancelled = true;
  };
  client.on('notice', onNotice);
  try {
    const socket = socketOf(client);
    socket.cork();
    const sent = messages.map((text) => client.query(text));
    const asked = client.query<ReachedRow>({ name: 'meridian_reached', text: REACHED_SQL });
    process.nextTick(() => {
      socket.uncork();
    });
    const [answers, [reached]] = await Promise.all([
      Promise.allSettled(sent),
      Promise.allSettled([asked]),
    ]);
    const answer = answers.find((one) => one.status === 'rejected') ?? answers.at(-1);
    if (answer === undefined) throw new TypeError('there is nothing to send');
    return { answer, tag: tagOf(answer), reached, waitCancelled };
  } finally {
    client.off('notice', onNotice);
  }
}

/** Of a text with several statements there are as many results. */
function tagOf(
  answer: PromiseSettledResult<pg.QueryResult | pg.QueryResult[]>,
): string | undefined {
  if (answer.status === 'rejected') return undefined;
  const last = Array.isArray(answer.value) ? answer.value.at(-1) : answer.value;
  return last?.command;
}

export function socketOf(client: pg.ClientBase): Duplex {
  return (client as unknown as { connection: { stream: Duplex } }).connection.stream;
}
