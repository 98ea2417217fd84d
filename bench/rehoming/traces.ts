/**
 * Traffic of accounts over weeks, from a seed: who asks from which region in which hour. What is drawn is how
 * many accesses come; whether a pattern is there to be followed is what the names say.
 */
import { seededRandom, type Random } from '../../src/kernel/random.ts';

export interface TraceOptions {
  readonly seed: number;
  readonly accounts: number;
  readonly days: number;
  readonly regions: number;
  /** Of an account in a day; between accounts it differs by a factor of ten and more. */
  readonly accessesPerDay: number;
}

export interface TracedAccount {
  /** Where it was opened. */
  readonly home: number;
  readonly bytes: number;
  /** Accesses, by hour and then by region. */
  readonly accesses: Float32Array;
}

export interface Trace {
  readonly name: TraceName;
  readonly hours: number;
  readonly regions: number;
  readonly accounts: readonly TracedAccount[];
}

export const TRACE_NAMES = [
  'diurnal',
  'follow-the-sun',
  'travelling',
  'one-day-burst',
  'noise',
] as const;
export type TraceName = (typeof TRACE_NAMES)[number];

/** Mean accesses of an account from a region in an hour since the beginning. */
type Rate = (hour: number, region: number) => number;

const HOURS = 24;
/** Opened elsewhere than where it is used, by whoever sold it, say. */
const MISPLACED = 0.1;
/** Local noon of the regions, in UTC: America, Europe, Asia. */
const NOON_UTC = [17, 11, 6];

export function traceOf(name: TraceName, options: TraceOptions): Trace {
  const random = seededRandom(options.seed * 1_000 + TRACE_NAMES.indexOf(name));
  const hours = options.days * HOURS;
  const accounts = Array.from({ length: options.accounts }, (): TracedAccount => {
    const home = random.below(options.regions);
    const rate = PATTERNS[name](home, { ...options, random });
    // A log-normal spread: a few are large.
    const size = Math.exp(normal(random));
    const busy = (options.accessesPerDay / HOURS) * Math.exp(0.8 * normal(random) - 0.32);
    const accesses = new Float32Array(hours * options.regions);
    for (let hour = 0; hour < hours; hour += 1) {
      for (let region = 0; region < options.regions; region += 1) {
        accesses[hour * options.regions + region] = poisson(busy * rate(hour, region), random);
      }
    }
    return { home, bytes: Math.round(size * 100_000), accesses };
  });
  return { name, hours, regions: options.regions, accounts };
}

type Pattern = (home: number, options: TraceOptions & { readonly random: Random }) => Rate;

const PATTERNS: Readonly<Record<TraceName, Pattern>> = {
  /** Days and nights where its users are, who are somewhere else than its home for a few. */
  diurnal: (home, { random, regions }) => {
    const users = random.next() < MISPLACED ? other(home, regions, random) : home;
    const visitors = other(users, regions, random);
    const abroad = 0.2 * random.next();
    return (hour, region) =>
      daylight(hour, region) * (region === users ? 1 - abroad : region === visitors ? abroad : 0);
  },
  /** Three teams that hand over to each other, one of which is larger. */
  'follow-the-sun': (home, { random, regions }) => {
    const largest = random.next() < MISPLACED ? other(home, regions, random) : home;
    const share = 0.55 + 0.25 * random.next();
    return (hour, region) =>
      (onShift(hour, region) ? HOURS / 8 : 0) *
      (region === largest ? share : (1 - share) / (regions - 1));
  },
  /** Whoever uses it goes abroad for a week or more, with it, and comes back. */
  travelling: (home, { random, regions, days }) => {
    const stays: { readonly from: number; readonly region: number }[] = [{ from: 0, region: home }];
    let day = days * 3 * random.next();
    while (day < days) {
      const last = stays.at(-1)?.region ?? home;
      const next = last === home ? other(home, regions, random) : home;
      stays.push({ from: Math.round(day * HOURS), region: next });
      day += 7 + 21 * random.next();
    }
    return (hour, region) => {
      const at = stays.findLast(({ from }) => from <= hour)?.region ?? home;
      return region === at ? daylight(hour, region) : 0;
    };
  },
  /** One busy day from elsewhere, beside what comes every day. */
  'one-day-burst': (home, { random, regions, days }) => {
    const from = random.below((days - 1) * HOURS);
    const elsewhere = other(home, regions, random);
    const strength = 1 + 2 * random.next();
    return (hour, region) => {
      if (region === home) return daylight(hour, region);
      const bursts = region === elsewhere && hour >= from && hour < from + HOURS;
      return bursts ? strength : 0;
    };
  },
  /** Each hour from somewhere, at any rate. */
  noise: (_, { regions }) => {
    return () => 1 / regions;
  },
};

function other(region: number, regions: number, random: Random): number {
  return (region + 1 + random.below(regions - 1)) % regions;
}

/** One on average over a day; at night a tenth of noon. */
function daylight(hour: number, region: number): number {
  const noon = NOON_UTC[region % NOON_UTC.length] ?? 12;
  return 1 + 0.82 * Math.cos(((hour - noon) / HOURS) * 2 * Math.PI);
}

/** Eight hours around noon. */
function onShift(hour: number, region: number): boolean {
  const noon = NOON_UTC[region % NOON_UTC.length] ?? 12;
  return (((hour - noon + 4) % HOURS) + HOURS) % HOURS < 8;
}

/** Box and Muller. */
function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}

/** Knuth's for small means; else the normal that it comes to. */
function poisson(mean: number, random: Random): number {
  if (mean <= 0) return 0;
  if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)));
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}
