/**
 * Is there an order of the operations on one register that explains every answer? A search in the
 * manner of Wing, Gong and Lowe: walk through the calls and answers by time, keep every configuration
 * that is still possible, and move a configuration on only when an answer forces it ("just in time").
 *
 * Values are unique, so the unit of a configuration is not the operation but the chain (versions.ts):
 * a chain cannot be left before everything that needs it was called, its order within is known, and so
 * a configuration is a place in one chain, and for chains of which nothing was answered yet whether
 * they lie behind. Such a chain that is complete may also be *free*: it could lie in a gap that was
 * passed, or still come; which of the two is decided only when it matters. It never matters without
 * refused swaps: then there is one configuration, and the search is linear. A refused swap says only
 * what the register did not hold, so it branches; memory and time are bounded, beyond is 'undecided'.
 */
import type { Operation } from './history.ts';
import type { RegisterLog } from './registers.ts';
import { ChainClock, eventsOf, type Event, type Place } from './linearizer-events.ts';
import type { Versions } from './versions.ts';

/** Configurations kept at one moment; histories of a right register need a few dozen. */
export const CONFIGURATIONS_MAX = 2_000;
/** Configurations looked at in all, for one register. */
const STEPS_MAX = 2_000_000;

export type Linearization =
  | { readonly kind: 'linearizable' }
  | { readonly kind: 'undecided' }
  /** The answer after which nothing is possible any more; undefined is the last read of all. */
  | { readonly kind: 'impossible'; readonly at: Operation | undefined };

interface Configuration {
  /** Undefined when an unseen write is what the register holds. */
  readonly place: Place | undefined;
  readonly value: number | null;
  /** Chains that lie behind, and those that may, of those without an answer so far. */
  readonly behind: readonly number[];
  readonly free: readonly number[];
  /** Refused swaps that are called and not explained yet. */
  readonly stuck: readonly number[];
  /** Unseen writes that were made use of. */
  readonly used: readonly number[];
}

/** The caller has reported the faults of `versions` itself: here there are none. */
export function linearize(log: RegisterLog, versions: Versions): Linearization {
  const search = new Search(log, versions);
  let steps = 0;
  for (const event of eventsOf(log, versions)) {
    search.take(event);
    if (search.configurations.length === 0) return { kind: 'impossible', at: event.operation };
    steps += search.configurations.length;
    if (search.configurations.length > CONFIGURATIONS_MAX || steps > STEPS_MAX) {
      return { kind: 'undecided' };
    }
  }
  return { kind: 'linearizable' };
}

class Search {
  configurations: readonly Configuration[];
  readonly #versions: Versions;
  readonly #log: RegisterLog;
  readonly #clock: ChainClock;
  /** Refused swaps that are not answered yet, called or not, by the value they did not find. */
  readonly #refusalsLeft = new Map<number | null, number>();
  readonly #unseenCalled: number[] = [];

  constructor(log: RegisterLog, versions: Versions) {
    this.#log = log;
    this.#versions = versions;
    this.#clock = new ChainClock(versions);
    for (const { expected } of log.refusals) {
      this.#refusalsLeft.set(expected, (this.#refusalsLeft.get(expected) ?? 0) + 1);
    }
    this.configurations = [
      { place: { chain: 0, at: 0 }, value: null, behind: [], free: [], stuck: [], used: [] },
    ];
  }

  take(event: Event): void {
    switch (event.kind) {
      case 'call':
        return this.#clock.call(event.place, event.isWrite);
      case 'answer': {
        const { place } = event;
        this.#replace((c) => this.#settle(c, place));
        if (this.#clock.answer(place.chain)) this.#replace((c) => [forget(c, place.chain)]);
        return;
      }
      case 'call-unseen':
        this.#unseenCalled.push(event.unseen);
        return;
      case 'call-refusal':
        return this.#replace((c) =>
          c.value === event.expected ? [{ ...c, stuck: [...c.stuck, event.refusal] }] : [c],
        );
      case 'answer-refusal': {
        this.#replace((c) => (c.stuck.includes(event.refusal) ? this.#unstick(c) : [c]));
        const left = (this.#refusalsLeft.get(event.expected) ?? 1) - 1;
        if (left > 0) this.#refusalsLeft.set(event.expected, left);
        else this.#refusalsLeft.delete(event.expected);
      }
    }
  }

  #replace(next: (c: Configuration) => readonly Configuration[]): void {
    const found = new Map<string, Configuration>();
    for (const configuration of this.configurations) {
      for (const item of next(configuration)) found.set(keyOf(item), item);
      if (found.size > CONFIGURATIONS_MAX) break;
    }
    this.configurations = [...found.values()];
  }

