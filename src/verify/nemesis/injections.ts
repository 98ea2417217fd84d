/** What was really done, as it is told in the history. */
import type { Injected } from '../history.ts';

export class Injections {
  readonly #nowMs: () => number;
  readonly #list: Injected[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The returned function tells that it is over. */
  add(fault: Pick<Injected, 'what' | 'kind' | 'struck'>): (code?: string) => void {
    const at = this.#list.length;
    this.#list.push({ ...fault, atMs: this.#nowMs(), healedAtMs: undefined });
    return (code) => {
      const injected = this.#list[at];
      if (injected === undefined || injected.healedAtMs !== undefined) return;
      this.#list[at] = { ...injected, healedAtMs: this.#nowMs(), code };
    };
  }

  get size(): number {
    return this.#list.length;
  }

  list(): readonly Injected[] {
    return [...this.#list];
  }
}
