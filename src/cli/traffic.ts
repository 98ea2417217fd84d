/**
 * Runs the declared traffic program beside the platform. It has a process group of its own, so that
 * Ctrl-C reaches it once, from us, and after that it has time to print its summary. Its standard input
 * is a pipe that ends when we do: a program that watches it never outlives us.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TrafficOptions } from '../config/resolved.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { CliIo } from './io.ts';

export interface TrafficRun {
  readonly options: TrafficOptions;
  /** Appended to the declared command. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
}

export interface TrafficResult {
  readonly code: number;
  /** With `json`: the last line of standard output, which is held back. */
  readonly lastLine: string | undefined;
}

export interface Traffic {
  /** Rejects with ERR_PROCESS_FAILED only when it could not be started. */
  readonly ended: Promise<TrafficResult>;
  /** Asks for the summary, then insists. Resolves when it has ended. */
  stop(): Promise<void>;
  kill(): void;
}

/** From SIGINT to SIGKILL: enough for a summary, and little of Ctrl-C's five seconds. */
const STOP_GRACE_MS = 1_500;

/** Passes lines on, one behind with `json`, so that the last one stays in hand. */
function forwardLines(child: ChildProcess, io: CliIo, json: boolean): () => string | undefined {
  let held: string | undefined;
  if (child.stdout !== null) {
    createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', (line) => {
      if (!json) io.stdout.write(`${line}\n`);
      // Machines read stdout; what comes before the summary is for people.
      else if (held !== undefined) io.stderr.write(`${held}\n`);
      held = line;
    });
  }
  child.stderr?.on('data', (chunk: Buffer) => {
    io.stderr.write(chunk.toString('utf8'));
  });
  return () => held;
}

export function startTraffic(run: TrafficRun, io: CliIo, clock: Clock): Traffic {
  const [program, ...args] = run.options.command;
  const child = spawn(program ?? '', [...args, ...run.args], {
    cwd: run.options.directory,
    env: run.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // A program that ends closes the pipe; that is no failure.
  child.stdin.on('error', () => {});
  const lastLine = forwardLines(child, io, run.json);
  const ended = new Promise<TrafficResult>((resolve, reject) => {
    child.on('error', (cause) => {
      const message = `the traffic program ${JSON.stringify(program)} could not be started`;
      const remedy = 'Correct traffic.command in the configuration.';
      reject(
        new MeridianError('ERR_PROCESS_FAILED', `${message}: ${cause.message}`, { cause, remedy }),
      );
    });
    // 'close' comes after the last line was read.
    child.on('close', (code) => {
      resolve({ code: code ?? 1, lastLine: run.json ? lastLine() : undefined });
    });
  });
  const settled = ended.then(
    () => {},
    () => {},
  );
  const signal = (name: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      // The whole group: `npm exec` and the like have children.
      process.kill(-child.pid, name);
    } catch {
      child.kill(name);
    }
  };
  return {
    ended,
    stop: async () => {
      signal('SIGINT');
      const cancel = clock.schedule(STOP_GRACE_MS, () => {
        signal('SIGKILL');
      });
      await settled;
      cancel();
    },
    kill: () => {
      signal('SIGKILL');
    },
  };
}
