/**
 * Nodes that did not answer a read a moment ago. Reads prefer others until the time is over, so that a
 * silent node costs one wait now and then, not one a read; there is no other memory of it.
 */
import type { Clock } from '../kernel/clock.ts';
import type { NodeName } from '../topology/node.ts';

export const AVOID_MS = 3_000;

export class Avoided {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #untilMs = new Map<NodeName, number>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  note(node: NodeName): void {
    this.#untilMs.set(node, this.#clock.monotonicMs() + AVOID_MS);
  }

  readonly has = (node: NodeName): boolean => {
    const untilMs = this.#untilMs.get(node);
    if (untilMs === undefined) return false;
    if (this.#clock.monotonicMs() < untilMs) return true;
    this.#untilMs.delete(node);
    return false;
  };
}
