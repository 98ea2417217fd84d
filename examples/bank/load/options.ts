/** The driver's command line. Defaults are here, with the arithmetic behind them. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { ArrivalPattern } from './schedule.ts';

export interface DriveOptions {
  /** Length of the measured part; undefined runs until a signal. */
  readonly seconds: number | undefined;
  /** Load before it, which counts for the ledger and for errors but not for latencies. */
  readonly warmUpSeconds: number;
  /** Requests per second over all regions. */
  readonly rate: number;
  readonly arrivals: ArrivalPattern;
  readonly seed: number;
  readonly json: boolean;
  readonly accountsPerRegion: number;
  readonly remoteShare: number;
  readonly globalShare: number;
  readonly balanceShare: number;
  readonly inFlightMax: number;
  readonly pauseFile: string | undefined;
}

/**
 * 250 requests/s over three regions are 2,500 per region in 30 s: 512 reads of global tables, 275 of
 * balances, and 1,713 of SmallBank, whose 15 % of balances make 532 of those. Of its 1,456 writes 41 %
 * go to other regions: 597, of which about a tenth is refused for lack of funds (amalgamate empties
 * accounts, and the published amounts don't refill them) and not counted as a sample. So each class
 * has its 500 samples, with the deck of mix.ts and some room.
 */
const RATE_MAX = 250;
const RATE_PER_CORE = 30;

/**
 * The rate that is driven unless one is asked for. Servers, gateways, app servers and the driver share
 * one machine, and an open loop forgives no rate above what its cores do: the queue only grows. A core
 * has been seen to do 125 requests/s, and 50 when others had a share of it; and laptops have other work.
 */
export function defaultRate(cores: number): number {
  return Math.min(RATE_MAX, RATE_PER_CORE * cores);
}

const DEFAULTS = {
  'warm-up': '8s',
  rate: String(defaultRate(availableParallelism())),
  arrivals: 'poisson',
  seed: '1',
  accounts: '250',
  'remote-share': '0.41',
  'global-share': '0.205',
  'balance-share': '0.11',
  'in-flight': '2000',
} as const;

export const USAGE = `Drives SmallBank over HTTP through the gateways, and checks the ledger at the end.

  --for <time>              measured length, such as 30s or 2m; without it, until Ctrl-C
  --warm-up <time>          rising load before it, not measured (${DEFAULTS['warm-up']})
  --rate <n>                requests/s in total (${String(RATE_PER_CORE)} per core, at most ${String(RATE_MAX)}: ${DEFAULTS.rate})
  --arrivals <pattern>      poisson or fixed (${DEFAULTS.arrivals})
  --seed <n>                plans the same requests again (${DEFAULTS.seed})
  --accounts <n>            accounts per region (${DEFAULTS.accounts})
  --remote-share <n>        of account requests, to accounts homed elsewhere (${DEFAULTS['remote-share']})
  --global-share <n>        of all requests, reads of global tables (${DEFAULTS['global-share']})
  --balance-share <n>       of all requests, balance reads beside SmallBank's own (${DEFAULTS['balance-share']})
  --in-flight <n>           requests at once; more are errors (${DEFAULTS['in-flight']})
  --pause-before-verify <file>  makes the file when the load has ended, waits until it is removed
  --json                    summary as JSON on the last line of stdout
  --help`;

/** Throws a sentence for what it can't read; undefined: help was asked for. */
export function parseDriveOptions(args: readonly string[]): DriveOptions | undefined {
  const option = (name: keyof typeof DEFAULTS) =>
    ({ type: 'string', default: DEFAULTS[name] }) as const;
  const { values } = parseArgs({
    args: [...args],
    allowPositionals: false,
    options: {
      for: { type: 'string' },
      'warm-up': option('warm-up'),
      rate: option('rate'),
      arrivals: option('arrivals'),
      seed: option('seed'),
      accounts: option('accounts'),
      'remote-share': option('remote-share'),
      'global-share': option('global-share'),
      'balance-share': option('balance-share'),
      'in-flight': option('in-flight'),
      'pause-before-verify': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (values.arrivals !== 'poisson' && values.arrivals !== 'fixed') {
    throw new Error(`--arrivals ${values.arrivals}: expected poisson or fixed`);
  }
  return {
    seconds: values.for === undefined ? undefined : parseSeconds('--for', values.for),
    warmUpSeconds: parseSeconds('--warm-up', values['warm-up']),
    rate: parseNumber('--rate', values.rate, { min: 1, max: 100_000 }),
    arrivals: values.arrivals,
    seed: parseNumber('--seed', values.seed, { min: 0, max: 2 ** 32 - 1, whole: true }),
    accountsPerRegion: parseNumber('--accounts', values.accounts, {
      min: 2,
      max: 100_000,
      whole: true,
    }),
    remoteShare: parseNumber('--remote-share', values['remote-share'], { min: 0, max: 1 }),
    balanceShare: parseNumber('--balance-share', values['balance-share'], { min: 0, max: 1 }),
    globalShare: parseNumber('--global-share', values['global-share'], { min: 0, max: 1 }),
    inFlightMax: parseNumber('--in-flight', values['in-flight'], {
      min: 1,
      max: 100_000,
      whole: true,
    }),
    pauseFile: values['pause-before-verify'],
    json: values.json,
  };
}

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600 };

function parseSeconds(name: string, text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text);
  const unit = SECONDS_PER_UNIT[match?.[2] ?? 's'];
  if (match === null || unit === undefined) {
    throw new Error(`${name} ${text}: expected a time such as 30s or 2m`);
  }
  return Number(match[1]) * unit;
}

interface Limits {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

function parseNumber(name: string, text: string, { min, max, whole = false }: Limits): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'a whole number' : 'a number';
    throw new Error(`${name} ${text}: expected ${kind} from ${String(min)} to ${String(max)}`);
  }
  return value;
}
