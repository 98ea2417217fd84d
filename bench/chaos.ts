/**
 * The bank under its load while every kind of fault strikes, from a seed: is each refusal one that a
 * client can do something with, does the ledger balance in the end, is anything left behind?
 *
 *   npm run bench -- chaos --for 10m [--layout zone|region] [--seed 1] [--rate 15] [--rest 10s]
 *
 * The faults are those of `meridian verify --faults all`, and begin when the load has run for half a
 * minute: processes that have just started take several times the processor time, and a few cores have
 * none to spare then. For the same reason three of four moves wait until their group is whole again, and
 * `--rest` longer; the fourth does not wait. The driver's clients repeat writes of unknown
 * outcome with their keys, and nothing else; what they were refused is counted by status, code and
 * advice. Fails (exit code 1) on a refusal that says neither when to come back nor may be repeated, on a
 * request without an answer whose gateway was not killed, on an account that does not balance, on what
 * does not recover or outlives the platform, and on processes that have grown when all is calm again.
 * Result: bench/results/chaos-<layout>.json. Linux only: memory is read from /proc.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createFileLog } from '../src/cli/file-log.ts';
import { parseDuration } from '../src/cli/duration.ts';
import type { ResolvedConfig } from '../src/config/resolved.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { startPlatform, type Platform } from '../src/platform.ts';
import { SKEW_MAX_MS } from '../src/verify/nemesis/moves/building.ts';
import { serversOf } from '../src/verify/servers.ts';
import { ownBank } from './bank/declaration.ts';
import { startLoad } from './bank/load.ts';
import { strike } from './chaos/faults.ts';
import { countsBy, failuresOf, growthOf, type ChaosRun } from './chaos/judging.ts';
import { RESULTS } from './cluster/results-folder.ts';
import { versionsOf, type Versions } from './cluster/versions.ts';
import { interruption } from './measuring/interrupted.ts';
import { processesIn } from './measuring/processes.ts';
import { sampleProcesses } from './rolling/processes.ts';

/** Until a group that was struck is whole again: the next move waits no longer. */
const WHOLE_TIMEOUT_MS = 60_000;
const POLL_MS = 200;
const WARM_UP_MS = 30_000;
/** Idle connections have ended by then, and buffers been let go of. */
const CALM_MS = 45_000;

const { values } = parseArgs({
  options: {
    for: { type: 'string', default: '10m' },
    layout: { type: 'string', default: 'zone' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '15' },
    rest: { type: 'string', default: '10s' },
  },
});
const { layout, rate } = values;
if (layout !== 'zone' && layout !== 'region') throw new Error('--layout: expected zone or region');
const forMs = parseDuration(values.for);
const restMs = parseDuration(values.rest);
const seed = Number(values.seed);
if (!Number.isSafeInteger(seed)) throw new Error('--seed: expected a whole number');

const say = (line: string): void => {
  console.log(`${new Date(systemClock.now()).toISOString().slice(11, 19)} ${line}`);
};

