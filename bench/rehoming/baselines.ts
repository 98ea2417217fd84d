/**
 * What others do, access by access, on the same traces: they move within an hour, so the accesses of each
 * hour are put into an order, from a seed.
 */
import { seededRandom, type Random } from '../../src/kernel/random.ts';
import type { Distances } from '../../src/placement/preference.ts';
import { Books, type Replayed, type ReplayOptions } from './replay.ts';
import type { Trace } from './traces.ts';

/** Of the accesses of a bank. */
const WRITE_SHARE = 0.3;
const WINDOWS_PER_HOUR = 12;

/** Sees each access of one account in order; answers with the home after it. */
type Rule = (access: {
  readonly region: number;
  readonly window: number;
  readonly home: number;
}) => number;

export const BASELINES: Readonly<Record<string, (regions: number, random: Random) => Rule>> = {
  /** As databases with regional rows are often used: the row goes where it is written. */
  'every foreign write': (_, random) => {
    return ({ region, home }) => (random.next() < WRITE_SHARE ? region : home);
  },
  /** Whoever had more than half of the last five minutes has it. */
  '> 50 % over 5 minutes': (regions) => {
    let current = -1;
    let home = -1;
    const counts = new Array<number>(regions).fill(0);
    return (access) => {
      if (home < 0) home = access.home;
      if (access.window !== current) {
        const total = counts.reduce((sum, count) => sum + count, 0);
        const most = counts.findIndex((count) => count > total / 2);
        if (most >= 0) home = most;
        counts.fill(0);
        current = access.window;
      }
      counts[access.region] = (counts[access.region] ?? 0) + 1;
      return home;
    };
  },
};

export function replayBaseline(
  trace: Trace,
  name: string,
  options: ReplayOptions & { readonly seed: number },
): Replayed {
  const { distances, warmUpHours, tailHours } = options;
  const random = seededRandom(options.seed);
  const books = new Books(trace);
  let waitedMs = 0;
  trace.accounts.forEach(({ home: opened }, account) => {
    const rule = BASELINES[name]?.(trace.regions, random);
    let home = opened;
    for (let hour = warmUpHours; hour < trace.hours - tailHours; hour += 1) {
      for (const { region, window } of inOrder(trace, { account, hour, random })) {
        waitedMs += distances[region]?.[home] ?? 0;
        const to = rule?.({ region, window, home }) ?? home;
        if (to !== home) books.move({ account, from: home, to, hour });
        home = to;
      }
    }
  });
  return { waitedMs, ...books.totals() };
}

function inOrder(
  { accounts, regions }: Trace,
  of: { readonly account: number; readonly hour: number; readonly random: Random },
): { readonly region: number; readonly window: number }[] {
  const { account, hour, random } = of;
  const drawn: { region: number; at: number }[] = [];
  for (let region = 0; region < regions; region += 1) {
    const count = accounts[account]?.accesses[hour * regions + region] ?? 0;
    for (let one = 0; one < count; one += 1) drawn.push({ region, at: random.next() });
  }
  drawn.sort((a, b) => a.at - b.at);
  return drawn.map(({ region, at }) => ({
    region,
    window: hour * WINDOWS_PER_HOUR + Math.floor(at * WINDOWS_PER_HOUR),
  }));
}

/** The rounds of distances between regions that everything here runs on. */
export const distancesOf = (regions: number): Distances => {
  const published = [
    [0, 80, 200],
    [80, 0, 140],
    [200, 140, 0],
  ];
  return published.slice(0, regions).map((row) => row.slice(0, regions));
};
