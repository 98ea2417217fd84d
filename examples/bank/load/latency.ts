/** Exact percentiles: every sample is kept, 8 bytes each. */

export class Samples {
  #values = new Float64Array(1_024);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count] = value;
    this.#count += 1;
  }

  /** The values at these shares (0 to 1) by nearest rank; null for each when there is no sample. */
  percentiles(shares: readonly number[]): (number | null)[] {
    const sorted = this.#values.slice(0, this.#count).sort();
    return shares.map((share) => {
      if (sorted.length === 0) return null;
      const rank = Math.max(1, Math.ceil(share * sorted.length));
      return sorted[Math.min(rank, sorted.length) - 1] ?? null;
    });
  }

  clear(): void {
    this.#count = 0;
  }
}
