/**
 * What the linearizer walks through: the calls and answers of one register by time, and how much of
 * each chain was called so far. A call comes before an answer of the same moment: then the two
 * operations overlap, and no order between them is claimed.
 */
import { present } from '../kernel/assert.ts';
import type { Operation } from './history.ts';
import type { RegisterLog } from './registers.ts';
import type { Versions } from './versions.ts';

export interface Place {
  readonly chain: number;
  /** Position in the chain. */
  readonly at: number;
}

type What =
  | { readonly kind: 'call' | 'answer'; readonly place: Place; readonly isWrite: boolean }
  | { readonly kind: 'call-unseen'; readonly unseen: number }
  | {
      readonly kind: 'call-refusal' | 'answer-refusal';
      readonly refusal: number;
      readonly expected: number | null;
    };

export type Event = What & {
  readonly atMs: number;
  /** None for the last read of all. */
  readonly operation: Operation | undefined;
};

export function eventsOf(log: RegisterLog, versions: Versions): Event[] {
  const events: Event[] = [];
  for (const { index: chain, versions: list } of versions.chains) {
    list.forEach(({ write, reads }, at) => {
      const place = { chain, at };
      for (const item of [...(write === undefined ? [] : [write]), ...reads]) {
        const { operation, startMs, endMs } = item;
        const isWrite = item === write;
        events.push({ kind: 'call', place, isWrite, atMs: startMs, operation });
        // A write of unknown outcome is never answered; the last read of all is, at the end of time.
        if (endMs < Infinity || operation === undefined) {
          events.push({ kind: 'answer', place, isWrite, atMs: endMs, operation });
        }
      }
    });
  }
  log.refusals.forEach(({ operation, expected, startMs, endMs }, refusal) => {
    events.push({ kind: 'call-refusal', refusal, expected, atMs: startMs, operation });
    events.push({ kind: 'answer-refusal', refusal, expected, atMs: endMs, operation });
  });
  if (log.refusals.length > 0) {
    versions.unseen.forEach(({ operation, startMs }, unseen) =>
      events.push({ kind: 'call-unseen', unseen, atMs: startMs, operation }),
    );
  }
  const rank = (event: Event): number => (event.kind.startsWith('call') ? 0 : 1);
  return events.sort((a, b) => (a.atMs === b.atMs ? rank(a) - rank(b) : a.atMs < b.atMs ? -1 : 1));
}

interface Progress {
  /** Operations of the whole chain that were not called yet. */
  left: number;
  /** By position: reads that were not called yet. */
  readonly reads: number[];
  /** By position: was its write called? */
  readonly written: boolean[];
  answered: boolean;
}

/** How far each chain has come; the same for all configurations. */
export class ChainClock {
  readonly #progress: readonly Progress[];
  readonly #waiting = new Set<number>();

  constructor(versions: Versions) {
    this.#progress = versions.chains.map(({ index, versions: list }) => ({
      left: list.reduce((sum, { write, reads }) => sum + reads.length + (write ? 1 : 0), 0),
      reads: list.map(({ reads }) => reads.length),
      written: list.map(({ write }) => write === undefined),
      // Every configuration begins in the first.
      answered: index === 0,
    }));
  }

  call({ chain, at }: Place, isWrite: boolean): void {
    const progress = this.#of(chain);
    progress.left -= 1;
    if (isWrite) progress.written[at] = true;
    else progress.reads[at] = (progress.reads[at] ?? 0) - 1;
    if (!progress.answered) this.#waiting.add(chain);
  }

  /** True if it is the chain's first. */
  answer(chain: number): boolean {
    const progress = this.#of(chain);
    const first = !progress.answered;
    progress.answered = true;
    this.#waiting.delete(chain);
    return first;
  }

  /** Chains of which something was called and nothing answered. */
  waiting(): readonly number[] {
    return [...this.#waiting];
  }

  isAnswered(chain: number): boolean {
    return this.#of(chain).answered;
  }

  isBegun(chain: number): boolean {
    return this.#of(chain).written[0] === true;
  }

  /** Everything that needs the chain was called, so that it can be left. */
  isComplete(chain: number): boolean {
    return this.#of(chain).left === 0;
  }

  lastOf(chain: number): number {
    return this.#of(chain).reads.length - 1;
  }

  /** Can the value at this place give way to the next of its chain? */
  mayPass({ chain, at }: Place): boolean {
    const progress = this.#of(chain);
    return progress.reads[at] === 0 && progress.written[at + 1] === true;
  }

  #of(chain: number): Progress {
    return present(this.#progress[chain], 'chain');
  }
}
