/**
 * Kills leaders, in every layout and way, until as many have died as were asked for, while writers note
 * what is acknowledged to them: is any of it ever lost?
 *
 *   npm run bench -- kills [--layout zone|region] [--kills 1000] [--seed 1] [--every 20] [--scale 1]
 *
 * Can be left running, ended by Ctrl-C or in any other way, and started again: it goes on where
 * bench/results/kills-<layout>.jsonl ends. Leaders of all groups are killed side by side, at moments
 * drawn from the seed; every so many kills the rows are read back from the leaders, and a line is
 * written. Fails (exit code 1) on the first acknowledged row that is not there, on one that is there
 * although it was refused or deleted, and on a group that does not recover.
 */
import { systemClock } from '../src/kernel/clock.ts';
import { Campaign } from './kills/campaign.ts';
import { parseKillsOptions } from './kills/options.ts';
import { Results, summarize } from './kills/results.ts';
import { interruption } from './measuring/interrupted.ts';

const options = parseKillsOptions(process.argv.slice(2));
const results = await Results.open(options);
const asked = interruption(() => {
  console.log('ending: rows are read back first');
});

const before = results.kills;
if (before > 0) console.log(`${String(before)} kills are written down already`);
if (before < options.kills) {
  const campaign = new Campaign(options, results, (line) => {
    const time = new Date(systemClock.now()).toISOString().slice(11, 19);
    console.log(`${time} ${line}`);
  });
  const failures = await campaign.run(asked);
  for (const failure of failures) console.error(`FAILED: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}
console.log(JSON.stringify(summarize(options.layout, results.batches), undefined, 2));
if (process.exitCode !== 1 && results.kills < options.kills) {
  console.log(
    `${String(results.kills)} of ${String(options.kills)} kills; the same command goes on`,
  );
  process.exitCode = 130;
}
