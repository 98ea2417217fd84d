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
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createFileLog } from '../src/cli/file-log.ts';
import { parseDuration } from '../src/cli/duration.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { isMeridianError, messageOf } from '../src/kernel/errors.ts';
import { startPlatform, type Platform } from '../src/platform.ts';
import { ownBank } from './bank/declaration.ts';
import { startLoad } from './bank/load.ts';
import { interruption } from './measuring/interrupted.ts';
import { sampleProcesses, type Sample } from './rolling/processes.ts';
import { failuresOf, rollingReport, type RestartDone } from './rolling/report.ts';

const SAMPLE_EVERY_MS = 15_000;

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
const { config, directory } = await ownBank();
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
    const load = startLoad(
      platform,
      ['--for', `${String(forMs)}ms`, '--rate', values.rate],
      (line) => {
        console.log(line);
      },
    );
    const ended = new AbortController();
    // Ctrl-C ends the load, which then tells what it has seen, and the rest follows.
    interruption(() => {
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
