/** Of a budget for each 24 hours: what went in the last ones. */
export class Spent {
  readonly #moves: { readonly hour: number; readonly bytes: number }[] = [];

  add(hour: number, bytes: number): void {
    this.#moves.push({ hour, bytes });
  }

  lately(hour: number): { readonly bytes: number; readonly accounts: number } {
    while ((this.#moves[0]?.hour ?? Infinity) <= hour - 24) this.#moves.shift();
    const bytes = this.#moves.reduce((sum, move) => sum + move.bytes, 0);
    return { bytes, accounts: this.#moves.length };
  }
}
