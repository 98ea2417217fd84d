#!/usr/bin/env node
/** The `meridian` program: gives the command line this process's surroundings, and ends it. */
import { systemClock } from '../kernel/clock.ts';
import type { StartPlatform } from '../platform-api.ts';
import type { CliIo } from './io.ts';
import { runCli } from './program.ts';

/** Something still open keeps a process alive; it is cut off after this, so that ending is sure. */
const LINGER_MS = 500;

const io: CliIo = {
  cwd: process.cwd(),
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  onStopSignal: (listener) => {
    const signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];
    for (const signal of signals) process.on(signal, listener);
    return () => {
      for (const signal of signals) process.off(signal, listener);
    };
  },
  exitNow: (code) => process.exit(code),
};

// Loaded only by the command that needs it: `meridian config` stays quick.
const startPlatform: StartPlatform = async (config, options) =>
  (await import('../platform.ts')).startPlatform(config, options);

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `meridian status | head`: the reader left, which is no failure.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), { io, clock: systemClock, startPlatform });
systemClock.schedule(LINGER_MS, () => process.exit());
