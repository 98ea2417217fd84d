/**
 * Carries out what an operator asks of a replication group or a range: observes, lets the engine plan,
 * performs the steps one after the other, and tells how far they are. Never two operations on one of them at
 * once: the second is refused, since it was asked for by a picture that the first one changes.
 *
 * Whoever asked may leave: the step under way is finished all the same, and no other is begun. Only the
 * end of the platform interrupts a step; the next start goes on from what is stored.
 */
import type { OperationEvent, OperationOptions } from '../control/operation.ts';
import type { DesiredState, Engine, EngineStep, StepProgress, Wanted } from '../engines/engine.ts';
import type { ClusterSnapshot } from '../engines/snapshot.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { GroupSpec } from '../topology/node.ts';
import {
  groupOf,
  isOfGroup,
  wantedOf,
  wantedOfRange,
  type SingleOperation,
} from './operation-plan.ts';
import { acceptCommand, possibleLoss } from './possible-loss.ts';
import { checkOrder } from './reconcile.ts';

export interface OperationParts {
  readonly engine: Pick<Engine, 'observe' | 'planWanted' | 'perform'>;
  readonly desired: DesiredState;
  readonly clock: Clock;
  readonly log: Log;
}

/** More often is more than anybody reads. */
const PROGRESS_INTERVAL_MS = 200;
/** The end of the platform does not wait longer for steps that it has interrupted. */
const CLOSE_WAIT_MS = 2_000;

export class Operations {
  readonly #parts: OperationParts;
  readonly #running = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: OperationParts) {
    this.#parts = parts;
  }

  /** As Platform.operate; ERR_CONTROL_REQUEST for what is not declared. */
  async run(request: SingleOperation, options: OperationOptions = {}): Promise<void> {
    const subject = this.#subjectOf(request);
    if (this.#closing.signal.aborted) {
      throw new MeridianError('ERR_OPERATION_REFUSED', 'the platform is stopping');
    }
    if (this.#running.has(subject)) {
      const message = `an operation on ${subject} is under way already`;
      const remedy = 'Wait until it has ended; `meridian status` shows how far it is.';
      throw new MeridianError('ERR_OPERATION_REFUSED', message, { remedy });
    }
    const run = this.#operate(request, subject, options).finally(() => {
      this.#running.delete(subject);
    });
    this.#running.set(subject, run);
    await run;
  }

  /** Throws ERR_CONTROL_REQUEST for a group that is not declared. */
  #subjectOf(request: SingleOperation): string {
    if (isOfGroup(request)) return groupOf(request, this.#parts.desired.groups).name;
    switch (request.kind) {
      case 'move':
      case 'split':
      case 'merge':
        return request.range;
      case 'rehome':
        return namesOf(request.accounts);
      // What is under way is there to be cancelled.
      case 'cancel-move':
        return `the move of ${request.range}`;
      case 'cancel-transfer':
        return `transfer ${request.number}`;
    }
  }

  #wantedOf(request: SingleOperation, observed: ClusterSnapshot): Wanted {
    const { desired } = this.#parts;
    return isOfGroup(request)
      ? wantedOf(request, groupOf(request, desired.groups), observed)
      : wantedOfRange(request, desired, observed);
  }

  /** Interrupts what is under way, and begins nothing more. */
  async close(): Promise<void> {
    this.#closing.abort();
    const ended = new AbortController();
    await Promise.race([
      Promise.allSettled(this.#running.values()),
      this.#parts.clock.sleep(CLOSE_WAIT_MS, ended.signal).catch(() => {}),
    ]);
    ended.abort();
  }

  async #operate(
    request: SingleOperation,
    subject: string,
    { signal, onEvent }: OperationOptions,
  ): Promise<void> {
    const { engine, clock, log } = this.#parts;
    const observed = await engine.observe({ signal: this.#closing.signal });
    const steps = checkOrder(engine.planWanted(this.#wantedOf(request, observed), observed));
    if (request.kind === 'recover' && !request.acceptLoss) {
      throw lossNotAccepted(groupOf(request, this.#parts.desired.groups), observed, steps);
    }
    const startMs = clock.monotonicMs();
    const elapsed = (): number => Math.round(clock.monotonicMs() - startMs);
    const tell = (event: OperationEvent): void => onEvent?.(event);
    const summary = summaryOf(steps);
    const about = { kind: request.kind, subject };
    log.info('an operation begins', { ...about, summary });
    tell({ kind: 'begun', summary });
    for (const [index, step] of steps.entries()) {
      if (signal?.aborted === true || this.#closing.signal.aborted) {
        throw notBegun(index, steps.length);
      }
      await this.#perform(step, { tell, elapsed }).catch((error: unknown) => {
        log.error('an operation failed', { ...about, step: step.id, error: messageOf(error) });
        throw isMeridianError(error)
          ? error
          : new MeridianError('ERR_INTERNAL', `${step.summary}: ${messageOf(error)}`, {
              cause: error,
            });
      });
    }
    log.info('an operation ended', { ...about, summary, tookMs: elapsed() });
    tell({ kind: 'ended', summary, tookMs: elapsed() });
  }

  async #perform(
    step: EngineStep,
    on: { readonly tell: (event: OperationEvent) => void; readonly elapsed: () => number },
  ): Promise<void> {
    const { engine, desired, clock, log } = this.#parts;
    let toldMs = Number.NEGATIVE_INFINITY;
    await engine.perform(step, desired, {
      signal: this.#closing.signal,
      onPhase: (phase) => {
        log.info('operation', { step: step.id, phase });
        on.tell({ kind: 'phase', phase, atMs: on.elapsed() });
      },
      onProgress: (progress) => {
        const nowMs = clock.monotonicMs();
        if (!isComplete(progress) && nowMs - toldMs < PROGRESS_INTERVAL_MS) return;
        toldMs = nowMs;
        on.tell({ kind: 'progress', what: step.summary, ...progress });
      },
    });
  }
}

function isComplete(progress: StepProgress): boolean {
  return 'doneAccounts' in progress
    ? progress.doneAccounts >= progress.totalAccounts
    : progress.totalBytes !== null && progress.doneBytes >= progress.totalBytes;
}

/** For messages: a few of many. */
function namesOf(accounts: readonly string[]): string {
  const [first = '', ...others] = accounts;
  return others.length === 0 ? first : `${first} and ${String(others.length)} other accounts`;
}

function summaryOf(steps: readonly EngineStep[]): string {
  return steps.length === 0
    ? 'nothing is left to do'
    : steps.map((step) => step.summary).join('; then ');
}

function notBegun(done: number, all: number): MeridianError {
  const message = `interrupted: ${String(done)} of ${String(all)} steps are done, no other is begun`;
  return new MeridianError('ERR_ABORTED', message);
}

function lossNotAccepted(
  group: GroupSpec,
  observed: ClusterSnapshot,
  steps: readonly EngineStep[],
): MeridianError {
  return new MeridianError(
    'ERR_OPERATION_REFUSED',
    `${possibleLoss(group, observed)}. To be done: ${summaryOf(steps)}`,
    {
      remedy:
        'Wait for a lost server if it may come back: then nothing is lost. Otherwise accept the loss: ' +
        `${acceptCommand(group.name)}.`,
    },
  );
}
