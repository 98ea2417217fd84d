/**
 * Who may ask the pool for a connection, and when. A new one costs the server a process, and the machine
 * more than most transactions do. If everybody who waits dialled at once, and again as soon as that
 * failed, a server that is starting, starved or recovering would do nothing but open its door.
 *
 * So few dial at a time. At first it is one alone, which serves everybody soonest; after a failure one
 * again, and only after a pause. The others wait for what comes of it.
 *
 * Invariants: a connection that is free never waits for a caller; a failed dial is told to everybody who
 * waits, so that each can go elsewhere; nobody waits longer than `waitMs`.
 */
import type { Clock } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import { backoffMs } from '../../kernel/retry.ts';

/** Dials at a time of one process to one node. */
export const DIALS_MAX = 3;
/** Full jitter: half of this on the average. A new leader, or a new epoch, starts without a pause. */
const PAUSE = { baseMs: 50, maxMs: 2_000 };

/** Of the pool, asked anew for each decision. */
export interface PoolSize {
  readonly idleCount: number;
  /** With those that are being made. */
  readonly totalCount: number;
}

export interface TurnFacts extends PoolSize {
  readonly max: number;
  /** Given a turn, and not served yet. */
  readonly taking: number;
  readonly dialling: number;
  /** Dials since one succeeded. */
  readonly failures: number;
  /** Of the pause after the last failure. */
  readonly pausedForMs: number;
}

export type Turn = { readonly kind: 'take' | 'dial' | 'wait' } | { kind: 'pause'; ms: number };

export function turnOf(facts: TurnFacts): Turn {
  if (facts.idleCount > facts.taking) return { kind: 'take' };
  if (facts.totalCount >= facts.max) return { kind: 'wait' };
  const untried = facts.totalCount === facts.dialling;
  if (facts.dialling >= (untried || facts.failures > 0 ? 1 : DIALS_MAX)) return { kind: 'wait' };
  if (facts.pausedForMs > 0) return { kind: 'pause', ms: facts.pausedForMs };
  return { kind: 'dial' };
}

interface Waiting<C> {
  readonly start: (connecting: Promise<C>) => void;
  readonly fail: (reason: Error) => void;
}

export interface DialTurnsOptions<C> {
  readonly clock: Clock;
  readonly random: Random;
  readonly pool: PoolSize;
  readonly max: number;
  readonly waitMs: number;
  readonly connect: () => Promise<C>;
}

export interface Asked<C> {
  readonly connecting: Promise<C>;
  /** Gives up the place in the queue. A connection that is already being fetched comes all the same. */
  readonly leave: () => void;
}

export class DialTurns<C> {
  readonly #options: DialTurnsOptions<C>;
  readonly #waiting = new Set<Waiting<C>>();
  #taking = 0;
  #dialling = 0;
  #failures = 0;
  #pausedUntilMs = -Infinity;
  #cancelPause: (() => void) | undefined;

  constructor(options: DialTurnsOptions<C>) {
    this.#options = options;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Rejects with the dial's failure, its own or that of another, or with a `TurnTimeout`. */
  ask(): Asked<C> {
    if (this.#waiting.size > 0) return this.#wait();
    const turn = this.#turn();
    if (turn.kind !== 'take' && turn.kind !== 'dial') return this.#wait();
    return { connecting: this.#connect(turn.kind), leave: () => {} };
  }

  /** To be called whenever a connection has come free, or is gone. */
  next(): void {
    for (const first of this.#waiting) {
      const turn = this.#turn();
      if (turn.kind === 'pause') {
        this.#cancelPause ??= this.#options.clock.schedule(turn.ms, () => {
          this.#cancelPause = undefined;
          this.next();
        });
      }
      if (turn.kind !== 'take' && turn.kind !== 'dial') return;
      this.#waiting.delete(first);
      first.start(this.#connect(turn.kind));
    }
  }

  /** Whoever waits fails. */
  end(): void {
    this.#cancelPause?.();
    this.#cancelPause = undefined;
    for (const waiting of [...this.#waiting]) waiting.fail(new Error('the connections are closed'));
  }

  #wait(): Asked<C> {
    const { clock, waitMs } = this.#options;
    let leave = (): void => {};
    const connecting = new Promise<C>((resolve, reject) => {
      const waiting: Waiting<C> = {
        start: (fetched) => {
          cancel();
          resolve(fetched);
        },
        fail: (reason) => {
          cancel();
          this.#waiting.delete(waiting);
          reject(reason);
        },
      };
      leave = () => {
        if (this.#waiting.has(waiting)) waiting.fail(new TurnTimeout());
      };
      const cancel = clock.schedule(waitMs, leave);
      this.#waiting.add(waiting);
    });
    this.next();
    return { connecting, leave };
  }

  #turn(): Turn {
    const { pool, max, clock } = this.#options;
    const { idleCount, totalCount } = pool;
    return turnOf({
      ...{ idleCount, totalCount, max },
      ...{ taking: this.#taking, dialling: this.#dialling, failures: this.#failures },
      pausedForMs: this.#pausedUntilMs - clock.monotonicMs(),
    });
  }

  async #connect(how: 'take' | 'dial'): Promise<C> {
    if (how === 'take') {
      this.#taking += 1;
      try {
        return await this.#options.connect();
      } finally {
        this.#taking -= 1;
      }
    }
    this.#dialling += 1;
    try {
      const client = await this.#options.connect();
      this.#failures = 0;
      return client;
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      this.#dialling -= 1;
      this.next();
    }
  }

  #failed(error: unknown): void {
    const { clock, random } = this.#options;
    this.#failures += 1;
    this.#pausedUntilMs = clock.monotonicMs() + backoffMs(this.#failures, random, PAUSE);
    for (const waiting of [...this.#waiting]) waiting.fail(error as Error);
  }
}

/** Nobody's connection came free, and none was made, in time. */
export class TurnTimeout extends Error {
  constructor() {
    super('timeout exceeded when waiting for a connection');
  }
}
