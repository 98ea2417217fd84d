/**
 * The life of `meridian up`: start, run until there is a reason to end, stop in reverse order; and again from the
 * start when `meridian apply` asks for another configuration. Every way out stops the traffic program before
 * the platform, so that its last requests are answered.
 */
import type { ResolvedConfig } from '../config/resolved.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { Platform, StartPlatform } from '../platform-api.ts';
import { createFileLog } from './file-log.ts';
import { NextConfig } from './next-config.ts';
import type { CliIo } from './io.ts';
import { EXIT_FORCED, StopRequest } from './stop-request.ts';
import { startTraffic, type Traffic, type TrafficResult } from './traffic.ts';
import { logsDirectory, readyJson, readyText, summaryJson } from './up-text.ts';

export interface UpOptions {
  readonly fresh: boolean;
  readonly traffic: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly forMs?: number | undefined;
  /** Passed through to the traffic program as they were written. */
  readonly rate?: string | undefined;
  readonly seed?: string | undefined;
}

export interface UpServices {
  readonly io: CliIo;
  readonly clock: Clock;
  readonly startPlatform: StartPlatform;
}

/** One start with one configuration. */
interface Life {
  readonly config: ResolvedConfig;
  readonly options: UpOptions;
  readonly services: UpServices;
  readonly stop: StopRequest;
  /** What is asked for instead of this one. */
  readonly next: NextConfig;
}

interface Running {
  readonly config: ResolvedConfig;
  readonly options: UpOptions;
  readonly services: UpServices;
  readonly platform: Platform;
  readonly stop: StopRequest;
  readonly next: NextConfig;
}

/** A traffic program that was told how long to run gets this much more to end by itself. */
const TRAFFIC_OVERRUN_MS = 60_000;

function trafficArgs(options: UpOptions): string[] {
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ['--for', options.forMs === undefined ? undefined : `${String(options.forMs)}ms`],
    ['--rate', options.rate],
    ['--seed', options.seed],
  ];
  const named = pairs.flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  return options.json ? [...named, '--json'] : named;
}

function launchTraffic({ config, options, services, platform, stop }: Running): Traffic {
  if (config.traffic === undefined) throw missingTraffic();
  const traffic = startTraffic(
    {
      options: config.traffic,
      args: trafficArgs(options),
      env: {
        ...services.io.env,
        ...platform.env,
        MERIDIAN_GATEWAYS: JSON.stringify(platform.gateways),
      },
      json: options.json,
    },
    services.io,
    services.clock,
  );
  stop.onForce(() => {
    traffic.kill();
  });
  return traffic;
}

function missingTraffic(): MeridianError {
  return new MeridianError('ERR_CONFIG_INVALID', 'traffic: expected a program, found nothing', {
    remedy: 'Declare traffic.command in the configuration, or leave --traffic out.',
  });
}

/** Waits for the first reason to end. With traffic, its result; throws when the platform failed. */
async function runToTheEnd(running: Running): Promise<TrafficResult | undefined> {
  const { options, services, platform, stop, next } = running;
  const { clock } = services;
  const over = new AbortController();
  const ended = AbortSignal.any([stop.signal, over.signal, next.signal]);
  let failure: MeridianError | undefined;
  const fail = (error: MeridianError): void => {
    failure ??= error;
    over.abort();
  };
  void platform.failed.then(fail);
  if (!options.traffic) {
    const limit = options.forMs ?? Number.POSITIVE_INFINITY;
    await waitFor({ clock, ms: limit, signal: ended });
    if (failure !== undefined) throw failure;
    return undefined;
  }
  const traffic = launchTraffic(running);
  const stopTraffic = (): void => {
    void traffic.stop();
  };
  const cancelLimit =
    options.forMs === undefined
      ? (): void => {}
      : clock.schedule(options.forMs + TRAFFIC_OVERRUN_MS, () => {
          fail(new MeridianError('ERR_PROCESS_FAILED', 'the traffic program did not end in time'));
        });
  if (ended.aborted) stopTraffic();
  else ended.addEventListener('abort', stopTraffic, { once: true });
  try {
    const result = await traffic.ended;
    if (failure !== undefined) throw failure;
    return result;
  } finally {
    cancelLimit();
    ended.removeEventListener('abort', stopTraffic);
  }
}

