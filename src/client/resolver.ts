/**
 * A client's part of recovery. It finishes what this process could not (a connection lost in the
 * middle of a commit), and now and then looks for what others left in the groups it has used, so that
 * recovery does not depend on the supervisor.
 *
 * Bounded: so many tasks at once and each for so long; whatever is dropped here, the next sweep of
 * anybody finds again.
 */
import type { ControlSubscription } from '../control/subscription.ts';
import type { TwoPhaseVerbs } from '../engines/connector.ts';
import { recover, type RecoveryPort } from '../engines/recovery.ts';
import { IN_DOUBT_AFTER_MS, type Decision } from '../engines/two-phase.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import { firstOf } from '../kernel/signal.ts';
import type { Position } from '../topology/position.ts';
import type { RoutedNode } from '../topology/routing.ts';
import { groupOf, leaderOf } from './choose-node.ts';
import type { Counters } from './counters.ts';
import { untilNews } from './waiting.ts';

export interface ResolverServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly control: ControlSubscription;
  readonly counters: Counters;
  readonly twoPhase: TwoPhaseVerbs;
}

/** Between two looks; uniformly from half to one and a half of it. */
export const CLIENT_SWEEP_PERIOD_MS = 10_000;
/** A group is looked at this long after its last use. */
const USED_FOR_MS = 600_000;
const TASK_MS = 60_000;
const TASKS_MAX = 256;
/** One try of one step; then the route may be a better one. */
const TRY_MS = 5_000;
const BACKOFF = { baseMs: 50, maxMs: 1_000 };

export class Resolver {
  readonly #services: ResolverServices;
  readonly #used = new Map<string, number>();
  readonly #tasks = new Set<Promise<unknown>>();
  readonly #closed = new AbortController();
  #cancelSweep: (() => void) | undefined;

  constructor(services: ResolverServices) {
    this.#services = services;
  }

  /** Cross-group transactions go to these groups: they are looked at from now on. */
  used(groups: readonly string[]): void {
    for (const group of groups) this.#used.set(group, this.#services.clock.monotonicMs());
    this.#scheduleSweep();
  }

  /** The coordinator's answer; undefined when there was none before the signal aborted. */
  settle(
    of: { readonly gid: string; readonly coordinator: string },
    signal: AbortSignal,
  ): Promise<{ readonly decision: Decision; readonly position: Position } | undefined> {
    return this.#repeat(signal, (node, trying) =>
      this.#services.twoPhase.settle(node(of.coordinator), {
        ...{ group: of.coordinator, gid: of.gid, signal: trying },
      }),
    );
  }

  /** Where the half of a transaction known to be committed can be seen; finishes it if nobody has. */
  reveal(gid: string, group: string, signal: AbortSignal): Promise<Position | undefined> {
    return this.#repeat(signal, (node, trying) =>
      this.#services.twoPhase.finish(node(group), {
        ...{ group, gid, decision: 'commit', signal: trying },
      }),
    );
  }

  /** Goes on after the caller has stopped waiting; undefined when it was given up. */
  finish(gid: string, group: string, decision: Decision): Promise<Position | undefined> {
    return this.#task(async (signal) => {
      const done = await this.#repeat(signal, (node, trying) =>
        this.#services.twoPhase.finish(node(group), { group, gid, decision, signal: trying }),
      );
      if (done !== undefined) this.#services.counters.add('crossGroupRecovered');
      return done;
    });
  }

  /** Asks, then finishes, with nobody waiting. */
  resolveLater(gid: string, coordinator: string, groups: readonly string[]): void {
    void this.#task(async (signal) => {
      const settled = await this.settle({ gid, coordinator }, signal);
      if (settled === undefined) return;
      await Promise.all(groups.map((group) => this.finish(gid, group, settled.decision)));
    });
  }

  /** One look at the groups used; gives how many transactions were finished. */
  async sweep(olderThanMs = IN_DOUBT_AFTER_MS): Promise<number> {
    const { clock, control, counters } = this.#services;
    const now = clock.monotonicMs();
    for (const [group, at] of this.#used) if (now - at > USED_FOR_MS) this.#used.delete(group);
    const known = new Set(Object.keys(control.view.groups));
    const groups = [...this.#used.keys()].filter((group) => known.has(group));
    const recovered = await recover(this.#port(), { groups, known, olderThanMs });
    for (const _ of recovered) counters.add('crossGroupRecovered');
    return recovered.length;
  }

  /** Aborts what is under way; others finish it. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#cancelSweep?.();
    await Promise.allSettled(this.#tasks);
  }

  #scheduleSweep(): void {
    if (this.#cancelSweep !== undefined || this.#closed.signal.aborted) return;
    const { clock, random } = this.#services;
    this.#cancelSweep = clock.schedule(CLIENT_SWEEP_PERIOD_MS * (0.5 + random.next()), () => {
      this.#cancelSweep = undefined;
      void this.#task(() => this.sweep()).then(() => {
        if (this.#used.size > 0) this.#scheduleSweep();
      });
    });
  }

  #port(): RecoveryPort {
    const { twoPhase } = this.#services;
    const once = <T>(
      group: string,
      run: (node: RoutedNode, signal: AbortSignal) => Promise<T>,
    ): Promise<T> =>
      this.#within(TRY_MS, this.#closed.signal, (signal) => run(this.#leader(group), signal));
    return {
      prepared: (group) => once(group, (node, signal) => twoPhase.prepared(node, { signal })),
      settle: async (group, gid) =>
        (await once(group, (node, signal) => twoPhase.settle(node, { group, gid, signal })))
          .decision,
      finish: async (group, gid, decision) => {
        await once(group, (node, signal) =>
          twoPhase.finish(node, { group, gid, decision, signal }),
        );
      },
    };
  }

  /** Undefined when there are too many, or it failed for good. */
  async #task<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    if (this.#tasks.size >= TASKS_MAX) return undefined;
    const task = this.#within(TASK_MS, this.#closed.signal, run).catch(() => undefined);
    this.#tasks.add(task);
    try {
      return await task;
    } finally {
      this.#tasks.delete(task);
    }
  }

  /** Again and again by the newest route, until it succeeds or the signal aborts. */
  async #repeat<T>(
    signal: AbortSignal,
    run: (node: (group: string) => RoutedNode, signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    const { control, random } = this.#services;
    using either = firstOf(signal, this.#closed.signal);
    for (let attempt = 1; !either.signal.aborted; attempt += 1) {
      const { version } = control.view;
      try {
        return await this.#within(TRY_MS, either.signal, (trying) =>
          run((name) => this.#leader(name), trying),
        );
      } catch {
        // Restarting, unreachable, or busy with the same transaction: what is left is to try again.
        const atMostMs = backoffMs(attempt, random, BACKOFF);
        await untilNews(this.#services, { version, atMostMs, signal: either.signal });
      }
    }
    return undefined;
  }

  async #within<T>(
    ms: number,
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const limit = new AbortController();
    const cancel = this.#services.clock.schedule(ms, () => {
      limit.abort(
        new MeridianError('ERR_DEADLINE_EXCEEDED', `not finished within ${String(ms)} ms`),
      );
    });
    using either = firstOf(signal, limit.signal);
    try {
      return await run(either.signal);
    } finally {
      cancel();
    }
  }

  #leader(group: string): RoutedNode {
    return leaderOf(groupOf(this.#services.control.view, group));
  }
}
