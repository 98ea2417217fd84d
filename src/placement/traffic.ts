/**
 * What one account's clients asked for, by region and by interval, for the last few cycles of a day.
 *
 * Counted is what pays for the distance to the home: writes, and reads that only the home may answer. What
 * a replica nearby answered is the same to its client wherever the home is.
 *
 * Memory is fixed when it is made: `cycles × intervalsPerCycle × regions` numbers, however much is counted.
 */
export interface TrafficShape {
  readonly regions: number;
  /** Such as 24: hours of a day. */
  readonly intervalsPerCycle: number;
  /** As many as decisions look back on. */
  readonly cycles: number;
}

/** A ring of intervals. The newest is under way, and is not looked at by decisions. */
export class Traffic {
  readonly shape: TrafficShape;
  readonly #counts: Float32Array;
  readonly #length: number;
  /** Number of the interval under way, since an origin that its owner knows. */
  #interval: number;
  readonly #since: number;

  constructor(shape: TrafficShape, interval: number) {
    this.shape = shape;
    // One more than is looked back on: the one under way.
    this.#length = shape.cycles * shape.intervalsPerCycle + 1;
    this.#counts = new Float32Array(this.#length * shape.regions);
    this.#interval = interval;
    this.#since = interval;
  }

  get interval(): number {
    return this.#interval;
  }

  /** Intervals that are over and were counted from their beginning. */
  get known(): number {
    return Math.min(this.#interval - this.#since, this.#length - 1);
  }

  /** Goes on to a later interval; what was between had no traffic. An earlier one changes nothing. */
  advance(interval: number): void {
    const steps = Math.min(interval - this.#interval, this.#length);
    const { regions } = this.shape;
    for (let step = 1; step <= steps; step += 1) {
      const at = this.#at(interval - steps + step);
      this.#counts.fill(0, at, at + regions);
    }
    if (interval > this.#interval) this.#interval = interval;
  }

  /** In the interval under way. */
  add(region: number, accesses: number): void {
    const at = this.#at(this.#interval) + region;
    this.#counts[at] = (this.#counts[at] ?? 0) + accesses;
  }

  /** `age` 1 is the last interval that is over. 0 for what is not known any more, or was not yet. */
  count(age: number, region: number): number {
    if (age < 0 || age >= this.#length) return 0;
    return this.#counts[this.#at(this.#interval - age) + region] ?? 0;
  }

  /** By region, of all that is remembered. */
  get totals(): readonly number[] {
    const sums = new Array<number>(this.shape.regions).fill(0);
    this.#counts.forEach((count, at) => {
      const region = at % this.shape.regions;
      sums[region] = (sums[region] ?? 0) + count;
    });
    return sums;
  }

  #at(interval: number): number {
    const slot = ((interval % this.#length) + this.#length) % this.#length;
    return slot * this.shape.regions;
  }
}
