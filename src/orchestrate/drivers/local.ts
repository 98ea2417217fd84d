/**
 * The local driver: processes of this machine. Children are direct children of the supervisor, so an
 * exit is known within milliseconds, and they get exactly the environment that their spec names.
 */
import { fork, spawn, type ChildProcess, type SendHandle } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { MeridianError, messageOf } from '../../kernel/errors.ts';
import type {
  CommandResult,
  Host,
  HostedProcess,
  ProcessExit,
  ProcessSpec,
} from '../../kernel/host.ts';
import type { Random } from '../../kernel/random.ts';
import { signalTree } from './process-tree.ts';
import { bindSocket } from './shared-socket.ts';

const OUTPUT_MAX_BYTES = 1024 * 1024;

/** Below the kernels' default ephemeral range, so that outgoing connections don't take the ports. */
const PORT_FIRST = 20_000;
const PORT_COUNT = 12_000;
const PORT_TRIES_MAX = 200;

export function createLocalHost(random: Random): Host {
  const commands = new Set<ChildProcess>();
  let ended = false;
  return {
    spawn: spawnHosted,
    run: async (spec, timeoutMs) => {
      if (ended) throw new MeridianError('ERR_ABORTED', `${spec.name} was not begun`);
      return runCommand(spec, { timeoutMs, commands });
    },
    endCommands: () => {
      ended = true;
      for (const command of commands) command.kill('SIGKILL');
    },
    bindSocket,
    freePort: portFinder(random),
  };
}

function spawnHosted(spec: ProcessSpec): Promise<HostedProcess> {
  const log = openSync(spec.logFile, 'a', 0o600);
  const options = {
    cwd: spec.cwd ?? '/',
    env: { ...spec.env },
    ...(spec.user === undefined ? {} : spec.user),
  };
  let child: ChildProcess;
  try {
    // A Node child with a channel is forked (its first argument is the module); others are spawned.
    // A group of its own keeps a terminal's Ctrl-C from reaching it: the supervisor stops it in order.
    child =
      spec.channel === true
        ? fork(spec.args[0] ?? '', spec.args.slice(1), {
            ...options,
            execPath: spec.command,
            execArgv: [],
            detached: true,
            stdio: ['ignore', log, log, 'ipc'],
          })
        : spawn(spec.command, [...spec.args], {
            ...options,
            detached: true,
            stdio: ['ignore', log, log],
          });
  } finally {
    closeSync(log);
  }
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      reject(
        new MeridianError('ERR_PROCESS_FAILED', `${spec.name}: ${messageOf(cause)}`, {
          cause,
          remedy: `Check that ${spec.command} exists and may be executed.`,
        }),
      );
    });
    child.once('spawn', () => {
      child.on('error', () => {
        // A failed kill or send: the exit event tells what matters.
      });
      resolve(hosted(spec.name, child));
    });
  });
}

function hosted(name: string, child: ChildProcess): HostedProcess {
  let exit: ProcessExit | undefined;
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      resolve(exit);
    });
  });
  return {
    name,
    pid: child.pid ?? -1,
    exited,
    get exit() {
      return exit;
    },
    signal: (signal) => {
      if (exit === undefined) child.kill(signal);
    },
    signalGroup: (signal) => {
      try {
        // Its group has its number: it was started detached.
        return child.pid !== undefined && process.kill(-child.pid, signal);
      } catch {
        return false;
      }
    },
    signalTree: (signal) => {
      if (exit !== undefined || child.pid === undefined) return;
      signalTree(child.pid, signal);
    },
    send: (message, socket) => {
      if (exit !== undefined || !child.connected) return;
      child.send(message as object, socket?.handle as SendHandle | undefined, () => {});
    },
    onMessage: (listener) => {
      child.on('message', listener);
    },
  };
}

function runCommand(
  spec: Omit<ProcessSpec, 'logFile' | 'channel'>,
  how: { readonly timeoutMs: number; readonly commands: Set<ChildProcess> },
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(spec.command, [...spec.args], {
      cwd: spec.cwd ?? '/',
      env: { ...spec.env },
      ...(spec.user === undefined ? {} : spec.user),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: how.timeoutMs,
      killSignal: 'SIGKILL',
    });
    how.commands.add(child);
    child.once('close', () => how.commands.delete(child));
    const collect = (stream: NodeJS.ReadableStream): (() => string) => {
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => {
        if (text.length < OUTPUT_MAX_BYTES) text += chunk;
      });
      return () => text.slice(0, OUTPUT_MAX_BYTES);
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    child.once('error', (cause) => {
      reject(
        new MeridianError('ERR_PROCESS_FAILED', `${spec.name}: ${messageOf(cause)}`, { cause }),
      );
    });
    child.once('close', (code) => {
      resolve({ code, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** Hands out each port once, so that parts that start together don't get the same one. */
function portFinder(random: Random): () => Promise<number> {
  let next = random.below(PORT_COUNT);
  return async () => {
    for (let tries = 0; tries < PORT_TRIES_MAX; tries += 1) {
      const port = PORT_FIRST + (next++ % PORT_COUNT);
      if (await isFree(port)) return port;
    }
    throw new MeridianError(
      'ERR_PORT_TAKEN',
      `no free port found from ${String(PORT_FIRST)} to ${String(PORT_FIRST + PORT_COUNT)}`,
    );
  };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}
