/**
 * Accounts that are given another home because of their traffic, on traces of weeks in a simulated time:
 * how much of what an oracle would save is saved, and what is moved for it.
 *
 *   npm run bench -- rehoming [--trace diurnal] [--seeds 1,2,3] [--accounts 1000] [--days 28]
 *
 * The oracle knows all that comes, and has the same budget of bytes and the same pause between two moves of
 * an account. Beside it, on the same accesses: re-homing on every foreign write, and to whoever had more than
 * half of the last five minutes. The first days are only watched (`--warm-up`): re-homing is switched on then.
 * Fails (exit code 1) where less than nine tenths of the oracle's gain is reached, more than 2 % of the bytes
 * are moved in a day, an account goes to and fro, or anything moves on noise.
 */
import { parseArgs } from 'node:util';
import { REHOMING_DEFAULTS } from '../src/placement/rehoming-policy.ts';
import { BASELINES, distancesOf, replayBaseline } from './rehoming/baselines.ts';
import { oracle } from './rehoming/oracle.ts';
import { ours } from './rehoming/ours.ts';
import { replay, type Chooser, type Replayed } from './rehoming/replay.ts';
import { TRACE_NAMES, traceOf, type TraceName } from './rehoming/traces.ts';

const HOURS = 24;
const REGIONS = 3;
const GAIN_MIN = 0.9;
const BYTES_MAX = 0.02;
/** Where not even an oracle saves so much, nothing is to be moved. */
const WORTH_MIN = 0.02;
const DAYS: Readonly<Record<TraceName, number>> = {
  diurnal: 3,
  'follow-the-sun': 14,
  travelling: 56,
  'one-day-burst': 28,
  noise: 28,
};
const NOBODY: Chooser = { after: () => [] };

const { values } = parseArgs({
  options: {
    trace: { type: 'string', default: 'all' },
    seeds: { type: 'string', default: '1,2,3' },
    accounts: { type: 'string', default: '1000' },
    days: { type: 'string' },
    'warm-up': { type: 'string', default: '3' },
    'accesses-per-day': { type: 'string', default: '200' },
  },
});
const wholeNumber = (text: string, option: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Error(`--${option}: expected a whole number, not "${text}"`);
  }
  return value;
};
const seeds = values.seeds.split(',').map((seed) => wholeNumber(seed, 'seeds'));
const names = values.trace === 'all' ? TRACE_NAMES : TRACE_NAMES.filter((n) => n === values.trace);
if (names.length === 0) throw new Error(`--trace: expected all, ${TRACE_NAMES.join(', ')}`);
const accounts = wholeNumber(values.accounts, 'accounts');
const warmUpDays = wholeNumber(values['warm-up'], 'warm-up');
const accessesPerDay = wholeNumber(values['accesses-per-day'], 'accesses-per-day');
const distances = distancesOf(REGIONS);
const warmUpHours = warmUpDays * HOURS;

interface Row extends Replayed {
  readonly who: string;
  readonly savedMs: number;
  /** Of what clients wait if nobody ever moves. */
  readonly savedShare: number;
}

function runsOf(name: TraceName, seed: number): Row[] {
  const counted = values.days === undefined ? DAYS[name] : wholeNumber(values.days, 'days');
  const { bytesShareMax, cooldownIntervals: cooldownHours } = REHOMING_DEFAULTS;
  const days = warmUpDays + counted + cooldownHours / HOURS;
  const trace = traceOf(name, { seed, accounts, days, regions: REGIONS, accessesPerDay });
  const options = { distances, warmUpHours, tailHours: cooldownHours };
  const still = replay(trace, NOBODY, options);
  const runs: [string, Replayed][] = [
    ['oracle', replay(trace, oracle(trace, { distances, bytesShareMax, cooldownHours }), options)],
    ['meridian', replay(trace, ours(trace, distances, REHOMING_DEFAULTS), options)],
    ...Object.keys(BASELINES).map((baseline): [string, Replayed] => [
      baseline,
      replayBaseline(trace, baseline, { ...options, seed }),
    ]),
  ];
  return runs.map(([who, run]) => {
    const savedMs = still.waitedMs - run.waitedMs;
    return { who, ...run, savedMs, savedShare: savedMs / still.waitedMs };
  });
}

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const failures: string[] = [];
const table: string[][] = [
  [
    ...['trace', 'seed', 'who', 'waiting saved', 'of the oracle’s gain'],
    ...['moves', 'bytes in a day', 'to and fro'],
  ],
];
for (const name of names) {
  for (const seed of seeds) {
    const rows = runsOf(name, seed);
    const [best] = rows;
    const worthIt = best !== undefined && best.savedShare >= WORTH_MIN;
    for (const { who, savedMs, savedShare, moves, bytesShareMax, oscillations } of rows) {
      const share = worthIt ? savedMs / best.savedMs : NaN;
      table.push([
        ...[name, String(seed), who, percent(savedShare)],
        ...[worthIt ? percent(share) : 'nothing to gain', String(moves)],
        ...[percent(bytesShareMax), String(oscillations)],
      ]);
      if (who !== 'meridian') continue;
      const where = `${name}, seed ${String(seed)}`;
      const still = name === 'noise' || !worthIt;
      if (still && moves > 0) failures.push(`${where}: ${String(moves)} moves`);
      if (!still && share < GAIN_MIN) failures.push(`${where}: gains ${percent(share)}`);
      if (bytesShareMax > BYTES_MAX) failures.push(`${where}: moves ${percent(bytesShareMax)}`);
      if (oscillations > 0) failures.push(`${where}: ${String(oscillations)} to and fro`);
    }
  }
}
const widths = (table[0] ?? []).map((_, at) =>
  Math.max(...table.map((row) => row[at]?.length ?? 0)),
);
for (const row of table) {
  console.log(
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
console.log(failures.length === 0 ? 'passed' : ['FAILED:', ...failures].join('\n  '));
process.exitCode = failures.length === 0 ? 0 : 1;