  /** An operation of this place was answered: it has taken effect by now. */
  #settle(c: Configuration, place: Place): readonly Configuration[] {
    if (c.place?.chain === place.chain) {
      return c.place.at >= place.at ? [c] : this.#advance(c, place.at);
    }
    if (this.#clock.isAnswered(place.chain) || c.behind.includes(place.chain)) return [c];
    if (!c.free.includes(place.chain)) return this.#enter(c, place);
    // Coming only now explains swaps that would find the present value.
    return this.#refusalsLeft.has(c.value) ? [c, ...this.#enter(c, place)] : [c];
  }

  /** A refused swap expects what the register holds, and is answered: something else must come first. */
  #unstick(c: Configuration): readonly Configuration[] {
    const { place } = c;
    const last = place === undefined ? undefined : this.#clock.lastOf(place.chain);
    if (place !== undefined && last !== undefined && place.at < last) {
      return this.#advance(c, place.at + 1);
    }
    const chains = this.#clock
      .waiting()
      .filter((chain) => chain !== place?.chain && !c.behind.includes(chain))
      .flatMap((chain) => this.#enter(c, { chain, at: 0 }));
    return [...chains, ...this.#useUnseen(c)];
  }

  #advance(c: Configuration, to: number): readonly Configuration[] {
    const { place } = c;
    if (place === undefined) return [];
    let stuck = c.stuck;
    let value = c.value;
    for (let at = place.at; at < to; at += 1) {
      if (!this.#clock.mayPass({ chain: place.chain, at })) return [];
      value = this.#versions.chains[place.chain]?.versions[at + 1]?.value ?? null;
      stuck = this.#stillStuck(stuck, value);
    }
    return [{ ...c, place: { chain: place.chain, at: to }, value, stuck }];
  }

  #enter(c: Configuration, to: Place): readonly Configuration[] {
    if (!this.#clock.isBegun(to.chain)) return [];
    return this.#leave(c, to.chain).flatMap((left) => {
      const value = this.#versions.chains[to.chain]?.versions[0]?.value ?? null;
      const stuck = this.#stillStuck(left.stuck, value);
      const free = left.free.filter((chain) => chain !== to.chain);
      return this.#advance(
        { ...left, place: { chain: to.chain, at: 0 }, value, stuck, free },
        to.at,
      );
    });
  }

  /** Goes to the end of the present chain and out of it; whatever is complete may lie in that gap. */
  #leave(c: Configuration, to: number | undefined): readonly Configuration[] {
    const { place } = c;
    if (place === undefined) return [this.#afterGap(c, to)];
    if (!this.#clock.isComplete(place.chain)) return [];
    return this.#advance(c, this.#clock.lastOf(place.chain)).map((end) => {
      const behind = this.#clock.isAnswered(place.chain)
        ? end.behind
        : sorted([...end.behind, place.chain]);
      return this.#afterGap({ ...end, behind }, to);
    });
  }

  #afterGap(c: Configuration, to: number | undefined): Configuration {
    const complete = this.#clock
      .waiting()
      .filter((chain) => chain !== to && !c.behind.includes(chain))
      .filter((chain) => this.#clock.isComplete(chain));
    return { ...c, free: sorted([...new Set([...c.free, ...complete])]) };
  }

  #useUnseen(c: Configuration): readonly Configuration[] {
    let anyPlain = false;
    return this.#unseenCalled.flatMap((index) => {
      const write = this.#versions.unseen[index];
      if (write === undefined || c.used.includes(index)) return [];
      if (write.expected !== undefined && write.expected !== c.value) return [];
      // Plain ones whose value nobody expects are as good as each other: the first will do.
      if (write.expected === undefined && !this.#refusalsLeft.has(write.value)) {
        if (anyPlain) return [];
        anyPlain = true;
      }
      const used = sorted([...c.used, index]);
      // Nothing lies between what a swap finds and what it writes.
      const before = write.expected === undefined ? this.#leave(c, undefined) : this.#atEnd(c);
      return before.map((left) => ({
        ...left,
        place: undefined,
        value: write.value,
        stuck: this.#stillStuck(left.stuck, write.value),
        used,
      }));
    });
  }

  #atEnd(c: Configuration): readonly Configuration[] {
    return this.#leave(c, undefined).map((left) => ({ ...left, free: c.free }));
  }

  #stillStuck(stuck: readonly number[], value: number | null): readonly number[] {
    if (stuck.length === 0) return stuck;
    return stuck.filter((refusal) => this.#log.refusals[refusal]?.expected === value);
  }
}

/** A chain with an answer lies behind in every configuration that is left: nothing to remember. */
function forget(c: Configuration, chain: number): Configuration {
  if (!c.behind.includes(chain) && !c.free.includes(chain)) return c;
  const others = (list: readonly number[]): number[] => list.filter((item) => item !== chain);
  return { ...c, behind: others(c.behind), free: others(c.free) };
}

function keyOf(c: Configuration): string {
  const place = c.place === undefined ? `=${String(c.value)}` : `${c.place.chain}.${c.place.at}`;
  return [place, c.behind, c.free, c.stuck, c.used].join('|');
}

const sorted = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
