/**
 * How long a start takes and what an idle platform costs: the bank, three regions, fifteen servers.
 *
 *   npm run bench -- start [rounds]
 *
 * Cold: from nothing to serving. Warm: the same data again. Memory: proportional set size of all
 * database processes before any client came. Idle CPU: everything, supervisor included, over 20 s.
 * Memory and CPU are read from /proc: Linux only.
 */
import { mkdtemp, rm, chmod } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config/load.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { startPlatform, type Platform } from '../src/platform.ts';
import { databaseMegabytes, ours } from './measuring/processes.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const IDLE_SECONDS = 20;
const SETTLE_SECONDS = 8;
/** USER_HZ, which Linux fixes for user space. */
const TICKS_PER_SECOND = 100;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

async function idlePercent(): Promise<number> {
  const before = await ours();
  const startedAt = performance.now();
  await systemClock.sleep(IDLE_SECONDS * 1_000);
  const seconds = (performance.now() - startedAt) / 1_000;
  let ticks = 0;
  for (const [pid, { ticks: now }] of await ours()) ticks += now - (before.get(pid)?.ticks ?? 0);
  return (100 * ticks) / TICKS_PER_SECOND / seconds;
}

const rounds = Number(process.argv[2] ?? 5);
const declared = await loadConfig({
  folder: ROOT,
  file: join(ROOT, 'examples', 'bank', 'meridian.config.ts'),
});
const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
await chmod(directory, 0o755);
const config = {
  ...declared,
  dataDirectory: join(directory, 'data'),
  gateway: {
    ...declared.gateway,
    ports: Object.fromEntries(declared.regions.map((region) => [region.name, 0])),
  },
};
const start = (fresh: boolean): Promise<Platform> =>
  startPlatform(config, { fresh, log: silentLog, onProgress: () => {} });

const cold: Platform[] = [];
const warm: Platform[] = [];
const stopMs: number[] = [];
let megabytes = NaN;
let percent = NaN;
try {
  for (let round = 1; round <= rounds; round += 1) {
    for (const fresh of [true, false]) {
      const platform = await start(fresh);
      (fresh ? cold : warm).push(platform);
      if (round === rounds && !fresh) {
        await systemClock.sleep(SETTLE_SECONDS * 1_000);
        megabytes = await databaseMegabytes();
        percent = await idlePercent();
      }
      const askedAt = performance.now();
      await platform.stop();
      stopMs.push(performance.now() - askedAt);
    }
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
const row = (name: string, values: readonly number[]): string =>
  `${name.padEnd(32)} ${(median(values) / 1_000).toFixed(1).padStart(8)} s   (${values.map((ms) => (ms / 1_000).toFixed(1)).join(', ')})`;
console.log(`${String(rounds)} rounds on ${String(cpus().length)} x ${cpus()[0]?.model ?? 'CPU'}`);
for (const [name, started] of [
  ['cold', cold],
  ['warm', warm],
] as const) {
  const database = started.map((platform) => platform.databaseReadyMs);
  console.log(row(`${name}: database ready, median`, database));
  const all = started.map((platform) => platform.readyMs);
  console.log(row(`${name}: serving, median`, all));
}
console.log(row('stop, median', stopMs));
console.log(`${'database memory (PSS)'.padEnd(32)} ${megabytes.toFixed(0).padStart(8)} MB`);
console.log(`${'idle CPU of everything'.padEnd(32)} ${percent.toFixed(1).padStart(8)} % of a core`);
