/**
 * When requests are sent: an open loop. Arrivals are planned ahead of answers and never wait for them,
 * as the world's customers don't; latency counts from the planned moment, so that a slow answer can't
 * hide by holding back the requests behind it ("coordinated omission"). Pure and seeded.
 */
import { seededRandom } from './random.ts';

/** Poisson: independent customers. Fixed: one beat, for comparing runs. */
export type ArrivalPattern = 'poisson' | 'fixed';

export interface Arrival {
  /** Milliseconds from the start of the load. */
  readonly atMs: number;
  readonly region: string;
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly regions: readonly string[];
  /** Over all regions, which share it evenly. */
  readonly perSecond: number;
  readonly pattern: ArrivalPattern;
  /**
   * The rate rises evenly to its full height over this long. Processes that have just started run
   * slowly until their code is compiled; at full rate at once they pile up a queue that an open loop
   * never gives them time to work off.
   */
  readonly rampMs: number;
}

/** The rate that a ramp begins with, of the full one. */
const RAMP_FROM = 0.1;

/** The moment at which a ramped load has come as far as one of full rate at `fullMs`. */
export function rampedMs(fullMs: number, rampMs: number): number {
  const rampWork = (rampMs * (RAMP_FROM + 1)) / 2;
  if (fullMs >= rampWork) return rampMs + (fullMs - rampWork);
  // RAMP_FROM·t + (1 − RAMP_FROM)·t² / (2·ramp) = full, solved for t.
  const a = (1 - RAMP_FROM) / (2 * rampMs);
  return (Math.sqrt(RAMP_FROM ** 2 + 4 * a * fullMs) - RAMP_FROM) / (2 * a);
}

/** An endless supply of arrivals in time order; each region's are independent of the others'. */
export function createSchedule(options: ScheduleOptions): () => Arrival {
  const { regions } = options;
  const meanGapMs = (1_000 * regions.length) / options.perSecond;
  const streams = regions.map((region, index) => {
    const random = seededRandom(options.seed, `arrivals/${region}`);
    const nextGapMs =
      options.pattern === 'fixed'
        ? () => meanGapMs
        : () => -Math.log(1 - random.next()) * meanGapMs;
    const firstMs =
      options.pattern === 'fixed' ? (meanGapMs * index) / regions.length : nextGapMs();
    return { region, atMs: firstMs, nextGapMs };
  });
  return () => {
    const next = streams.reduce((a, b) => (b.atMs < a.atMs ? b : a));
    const arrival = { atMs: rampedMs(next.atMs, options.rampMs), region: next.region };
    next.atMs += next.nextGapMs();
    return arrival;
  };
}
