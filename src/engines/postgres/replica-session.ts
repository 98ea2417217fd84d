/**
 * Transactions on replicas, which must not cost a reader its deadline when the replica is silent: a
 * partitioned or stopped server closes nothing. So its first answer is waited for with a bound of its own
 * (`patienceMs`); the reader then asks elsewhere. Later statements may take as long as they need.
 *
 * A server that is merely slow answers in the end, and its connection is used again. If it were cut and
 * made anew each time, a replica that is short of processor time would spend what it has on that.
 */
import type { Clock } from '../../kernel/clock.ts';
import type { Access, BeginOptions, SessionTarget } from '../connector.ts';
import { silence, type NodeConnections } from './node-connections.ts';
import { awaitPosition } from './position-wait.ts';
import { PostgresTransaction } from './transaction.ts';

/** Making a connection takes some round trips more than a question. */
const CONNECTING_FACTOR = 2;
/** A connection that says nothing for so much longer is cut. */
const LINGER_MS = 10_000;

type ReplicaRead = Extract<Access, { kind: 'replica-read' }>;

export async function beginOnReplica(
  connections: NodeConnections,
  clock: Clock,
  of: {
    readonly target: SessionTarget;
    readonly access: ReplicaRead;
    readonly options: BeginOptions;
  },
): Promise<PostgresTransaction> {
  const { target, access, options } = of;
  const { patienceMs, waitMs, atLeast } = access;
  const client = await connections.acquire({
    signal: options.signal,
    patienceMs: patienceMs * CONNECTING_FACTOR,
  });
  const heardWithin = (
    transaction: PostgresTransaction,
    ms: number,
    answer: Promise<unknown>,
  ): void => {
    const cancel = clock.schedule(ms, () => {
      const over = transaction.abandon(silence(target.node, ms), answer);
      connections.linger(client, over, LINGER_MS);
    });
    answer.then(
      () => {
        cancel();
        connections.heard();
      },
      () => {
        cancel();
      },
    );
  };
  const transaction: PostgresTransaction = new PostgresTransaction(client, target, {
    ...options,
    onOpening: (entered) => {
      heardWithin(transaction, patienceMs, entered);
    },
    onEnding: (over) => {
      connections.linger(client, over, LINGER_MS);
    },
  });
  if (atLeast === undefined) return transaction;
  try {
    const reached = awaitPosition(client, clock, {
      ...{ wanted: atLeast, waitMs, signal: options.signal },
    });
    heardWithin(transaction, waitMs + patienceMs, reached);
    await transaction.unlessAbandoned(reached);
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
  return transaction;
}
