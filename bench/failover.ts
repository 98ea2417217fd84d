/**
 * How long writes wait, in both layouts, with the default distances: when the leader's machine ends, when
 * it hangs or is cut off, and while the leader is changed as planned; and how long a replica takes to be
 * copied anew.
 *
 *   npm run bench -- failover [rounds] [zone|region]
 *
 * The table is written to bench/results/failover.json too. Exit code 1 when an aim is missed, or a
 * request failed during a planned change.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../src/kernel/clock.ts';
import { RESULTS } from './cluster/results-folder.ts';
import { fill, hung, killed, partitioned, rebuilt, switched } from './failover/measurements.ts';
import { layoutsNamed, overLayouts } from './failover/over-layouts.ts';
import type { Stand } from './failover/stand.ts';
import {
  AIMS,
  formatTable,
  REBUILD_AIM,
  rowOf,
  SILENT_AIM_MS,
  type Aim,
  type Row,
} from './failover/table.ts';
import { interruption } from './measuring/interrupted.ts';

const [roundsText = '10', only] = process.argv.slice(2);
const rounds = Number(roundsText);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('how many rounds?');
const layouts = layoutsNamed(only);

const signal = interruption(() => {
  console.log('ending: the cluster is taken down first');
});
const rows: Row[] = [];
const failures: string[] = [];
let bytes = 0;

async function measure(stand: Stand): Promise<void> {
  const { layout, leaseMs, groups } = stand;
  /** Rounds of one measurement, on the groups in turn. */
  const take = async (
    what: string,
    aim: Aim,
    one: (group: string) => Promise<readonly number[]>,
  ): Promise<void> => {
    const values: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      values.push(...(await one(groups.names[round % groups.names.length] ?? '')));
    }
    const row = rowOf({ layout, what, aim }, values);
    rows.push(row);
    console.log(`${layout}: ${what}: ${row.values.join(', ')} ms`);
  };
  const silent = { max: leaseMs + SILENT_AIM_MS };
  await take("the leader's node is killed", AIMS[layout].killed, async (group) => [
    await killed(stand, group),
  ]);
  await take('the leader hangs', silent, async (group) => [await hung(stand, group, 'process')]);
  await take("the leader's machine hangs", silent, async (group) => [
    await hung(stand, group, 'node'),
  ]);
  await take('the leader is cut off', silent, async (group) => [await partitioned(stand, group)]);
  await take('switchover', AIMS[layout].switchover, async (group) => {
    const done = await switched(stand, group);
    const failed = done.reduce((sum, one) => sum + one.failed, 0);
    if (failed > 0) failures.push(`${layout}: ${String(failed)} requests failed in a switchover`);
    return done.map(({ pauseMs }) => pauseMs);
  });
  await fill(stand);
  await take('rebuild of a replica', REBUILD_AIM, async (group) => {
    const done = await rebuilt(stand, group);
    bytes = Math.max(bytes, done.bytes);
    return [done.tookMs];
  });
}

const versions = await overLayouts(layouts, signal, measure);

for (const { layout, what, met } of rows) if (!met) failures.push(`${layout}: ${what}: missed`);
const result = {
  ...{ measuredAt: new Date(systemClock.now()).toISOString(), versions, rounds, failures },
  ...{ replicaBytes: bytes, rows },
};
await mkdir(RESULTS, { recursive: true });
await writeFile(join(RESULTS, 'failover.json'), `${JSON.stringify(result, undefined, 2)}\n`);
console.log(['', formatTable(rows), ''].join('\n'));
console.log(`replicas of ${(bytes / 1e6).toFixed(1)} MB`);
for (const failure of failures) console.log(`FAILED: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
