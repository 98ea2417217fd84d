/**
 * What surviving a region costs beside surviving a zone: the bank with the default distances.
 *
 *   npm run bench -- layouts [seconds] [rate]
 *
 * For each goal: the number of servers, their memory before any client came, and the latency of writes
 * to accounts homed in the client's region, through the gateway, beside the round trip to the nearest
 * other region, which is what a commit waits for when regions vote. Linux only.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Summary } from '../examples/bank/load/report.ts';
import { loadConfig } from '../src/config/load.ts';
import type { ResolvedConfig } from '../src/config/resolved.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { startPlatform, type Platform } from '../src/platform.ts';
import { regionPair } from '../src/topology/region.ts';
import type { SurvivalGoal } from '../src/topology/survival.ts';
import { databaseMegabytes } from './measuring/processes.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const DRIVER = join(ROOT, 'dist', 'examples', 'bank', 'drive.js');
const SETTLE_MS = 8_000;

const [seconds = '20', rate = '60'] = process.argv.slice(2);
const declared = await loadConfig({
  folder: ROOT,
  file: join(ROOT, 'examples', 'bank', 'meridian.config.ts'),
});

async function drive(platform: Platform): Promise<Summary> {
  const child = spawn(
    process.execPath,
    [DRIVER, '--json', '--for', `${seconds}s`, '--rate', rate],
    {
      env: {
        ...process.env,
        ...platform.env,
        MERIDIAN_GATEWAYS: JSON.stringify(platform.gateways),
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(child, 'close');
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as Summary;
}

function nearestMs(config: ResolvedConfig, from: string): number {
  const { betweenRegionsMs } = config.latency.matrix;
  const others = config.regions.filter((region) => region.name !== from);
  return Math.min(...others.map((to) => betweenRegionsMs[regionPair(from, to.name)] ?? Infinity));
}

async function measure(survive: SurvivalGoal): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
  await chmod(directory, 0o755);
  const config: ResolvedConfig = {
    ...declared,
    survive,
    dataDirectory: join(directory, 'data'),
    gateway: {
      ...declared.gateway,
      ports: Object.fromEntries(declared.regions.map((region) => [region.name, 0])),
    },
  };
  const options = { fresh: true, log: silentLog, onProgress: () => {} };
  const platform = await startPlatform(config, options);
  try {
    await systemClock.sleep(SETTLE_MS);
    const megabytes = await databaseMegabytes();
    const { nodes } = await platform.status();
    const summary = await drive(platform);
    console.log(
      `survive: '${survive}': ${String(nodes.length)} servers, ${megabytes.toFixed(0)} MB (PSS); ` +
        `${String(summary.requests)} requests, ${String(summary.errors)} errors, balanced: ${String(summary.balanced)}`,
    );
    for (const one of summary.classes.filter((part) => part.class === 'local write')) {
      const limit =
        survive === 'region' ? `aim < ${String(nearestMs(config, one.region) + 15)}` : '';
      console.log(
        `  local write ${one.region.padEnd(10)} p50 ${ms(one.p50)} p99 ${ms(one.p99)} ms  ${limit}`,
      );
    }
  } finally {
    await platform.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

const ms = (value: number | null): string => (value ?? NaN).toFixed(1).padStart(7);

for (const goal of ['zone', 'region'] as const) await measure(goal);
