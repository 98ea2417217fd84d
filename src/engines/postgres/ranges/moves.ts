/**
 * The moves of this engine: one at a time, since each takes connections, slots and workers of both groups.
 * What is to be moved is stored before anything is done, and forgotten when it has ended; a move that the
 * end of the engine interrupts is settled by the next start, and then goes on by itself.
 */
import { MeridianError } from '../../../kernel/errors.ts';
import type { PerformOptions } from '../../engine.ts';
import type { ObservedMove } from '../../snapshot.ts';
import type { Cluster } from '../cluster.ts';
import type { RangePlaces } from '../routes.ts';
import { RangeMove } from './range-move.ts';

const STOP_WAIT_MS = 300;

export class Moves {
  readonly #cluster: Cluster;
  readonly #ranges: RangePlaces;
  readonly #moves = new Map<string, RangeMove>();
  readonly #running = new Map<string, Promise<unknown>>();
  /** Of an earlier life, and not resumed yet. */
  readonly #settled = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, ranges: RangePlaces) {
    this.#cluster = cluster;
    this.#ranges = ranges;
  }

  /** Resolves when the range is in the other group, and nothing of it is left in its own. */
  async move(range: string, to: string, options: PerformOptions): Promise<'done' | 'already-done'> {
    const from = this.#cluster.register.placeOf(range);
    if (from === to && !this.#moves.has(range)) return 'already-done';
    if (this.#moves.has(range) || from === undefined) {
      throw refused(`${range} is being moved already, or was never prepared`);
    }
    if (this.#cluster.migrating.has(range)) throw refused(`${range} is being migrated`);
    if (this.#cluster.register.draining.includes(to)) {
      throw refused(`${to} is to go: nothing is put there any more`);
    }
    const move = new RangeMove({ cluster: this.#cluster, ranges: this.#ranges }, range, {
      from,
      to,
    });
    this.#moves.set(range, move);
    try {
      await this.#cluster.register.beginMove(range, { from, to });
    } catch (error) {
      this.#moves.delete(range);
      throw error;
    }
    move.watch(options);
    await this.#run(move);
    return 'done';
  }

  /** As `move`, whoever has begun it: one of an earlier life goes on by itself. */
  async arrive(range: string, to: string): Promise<void> {
    const underWay = this.#moves.get(range)?.to === to ? this.#running.get(range) : undefined;
    await (underWay ?? this.move(range, to, {}));
  }

  /** Resolves when the range is where it was before, for good. */
  async cancel(range: string): Promise<'done' | 'already-done'> {
    const move = this.#moves.get(range);
    if (move === undefined) return 'already-done';
    if (move.decided) {
      throw refused(`${range} is in ${move.to} already: what is left is to tidy up`);
    }
    move.cancel();
    await this.#running.get(range)?.catch(() => {});
    if (this.#cluster.register.placeOf(range) !== move.from) {
      throw refused(`${range} was in ${move.to} before its move could be cancelled`);
    }
    return 'done';
  }

  /** Of an earlier life: who has the range is made certain, then it goes on beside everything else. */
  async settle(range: string): Promise<'done' | 'already-done'> {
    const stored = this.#cluster.register.moves[range];
    if (stored === undefined || this.#moves.has(range)) return 'already-done';
    const move = new RangeMove({ cluster: this.#cluster, ranges: this.#ranges }, range, stored);
    this.#moves.set(range, move);
    this.#settled.add(range);
    await move.settle();
    return 'done';
  }

  /** Those that were settled go on, once what they need has been made. */
  resume(range: string): void {
    const move = this.#moves.get(range);
    if (move === undefined || !this.#settled.delete(range)) return;
    this.#run(move).catch((error: unknown) => {
      if (this.#cluster.stopping) return;
      this.#cluster.services.log.error('a range move has ended', { range, error });
    });
  }

  /** What else is done to ranges waits for its turn, too. */
  inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** It was settled, and has not been resumed yet. */
  waits(range: string): boolean {
    return this.#settled.has(range);
  }

  of(range: string): ObservedMove | undefined {
    return this.#moves.get(range)?.observed;
  }

  /** The engine has begun to stop: those that run notice, or the end of the servers tells them. */
  async ended(): Promise<void> {
    const { clock } = this.#cluster.services;
    await Promise.race([Promise.allSettled(this.#running.values()), clock.sleep(STOP_WAIT_MS)]);
  }

  async #run(move: RangeMove): Promise<void> {
    const running = this.inTurn(() => move.run());
    this.#running.set(move.range, running);
    try {
      await running;
    } finally {
      this.#running.delete(move.range);
      // Interrupted: the next life needs to know of it.
      if (!this.#cluster.stopping) {
        this.#moves.delete(move.range);
        await this.#cluster.register.endMove(move.range);
      }
    }
  }
}

function refused(message: string): MeridianError {
  return new MeridianError('ERR_OPERATION_REFUSED', message);
}
