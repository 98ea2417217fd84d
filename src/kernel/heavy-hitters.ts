/**
 * Who comes most, in bounded memory: the Space-Saving algorithm (Metwally, Agrawal and El Abbadi: "Efficient
 * Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005). Each count is a constant number of
 * steps, whatever the capacity: keys are held in buckets of equal counts, in a list by count.
 *
 * Of N that were counted with a capacity of k: everybody who came more than N/k times is held, nobody is
 * counted too little, and nobody by more than `overcount` too much, which is at most N/k. With k different keys
 * or fewer every count is exact.
 */
export interface HeavyHitter {
  readonly key: string;
  /** At least what it came; too much by `overcount` at most. */
  readonly count: number;
  readonly overcount: number;
  /** Of these the ones that were marked, since it is held: at most what they were. */
  readonly marked: number;
}

interface Held {
  readonly key: string;
  bucket: Bucket;
  overcount: number;
  marked: number;
}

/** All who came equally often. */
interface Bucket {
  readonly count: number;
  readonly held: Set<Held>;
  less: Bucket | undefined;
  more: Bucket | undefined;
}

export class HeavyHitters {
  readonly #capacity: number;
  readonly #byKey = new Map<string, Held>();
  #least: Bucket | undefined;
  #total = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How often anybody came. */
  get total(): number {
    return this.#total;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** It came once more. */
  count(key: string, marked = false): void {
    this.#total += 1;
    const held = this.#byKey.get(key) ?? this.#take(key);
    if (marked) held.marked += 1;
    this.#raise(held);
  }

  /** In no order. */
  list(): HeavyHitter[] {
    return [...this.#byKey.values()].map(({ key, bucket, overcount, marked }) => ({
      ...{ key, count: bucket.count, overcount, marked },
    }));
  }

  clear(): void {
    this.#byKey.clear();
    this.#least = undefined;
    this.#total = 0;
  }

  /** A place for a new one: a free one, or that of one of those who came least, with what they had. */
  #take(key: string): Held {
    if (this.#byKey.size < this.#capacity) return this.#hold(key, this.#bucketOf(0));
    const bucket = this.#least;
    const [leaving] = bucket?.held ?? [];
    if (bucket === undefined || leaving === undefined) throw new RangeError('no capacity at all');
    bucket.held.delete(leaving);
    this.#byKey.delete(leaving.key);
    return this.#hold(key, bucket);
  }

  #hold(key: string, bucket: Bucket): Held {
    const held = { key, bucket, overcount: bucket.count, marked: 0 };
    bucket.held.add(held);
    this.#byKey.set(key, held);
    return held;
  }

  /** The first bucket, if it has this count; else a new one before it. */
  #bucketOf(count: number): Bucket {
    if (this.#least?.count === count) return this.#least;
    const bucket: Bucket = { count, held: new Set(), less: undefined, more: this.#least };
    if (this.#least !== undefined) this.#least.less = bucket;
    this.#least = bucket;
    return bucket;
  }

  #raise(held: Held): void {
    const { bucket } = held;
    bucket.held.delete(held);
    const next = this.#after(bucket);
    next.held.add(held);
    held.bucket = next;
    if (bucket.held.size === 0) this.#unlink(bucket);
  }

  #after(bucket: Bucket): Bucket {
    const count = bucket.count + 1;
    if (bucket.more?.count === count) return bucket.more;
    const next: Bucket = { count, held: new Set(), less: bucket, more: bucket.more };
    if (bucket.more !== undefined) bucket.more.less = next;
    bucket.more = next;
    return next;
  }

  #unlink(bucket: Bucket): void {
    if (bucket.less !== undefined) bucket.less.more = bucket.more;
    else this.#least = bucket.more;
    if (bucket.more !== undefined) bucket.more.less = bucket.less;
  }
}