/** Of what is live: without the collection it would be of when the last one was. */
function liveMegabytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Load and faults; the driver reads the accounts when everything has recovered. */
async function loadAndStrike(
  platform: Platform,
  config: ResolvedConfig,
  pauseFile: string,
): Promise<Omit<ChaosRun, 'leftBehind'>> {
  const lag = monitorEventLoopDelay();
  lag.enable();
  const args = ['--for', `${String(WARM_UP_MS + forMs)}ms`, '--rate', rate, '--seed', values.seed];
  const load = startLoad(platform, [...args, '--pause-before-verify', pauseFile], say);
  interruption(() => {
    load.end();
  });
  const loaded = new AbortController();
  let ended = false;
  void load.summary.finally(() => (ended = true)).catch(() => {});
  const paused = (async () => {
    while (!ended && !existsSync(pauseFile)) await systemClock.sleep(POLL_MS);
    loaded.abort();
  })();
  await load.begun;
  try {
    await systemClock.sleep(WARM_UP_MS, loaded.signal).catch(() => {});
    const first = await sampleProcesses();
    // What faults need for themselves is there by then, once.
    const halfway = systemClock.sleep(forMs / 2, loaded.signal).then(
      async () => ({ sample: await sampleProcesses(), live: liveMegabytes() }),
      () => undefined,
    );
    const struck = await strike(platform, config, {
      ...{ seed, forMs, signal: loaded.signal },
      pace: { wholeTimeoutMs: WHOLE_TIMEOUT_MS, restMs },
      onMove: say,
    });
    await paused;
    say('everything is healed');
    await systemClock.sleep(CALM_MS);
    const [after, liveAfter] = [await sampleProcesses(), liveMegabytes()];
    const half = await halfway;
    say('comparing accounts');
    await rm(pauseFile, { force: true });
    const summary = await load.summary;
    const inMs = (nanoseconds: number): number => Math.round(nanoseconds / 1e6);
    return {
      ...{ summary, struck, first, after, halfway: half?.sample ?? first },
      liveMegabytes: { halfway: half?.live ?? liveAfter, after: liveAfter },
      lag: { p99Ms: inMs(lag.percentile(99)), maxMs: inMs(lag.max) },
    };
  } finally {
    load.end();
  }
}

function report(run: ChaosRun, versions: Versions, failures: readonly string[]): object {
  const { summary, struck } = run;
  const { faults, losses, mismatches, classes, ...rest } = summary;
  return {
    ...{ layout, seed, seconds: Math.round(forMs / 1_000), rate: Number(rate) },
    ...{ restSeconds: restMs / 1_000, versions, failures },
    measuredAt: new Date(systemClock.now()).toISOString(),
    moves: { played: struck.played, failed: struck.failed },
    injected: countsBy(struck.injected, ({ kind }) => kind),
    refusals: faults,
    unanswered: countsBy(losses, ({ code }) => code),
    supervisorLagMs: { p99: run.lag.p99Ms, max: run.lag.maxMs },
    load: { ...rest, mismatches, classes },
    processes: growthOf(run),
    supervisorLiveMegabytes: [run.liveMegabytes.halfway, run.liveMegabytes.after].map(Math.round),
  };
}

const { config: declared, directory } = await ownBank();
const config: ResolvedConfig = {
  ...declared,
  survive: layout,
  engine: {
    ...declared.engine,
    // As far as the nemesis moves them.
    options: { ...declared.engine.options, clockOffsetMaxMs: 2 * SKEW_MAX_MS },
  },
};
const file = join(directory, 'supervisor.log');
const log = createFileLog({ file, level: 'info', clock: systemClock });
let passed = false;
try {
  const platform = await startPlatform(config, { fresh: true, log, onProgress: say });
  let run: Omit<ChaosRun, 'leftBehind'>;
  let versions: Versions;
  try {
    const servers = await serversOf(platform, config.dataDirectory);
    versions = await versionsOf(servers, (await platform.status()).groups[0]?.leader ?? '');
    run = await loadAndStrike(platform, config, join(directory, 'loaded'));
  } finally {
    await platform.stop();
  }
  const whole = { ...run, leftBehind: await processesIn(directory) };
  const failures = failuresOf(whole);
  passed = failures.length === 0;
  await mkdir(RESULTS, { recursive: true });
  const text = `${JSON.stringify(report(whole, versions, failures), undefined, 2)}\n`;
  await writeFile(join(RESULTS, `chaos-${layout}.json`), text);
  console.log(text);
  console.log(passed ? 'passed' : ['FAILED:', ...failures].join('\n  '));
} finally {
  if (passed) await rm(directory, { recursive: true, force: true });
  else console.log(`data and logs are kept in ${directory}`);
}
process.exitCode = passed ? 0 : 1;
