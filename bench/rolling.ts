/**
 * The bank under its default load while app servers and gateways are restarted in turn, for as long as
 * is asked: does a request fail, does the ledger balance, does anything grow?
 *
 *   npm run bench -- rolling --for 30m --every 1m [--rate 250]
 *
 * Fails (exit code 1) unless the driver counts no failed request, every account balances with SQL,
 * every write is read back, every restart was carried out, and, over ten minutes or more, memory and
 * file descriptors of each kind of process stay flat. The driver is a client that repeats nothing.
 * Memory is the proportional set size, read from /proc: Linux only.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { Summary } from '../examples/bank/load/report.ts';
import { createFileLog } from '../src/cli/file-log.ts';
import { parseDuration } from '../src/cli/duration.ts';
import { loadConfig } from '../src/config/load.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { isMeridianError, messageOf } from '../src/kernel/errors.ts';
import { startPlatform, type Platform } from '../src/platform.ts';
import { sampleProcesses, type Sample } from './rolling/processes.ts';
import { failuresOf, rollingReport, type RestartDone, type Second } from './rolling/report.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SAMPLE_EVERY_MS = 15_000;
const DRIVER = join(ROOT, 'dist', 'examples', 'bank', 'drive.js');

interface Load {
  readonly summary: Promise<Summary>;
  readonly seconds: Second[];
  /** Resolves when requests at the full rate are being answered. */
  readonly begun: Promise<void>;
  end(): void;
}

/** The driver's progress lines, as load/progress.ts writes them. */
function parseSecond(line: string): Omit<Second, 'atMs'> | undefined {
  const found = /^\s*\d+ s\s+(\d+) req\/s\s+p50\s+\S+ ms\s+p99\s+(\S+) ms.*errors (\d+)/.exec(line);
  if (found === null) return undefined;
  return { answered: Number(found[1]), p99Ms: Number(found[2]), errors: Number(found[3]) };
}

function startLoad(platform: Platform, args: readonly string[]): Load {
  const gateways = JSON.stringify(platform.gateways);
  const child = spawn(process.execPath, [DRIVER, ...args, '--json'], {
    env: { ...process.env, ...platform.env, MERIDIAN_GATEWAYS: gateways },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seconds: Second[] = [];
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  createInterface({ input: child.stderr }).on('line', (line) => {
    const second = parseSecond(line);
    if (second === undefined) {
      console.log(line);
      return;
    }
    if (second.errors > (seconds.at(-1)?.errors ?? 0)) console.log(line);
    seconds.push({ atMs: performance.now(), ...second });
    begin();
  });
  let last = '';
  createInterface({ input: child.stdout }).on('line', (line) => (last = line));
  const summary = new Promise<Summary>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      begin();
      try {
        resolve(JSON.parse(last) as Summary);
      } catch (cause) {
        reject(new Error(`the driver ended with ${String(code)} and said: ${last}`, { cause }));
      }
    });
  });
  return { summary, seconds, begun, end: () => child.kill('SIGINT') };
}

/** App servers, gateways, app servers, … until the signal; a failure is noted, not hidden. */
async function keepRestarting(
  platform: Platform,
  everyMs: number,
  ended: AbortSignal,
): Promise<RestartDone[]> {
  const done: RestartDone[] = [];
  let dueMs = performance.now();
  for (let turn = 0; !ended.aborted; turn += 1) {
    dueMs += everyMs;
    await systemClock.sleep(Math.max(0, dueMs - performance.now()), ended).catch(() => {});
    if (ended.aborted) break;
    const what = turn % 2 === 0 ? 'apps' : 'gateways';
    const fromMs = performance.now();
    let failure: string | undefined;
    let restarted = 0;
    try {
      const request = { apps: what === 'apps', gateways: what === 'gateways' };
      ({ restarted } = await platform.restart(request, { signal: ended }));
    } catch (error) {
      if (isMeridianError(error, 'ERR_RESTART_UNDER_WAY')) {
        console.log(`${what}: skipped, ${error.message}`);
        continue;
      }
      failure = messageOf(error);
    }
    const toMs = performance.now();
    done.push({ what, fromMs, toMs, restarted, failure });
    const took = ((toMs - fromMs) / 1_000).toFixed(1);
    console.log(`${what}: ${failure ?? `${String(restarted)} restarted`} in ${took} s`);
  }
  return done;
}

async function keepSampling(ended: AbortSignal): Promise<Sample[]> {
  const samples: Sample[] = [];
  while (!ended.aborted) {
    samples.push(await sampleProcesses());
    await systemClock.sleep(SAMPLE_EVERY_MS, ended).catch(() => {});
  }
  return samples;
}

const { values } = parseArgs({
  options: {
    for: { type: 'string', default: '30m' },
    every: { type: 'string', default: '1m' },
    rate: { type: 'string', default: '250' },
  },
});
const forMs = parseDuration(values.for);
const everyMs = parseDuration(values.every);
const declared = await loadConfig({
  folder: ROOT,
  file: join(ROOT, 'examples', 'bank', 'meridian.config.ts'),
});
const directory = await mkdtemp(join(tmpdir(), 'meridian-rolling-'));
await chmod(directory, 0o755);
const ports = Object.fromEntries(declared.regions.map((region) => [region.name, 0]));
const config = {
  ...declared,
  dataDirectory: join(directory, 'data'),
  gateway: { ...declared.gateway, ports },
};
// Outside of the data directory, which a fresh start empties.
const log = createFileLog({
  file: join(directory, 'supervisor.log'),
  level: 'info',
  clock: systemClock,
});
let passed = false;
try {
  const platform = await startPlatform(config, { fresh: true, log, onProgress: () => {} });
  try {
    const load = startLoad(platform, ['--for', `${String(forMs)}ms`, '--rate', values.rate]);
    const ended = new AbortController();
    // Ctrl-C ends the load, which then tells what it has seen, and the rest follows.
    process.once('SIGINT', () => {
      load.end();
    });
    void load.summary
      .finally(() => {
        ended.abort();
      })
      .catch(() => {});
    await load.begun;
    const [summary, restarts, samples] = await Promise.all([
      load.summary,
      keepRestarting(platform, everyMs, ended.signal),
      keepSampling(ended.signal),
    ]);
    const run = { summary, seconds: load.seconds, restarts, samples };
    const failures = failuresOf(run);
    passed = failures.length === 0;
    console.log(['', ...rollingReport(run), ''].join('\n'));
    console.log(passed ? 'passed' : `FAILED: ${failures.join('; ')}`);
  } finally {
    await platform.stop();
  }
} finally {
  if (passed) await rm(directory, { recursive: true, force: true });
  else console.log(`logs are kept in ${directory}`);
}
process.exitCode = passed ? 0 : 1;
