/**
 * Connections of the supervisor for looking at servers, kept for a moment. A backend of its own for
 * each look costs the machine more than all that is asked: whoever waits until a group is well looks at
 * every server again and again, and would take the processor from the very servers that are recovering.
 *
 * Only for questions in single statements, which leave nothing behind in the session. What is asked with
 * a kept connection and fails at once is asked anew: its server may have been replaced.
 */
import type pg from 'pg';
import type { Clock } from '../../kernel/clock.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { connectAdmin, unreachableNode, type AdminOptions, type AdminTarget } from './admin.ts';
import { fromDriver } from './sqlstate.ts';

interface Kept {
  readonly client: pg.Client;
  readonly port: number;
  readonly cancelEnd: () => void;
}

const ANSWER_TIMEOUT_MS = 2_000;
const KEPT_MS = 3_000;
/** A node, and the group that it leads. */
const KEPT_MAX = 2;
/** A connection that is no more says so at once; one to a server that hangs says nothing. */
const AT_ONCE_MS = 500;

export class Looks {
  readonly #clock: Clock;
  /** By node. */
  readonly #kept = new Map<string, Kept[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rejects as `withAdmin` does, and when there is no answer in two seconds. */
  async look<T>(
    target: AdminTarget,
    run: (client: pg.Client) => Promise<T>,
    options: Pick<AdminOptions, 'connectTimeoutMs'> = {},
  ): Promise<T> {
    if (target.reachable?.() === false) throw unreachableNode(target.node);
    const kept = this.#take(target);
    if (kept !== undefined) {
      const startedMs = this.#clock.monotonicMs();
      try {
        return await this.#ask(target, kept, run);
      } catch (error) {
        if (this.#clock.monotonicMs() - startedMs > AT_ONCE_MS) throw error;
      }
    }
    const client = await connectAdmin(target, {
      ...options,
      statementTimeoutMs: ANSWER_TIMEOUT_MS,
    });
    client.once('end', () => {
      this.#forget(target.node, client);
    });
    return this.#ask(target, client, run);
  }

  async #ask<T>(
    target: AdminTarget,
    client: pg.Client,
    run: (client: pg.Client) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await run(client);
      this.#keep(target, client);
      return answer;
    } catch (error) {
      end(client);
      throw isMeridianError(error) ? error : fromDriver(error, `on ${target.node}`);
    }
  }

  #take({ node, port }: AdminTarget): pg.Client | undefined {
    const kept = this.#kept.get(node)?.pop();
    if (kept === undefined) return undefined;
    kept.cancelEnd();
    if (kept.port === port) return kept.client;
    end(kept.client);
    return undefined;
  }

  #keep({ node, port }: AdminTarget, client: pg.Client): void {
    const kept = this.#kept.get(node) ?? [];
    this.#kept.set(node, kept);
    if (kept.length >= KEPT_MAX) {
      end(client);
      return;
    }
    const cancelEnd = this.#clock.schedule(KEPT_MS, () => {
      this.#forget(node, client);
      end(client);
    });
    kept.push({ client, port, cancelEnd });
  }

  #forget(node: string, client: pg.Client): void {
    const kept = this.#kept.get(node) ?? [];
    const at = kept.findIndex((one) => one.client === client);
    for (const { cancelEnd } of at < 0 ? [] : kept.splice(at, 1)) cancelEnd();
  }
}

function end(client: pg.Client): void {
  void client.end().catch(() => {});
}
