/**
 * The versions of one register, and what is certain about their order.
 *
 * A swap that worked ties its value to the one it found: nothing came between. So versions form chains,
 * each begun by a plain write (or by "never written"), and in every order that explains the history a
 * chain is one piece. One chain is certainly before another if something of it was in effect before
 * something of the other was still, or not yet, current.
 *
 * A read on a replica proves less than a strong one: a replica may show a commit for a moment before
 * its leader does. It proves that the commit comes before whatever was only begun afterwards.
 */
import { grouped } from './grouped.ts';
import type { Violation } from './history.ts';
import { indexOf, isStrong, type Read, type RegisterLog, type Write } from './registers.ts';

export interface Version {
  readonly value: number | null;
  /** None for "never written". */
  readonly write: Write | undefined;
  /** Strong reads that returned it. */
  readonly reads: readonly Read[];
  /** It was in effect by then: its write was acknowledged, or a strong read had returned it. */
  readonly inEffectByMs: number;
}

export interface Chain {
  readonly index: number;
  readonly versions: readonly Version[];
  readonly inEffectByMs: number;
  /** Some replica had shown it by then. */
  readonly shownByMs: number;
  /** It was current at some moment not before this: a strong read that began then returned it. */
  readonly currentAtMs: number;
  /** Its last write began. */
  readonly begunAtMs: number;
}

export interface Versions {
  /** The first one begins with "never written". */
  readonly chains: readonly Chain[];
  readonly placeOf: ReadonlyMap<number | null, { readonly chain: Chain; readonly at: number }>;
  /** Writes of unknown outcome of which nothing was ever seen. */
  readonly unseen: readonly Write[];
  /** What no order can explain. */
  readonly faults: readonly Violation[];
}

/** `evidence`: which reads prove that a write of unknown outcome took effect. */
export function versionsOf(log: RegisterLog, evidence: 'strong' | 'any'): Versions {
  const faults: Violation[] = [];
  const writeOf = new Map(log.writes.map((write) => [write.value, write]));
  const seen = seenValues(log, { writeOf, evidence });
  const nextOf = new Map<number | null, Write>();
  for (const write of log.writes) {
    if (write.expected === undefined || !seen.has(write.value)) continue;
    const rival = nextOf.get(write.expected);
    if (rival !== undefined) {
      const what = `two swaps of ${log.register} both found ${String(write.expected)}`;
      faults.push({ what, operations: indexOf(rival, write) });
    } else nextOf.set(write.expected, write);
    if (write.expected !== null && !writeOf.has(write.expected)) {
      const what = `a swap of ${log.register} found ${String(write.expected)}, which was never written`;
      faults.push({ what, operations: indexOf(write, ...undoneWrite(log, write.expected)) });
    }
  }
  for (const read of log.reads) {
    if (read.value === null || writeOf.has(read.value) || !isStrong(read)) continue;
    const who = read.operation === undefined ? 'the last read' : 'a strong read';
    const what = `${who} of ${log.register} returned ${String(read.value)}, which was never written`;
    faults.push({ what, operations: indexOf(...undoneWrite(log, read.value), read) });
  }
  const roots = log.writes.filter((w) => w.expected === undefined && seen.has(w.value));
  const readsOf = grouped(log.reads, ({ value }) => value);
  const chains = [undefined, ...roots].map((root, index) =>
    chainFrom(root, { index, readsOf, nextOf }),
  );
  const placeOf = new Map(
    chains.flatMap((chain) =>
      chain.versions.map(({ value }, at) => [value, { chain, at }] as const),
    ),
  );
  const circular = log.writes.filter((w) => seen.has(w.value) && !placeOf.has(w.value));
  if (circular.length > 0 && faults.length === 0) {
    const what = `swaps of ${log.register} found each other's values in a circle`;
    faults.push({ what, operations: indexOf(...circular) });
  }
  const unseen = log.writes.filter(({ value }) => !seen.has(value));
  return { chains, placeOf, unseen, faults };
}

/** Did `earlier` certainly come before `later`? False also where nothing is certain. */
export function certainlyBefore(
  versions: Versions,
  earlier: number | null,
  later: number | null,
): boolean {
  const [a, b] = [versions.placeOf.get(earlier), versions.placeOf.get(later)];
  if (a === undefined || b === undefined) return false;
  if (a.chain === b.chain) return a.at < b.at;
  // Both ways round is a history that no order explains: another checker's finding, not a certainty.
  return precedes(a.chain, b.chain) && !precedes(b.chain, a.chain);
}

function precedes(a: Chain, b: Chain): boolean {
  // Nothing comes before "never written", whatever a read that lost everything returned.
  if (b.index === 0) return false;
  return a.inEffectByMs < Math.max(b.currentAtMs, b.begunAtMs) || a.shownByMs < b.begunAtMs;
}

function undoneWrite(log: RegisterLog, value: number): Write[] {
  return log.undone.filter((write) => write.value === value);
}

/** Values that certainly were current once: acknowledged, read, or found by a swap that was. */
function seenValues(
  log: RegisterLog,
  known: { writeOf: ReadonlyMap<number, Write>; evidence: 'strong' | 'any' },
): ReadonlySet<number> {
  const seen = new Set<number>();
  const see = (value: number | null): void => {
    for (let next: number | null | undefined = value; typeof next === 'number';) {
      if (seen.has(next)) return;
      seen.add(next);
      next = known.writeOf.get(next)?.expected;
    }
  };
  for (const { value, endMs } of log.writes) if (endMs < Infinity) see(value);
  for (const read of log.reads) if (known.evidence === 'any' || isStrong(read)) see(read.value);
  return seen;
}

function chainFrom(
  root: Write | undefined,
  from: {
    index: number;
    readsOf: ReadonlyMap<number | null, readonly Read[]>;
    nextOf: ReadonlyMap<number | null, Write>;
  },
): Chain {
  const writes: (Write | undefined)[] = [root];
  for (let next = from.nextOf.get(root?.value ?? null); next !== undefined;) {
    writes.push(next);
    next = from.nextOf.get(next.value);
  }
  const versions = writes.map((write): Version => {
    const value = write?.value ?? null;
    const reads = (from.readsOf.get(value) ?? []).filter(isStrong);
    const ends = [write?.endMs ?? -Infinity, ...reads.map((read) => read.endMs)];
    return { value, write, reads, inEffectByMs: least(ends) };
  });
  const weak = versions.flatMap(({ value }) =>
    (from.readsOf.get(value) ?? []).filter((read) => !isStrong(read)).map((read) => read.endMs),
  );
  const starts = versions.flatMap(({ reads }) => reads.map((read) => read.startMs));
  return {
    index: from.index,
    versions,
    inEffectByMs: least(versions.map((version) => version.inEffectByMs)),
    shownByMs: least(weak),
    currentAtMs: greatest(starts),
    begunAtMs: greatest(writes.map((write) => write?.startMs ?? -Infinity)),
  };
}

// Not Math.min(...): a register has more reads than a call may have arguments.
const least = (numbers: readonly number[]): number =>
  numbers.reduce((a, b) => (b < a ? b : a), Infinity);
const greatest = (numbers: readonly number[]): number =>
  numbers.reduce((a, b) => (b > a ? b : a), -Infinity);
