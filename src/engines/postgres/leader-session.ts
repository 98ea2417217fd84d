/**
 * One kept connection per group, to its open leader, for what the supervisor asks again and again:
 * heartbeats and the look for prepared transactions. A server process for each would cost memory on
 * every leader. It belongs to one epoch; at the next, or after a failure, it is made anew.
 *
 * Commits on it wait for the local flush alone. What needs the quorum takes a connection of its own.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import { socketOf } from './closing.ts';
import { connectAdmin, unreachableNode } from './admin.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';

const STATEMENT_TIMEOUT_MS = 5_000;

interface Session {
  readonly epoch: number;
  readonly client: Promise<pg.Client>;
}

export class LeaderSessions {
  readonly #cluster: Cluster;
  readonly #sessions = new Map<string, Session>();
  #closed = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Single statements only: others share the connection, and theirs are not waited for. Rejects when the leader cannot be asked. */
  async use<T>(group: ClusterGroup, run: (client: pg.Client) => Promise<T>): Promise<T> {
    if (this.#closed) throw new MeridianError('ERR_ENGINE_CLOSED', 'the engine is stopping');
    if (!this.#cluster.reaches(group.leader)) throw unreachableNode(group.leader);
    const { name } = group.spec;
    let session = this.#sessions.get(name);
    if (session?.epoch !== group.epoch) {
      this.#drop(name);
      session = { epoch: group.epoch, client: this.#connect(group) };
      this.#sessions.set(name, session);
    }
    try {
      return await run(await session.client);
    } catch (error) {
      if (this.#sessions.get(name) === session) this.#drop(name);
      throw error;
    }
  }

  /** The next use connects anew; statements under way fail. */
  drop(group: ClusterGroup): void {
    this.#drop(group.spec.name);
  }

  /** Ends all, for good; statements under way fail. */
  close(): void {
    this.#closed = true;
    for (const name of this.#sessions.keys()) this.#drop(name);
  }

  async #connect(group: ClusterGroup): Promise<pg.Client> {
    const client = await connectAdmin(this.#cluster.admin(group.leader), {
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      pipeline: true,
    });
    await client.query('SET synchronous_commit = local');
    return client;
  }

  #drop(name: string): void {
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    // A connection to a server that hangs does not end by being asked to.
    session?.client.then((client) => socketOf(client).destroy()).catch(() => {});
  }
}
