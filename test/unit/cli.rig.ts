/** Runs commands in this process, with streams and signals of their own, and a platform on paper. */
import { setTimeout as delay } from 'node:timers/promises';
import { runCli } from '../../src/cli/program.ts';
import type { CliIo } from '../../src/cli/io.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { MeridianError } from '../../src/kernel/errors.ts';
import type { Platform, StartOptions, StartPlatform } from '../../src/platform-api.ts';

export interface Run {
  readonly io: CliIo;
  readonly out: () => string;
  readonly err: () => string;
  /** Waits until standard output (or error) has it. */
  readonly sees: (text: string) => Promise<void>;
  readonly interrupt: () => void;
  /** Codes given to exitNow. */
  readonly exits: readonly number[];
  readonly code: Promise<number>;
}

export interface RunOptions {
  readonly cwd: string;
  readonly startPlatform?: StartPlatform;
}

export function run(args: readonly string[], options: RunOptions): Run {
  let out = '';
  let err = '';
  const listeners = new Set<(signal: NodeJS.Signals) => void>();
  const exits: number[] = [];
  const io: CliIo = {
    cwd: options.cwd,
    env: process.env,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    onStopSignal: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    exitNow: (code) => {
      exits.push(code);
    },
  };
  const startPlatform: StartPlatform =
    options.startPlatform ?? (() => Promise.reject(new Error('no platform in this test')));
  return {
    io,
    out: () => out,
    err: () => err,
    sees: async (text) => {
      const deadline = performance.now() + 10_000;
      while (!(out + err).includes(text)) {
        if (performance.now() > deadline) throw new Error(`never saw ${text} in:\n${out}${err}`);
        await delay(5);
      }
    },
    interrupt: () => {
      for (const listener of [...listeners]) listener('SIGINT');
    },
    exits,
    code: runCli(args, { io, clock: systemClock, startPlatform }),
  };
}

/** Records what was asked of it. */
export interface PaperPlatform {
  readonly start: StartPlatform;
  readonly events: string[];
  readonly options: () => StartOptions | undefined;
  fail(error: MeridianError): void;
}

export function paperPlatform(changes: Partial<Platform> = {}): PaperPlatform {
  const events: string[] = [];
  let given: StartOptions | undefined;
  let fail: (error: MeridianError) => void = () => {};
  const failed = new Promise<MeridianError>((resolve) => {
    fail = resolve;
  });
  return {
    events,
    options: () => given,
    fail,
    start: (_config, options) => {
      given = options;
      options.onProgress('starting 15 servers');
      return Promise.resolve({
        readyMs: 1234.5,
        databaseReadyMs: 1000,
        fresh: true,
        gateways: { 'us-east': 'http://127.0.0.1:8081', 'eu-west': 'http://127.0.0.1:8082' },
        env: { MERIDIAN_CONTROL_URL: 'http://127.0.0.1:1', MERIDIAN_CONTROL_TOKEN: 'secret' },
        status: () => Promise.reject(new Error('not asked for')),
        restart: () => Promise.reject(new Error('not asked for')),
        operate: () => Promise.reject(new Error('not asked for')),
        explain: () => Promise.reject(new Error('not asked for')),
        placement: () => Promise.reject(new Error('not asked for')),
        chaos: {
          inject: () => Promise.reject(new Error('not asked for')),
          heal: () => Promise.resolve([]),
          faults: () => [],
        },
        failed,
        stop: () => {
          events.push('stop');
          return Promise.resolve();
        },
        kill: () => {
          events.push('kill');
        },
        ...changes,
      });
    },
  };
}