/** Until `ms` have passed or the signal aborts, whichever is first. */
async function waitFor(wait: {
  readonly clock: Clock;
  readonly ms: number;
  readonly signal: AbortSignal;
}): Promise<void> {
  // No timer waits for ever; one of a day is slept again and again.
  let left = wait.ms;
  while (left > 0 && !wait.signal.aborted) {
    const part = Math.min(left, 86_400_000);
    try {
      await wait.clock.sleep(part, wait.signal);
    } catch (error) {
      if (!isMeridianError(error, 'ERR_ABORTED')) throw error;
    }
    left -= part;
  }
}

function announce({ config, options, services, platform }: Running): void {
  const { io } = services;
  if (options.json) io.stdout.write(readyJson(platform));
  else if (!options.quiet) io.stdout.write(readyText(config, platform, io.cwd));
}

/** Undefined when Ctrl-C came first. */
async function startUp({
  config,
  options,
  services,
  stop,
  next,
}: Life): Promise<Platform | undefined> {
  const { io, clock } = services;
  const progress = options.json ? io.stderr : io.stdout;
  let forget: () => void = () => {};
  try {
    return await services.startPlatform(config, {
      fresh: options.fresh,
      onKillable: (kill) => {
        forget = stop.onForce(kill);
      },
      log: createFileLog({
        file: `${logsDirectory(config)}/supervisor.log`,
        level: config.log.level,
        clock,
      }),
      onProgress: (line) => {
        if (!options.quiet) progress.write(`${line}\n`);
      },
      clock,
      signal: stop.signal,
      reload: next,
    });
  } catch (error) {
    if (stop.signal.aborted && isMeridianError(error, 'ERR_ABORTED')) return undefined;
    throw error;
  } finally {
    forget();
  }
}

interface Lived {
  readonly platform: Platform;
  readonly result: TrafficResult | undefined;
}

/** From start to stop. Failures are thrown after everything was stopped. */
async function live(life: Life): Promise<Lived | undefined> {
  const { options, services, stop, next } = life;
  const platform = await startUp(life);
  if (platform === undefined) return undefined;
  const forget = stop.onForce(() => {
    platform.kill();
  });
  const running: Running = { ...life, platform };
  let result: TrafficResult | undefined;
  try {
    if (!stop.signal.aborted) {
      announce(running);
      result = await runToTheEnd(running);
    }
  } finally {
    if (!options.quiet && !options.json) {
      services.io.stdout.write(
        next.config === undefined || stop.signal.aborted
          ? 'Stopping.\n'
          : 'Stopping, to start with the changed configuration.\n',
      );
    }
    await platform.stop();
    forget();
  }
  return { platform, result };
}

/** The exit code. Failures are thrown after everything was stopped. */
export async function runUp(
  config: ResolvedConfig,
  options: UpOptions,
  services: UpServices,
): Promise<number> {
  if (options.traffic && config.traffic === undefined) throw missingTraffic();
  const { io, clock } = services;
  using stop = new StopRequest(io, clock);
  let life: Life = { config, options, services, stop, next: new NextConfig(config, clock) };
  for (;;) {
    const lived = await live(life);
    if (lived === undefined) return EXIT_FORCED;
    const next = life.next.config;
    if (next === undefined || stop.signal.aborted) return end(lived, options, io);
    // What was asked for of the whole goes on with what is left of it.
    const forMs = options.forMs === undefined ? undefined : life.next.left(options.forMs);
    if (options.traffic && next.traffic === undefined) throw missingTraffic();
    life = {
      ...life,
      config: next,
      options: { ...options, forMs, fresh: false },
      next: new NextConfig(next, clock, life.next),
    };
  }
}

function end({ platform, result }: Lived, { json }: UpOptions, io: CliIo): number {
  if (json) {
    const summary = result === undefined ? undefined : (result.lastLine ?? '');
    // A program that failed without a summary has told why on stderr; its code is what counts.
    if (result === undefined || result.code === 0 || result.lastLine !== undefined) {
      io.stdout.write(summaryJson(platform, summary));
    }
  }
  return result?.code ?? 0;
}
