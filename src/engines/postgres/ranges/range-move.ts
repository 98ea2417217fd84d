/**
 * Runs one move (move-machine.ts): does what the phase asks for, takes the event that comes of it to the
 * table, and goes on until it has ended or the engine stops. What fails is tried again after a pause; an
 * attempt whose copy has become worthless is begun anew, a bounded number of times.
 */
import { isMeridianError, MeridianError, messageOf } from '../../../kernel/errors.ts';
import { backoffMs } from '../../../kernel/retry.ts';
import type { PerformOptions } from '../../engine.ts';
import type { ObservedMove } from '../../snapshot.ts';
import type { Cluster } from '../cluster.ts';
import type { StoredMove } from '../places.ts';
import type { RangePlaces } from '../routes.ts';
import { letGoOfComparison } from './comparison.ts';
import { MOVE_EFFECTS } from './move-effects.ts';
import { isDecided, moveTransition, type MoveEvent, type MovePhase } from './move-machine.ts';
import type { ComparisonPoint, Moving, SequenceState } from './moving.ts';

const ATTEMPTS_MAX = 5;
const BACKOFF = { baseMs: 200, maxMs: 5_000 };

/** It would fail again in the same way. */
const HOPELESS = new Set([
  'ERR_OPERATION_REFUSED',
  'ERR_MIGRATION_FAILED',
  'ERR_MIGRATION_CHANGED',
]);

export class RangeMove implements Moving {
  readonly cluster: Cluster;
  readonly ranges: RangePlaces;
  readonly range: string;
  readonly from: string;
  readonly to: string;
  attemptName = '';
  epochs: string | undefined;
  targetGroupEpoch = 0;
  rangeEpoch = 0;
  sequences: readonly SequenceState[] = [];
  origins = '';
  comparison: ComparisonPoint | undefined;
  cancelled = false;
  phase: MovePhase = 'settling';
  /** Why the last attempt failed, or nothing will be tried any more. */
  failure: MeridianError | undefined;
  #attempts = 0;
  #failuresInRow = 0;
  #progress = { doneBytes: 0, totalBytes: 0 };
  readonly #startedAtMs: number;
  #listener: Pick<PerformOptions, 'onPhase' | 'onProgress'> = {};
  /** It shall not be tried again: undone where that is possible. */
  #given = false;

  constructor(
    on: { readonly cluster: Cluster; readonly ranges: RangePlaces },
    range: string,
    { from, to }: StoredMove,
  ) {
    this.cluster = on.cluster;
    this.ranges = on.ranges;
    this.range = range;
    this.from = from;
    this.to = to;
    this.#startedAtMs = on.cluster.services.clock.monotonicMs();
  }

  /** Shows whoever watches what goes on from now; one at a time. */
  watch(listener: Pick<PerformOptions, 'onPhase' | 'onProgress'>): void {
    this.#listener = listener;
  }

  cancel(): void {
    this.cancelled = true;
  }

  onProgress(doneBytes: number, totalBytes: number): void {
    this.#progress = { doneBytes, totalBytes };
    this.#listener.onProgress?.({ doneBytes, totalBytes });
  }

  get observed(): ObservedMove {
    const { clock } = this.cluster.services;
    return {
      ...{ from: this.from, to: this.to, phase: this.phase },
      ...{ attempt: Math.max(1, this.#attempts), ...this.#progress },
      detail: this.failure?.message.split('\n')[0] ?? '',
      sinceMs: Math.round(clock.monotonicMs() - this.#startedAtMs),
    };
  }

  /** Who has the range is certain, and the routes say so. Rejects when the engine stops. */
  async settle(): Promise<void> {
    while (this.phase === 'settling' || this.phase === 'routing') await this.#step();
  }

  /** Where the range is in the end. Rejects with the reason when that is not where it was to go. */
  async run(): Promise<void> {
    try {
      while (this.phase !== 'ended') await this.#step();
    } finally {
      letGoOfComparison(this);
    }
  }

  async #step(): Promise<void> {
    const { cluster, phase } = this;
    if (phase === 'ended') return;
    cluster.notStopping();
    const { log, onPhase, clock, random } = cluster.services;
    this.#listener.onPhase?.(phase);
    await onPhase?.('move', phase);
    if (phase === 'preparing') this.#attempts += 1;
    let event: MoveEvent;
    try {
      event = await MOVE_EFFECTS[phase](this);
      this.#failuresInRow = 0;
      if (phase === 'clearing' && (this.cancelled || this.#given)) event = 'given-up';
    } catch (error) {
      cluster.notStopping();
      event = 'failed';
      this.failure = asFailure(error);
      this.#failuresInRow += 1;
      log.warn('a range was not moved yet', {
        ...{ range: this.range, phase, error: this.failure.message },
      });
      if (HOPELESS.has(this.failure.code) || this.#attempts >= ATTEMPTS_MAX) this.#given = true;
      const waitMs = backoffMs(this.#failuresInRow, random, BACKOFF);
      // The source is closed while it is not known who has the range: that is asked at once.
      if (phase !== 'closing' && phase !== 'handing-over') {
        await clock.sleep(waitMs, cluster.stopSignal).catch(() => {});
      }
    }
    this.phase = moveTransition(phase, event);
    if (this.phase !== phase) {
      log.info('range move', { range: this.range, from: phase, event, to: this.phase });
    }
    if (this.phase !== 'ended') return;
    if (event === 'given-up') throw this.#reason();
    if (phase === 'keeping' && this.failure !== undefined) throw this.failure;
  }

  #reason(): MeridianError {
    if (this.cancelled) {
      const message = `the move of ${this.range} was cancelled: it is in ${this.from}`;
      return new MeridianError('ERR_ABORTED', message);
    }
    const { message: why = 'it failed', remedy } = this.failure ?? {};
    return new MeridianError(
      'ERR_OPERATION_REFUSED',
      `${this.range} was not moved to ${this.to}, it is in ${this.from} as before: ${why}`,
      { cause: this.failure, ...(remedy === undefined ? {} : { remedy }) },
    );
  }

  get decided(): boolean {
    return isDecided(this.phase);
  }
}

function asFailure(error: unknown): MeridianError {
  if (isMeridianError(error)) return error;
  return new MeridianError('ERR_INTERNAL', messageOf(error), { cause: error });
}
