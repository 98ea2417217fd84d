/**
 * Writes the history down as it happens, in memory, up to a bound. An operation that has begun and has
 * not ended when the history is read is of unknown outcome.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Answer, Door } from './doors.ts';
import type { Action, Operation } from './history.ts';
import { isRead } from './outcome.ts';

/** About 200 bytes each. */
export const OPERATIONS_MAX = 200_000;

export interface Ended {
  readonly answer: Answer;
  /** Undefined: as it was asked. */
  readonly action?: Action | undefined;
}

export class Recorder {
  readonly #clock: Clock;
  readonly #originMs: number;
  readonly #operations: Operation[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#originMs = clock.monotonicMs();
  }

  nowMs(): number {
    return this.#clock.monotonicMs() - this.#originMs;
  }

  /** Clients stop when it is. */
  get full(): boolean {
    return this.#operations.length >= OPERATIONS_MAX;
  }

  get size(): number {
    return this.#operations.length;
  }

  operations(): readonly Operation[] {
    return this.#operations;
  }

  /** Never rejects: a door does not. */
  async run(
    who: { readonly client: string; readonly door: Pick<Door, 'via' | 'region'> },
    action: Action,
    perform: () => Promise<Ended>,
  ): Promise<Operation> {
    const index = this.#operations.length;
    const begun: Operation = {
      index,
      client: who.client,
      region: who.door.region,
      via: who.door.via,
      action: unanswered(action),
      outcome: 'unknown',
      startedAtMs: this.nowMs(),
      endedAtMs: Number.MAX_SAFE_INTEGER,
    };
    this.#operations.push(begun);
    const { answer, action: done } = await perform();
    const ended = endOf(begun, { answer, action: done, endedAtMs: this.nowMs() });
    this.#operations[index] = ended;
    return ended;
  }
}

function endOf(begun: Operation, end: Ended & { readonly endedAtMs: number }): Operation {
  const { answer, endedAtMs } = end;
  if (answer.outcome === 'ok') {
    const { token, node } = answer;
    return { ...begun, outcome: 'ok', endedAtMs, action: end.action ?? answer.action, token, node };
  }
  const outcome = isRead(begun.action) ? 'failed' : answer.outcome;
  const action = end.action ?? begun.action;
  return { ...begun, action, outcome, endedAtMs, code: answer.code };
}

/** Without the names of accounts that the question carries where the answer will stand. */
function unanswered(action: Action): Action {
  return action.kind === 'balances' ? { kind: 'balances', group: action.group } : action;
}
