/**
 * Runs one child process as if it were this one: same terminal, same exit, and every signal once.
 *
 * Ctrl-C in a terminal is sent to the whole foreground process group, so the child has it already and
 * must not get it again (a second one means "at once" to `meridian up`). A signal sent to this process
 * alone (npm forwards its own, a supervisor kills one pid) has to be handed on. When the two cannot be
 * told apart, which is only SIGINT and SIGHUP with a terminal, the child is given time to end first.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** npm and the process group may both deliver one keystroke: within this time it counts as one. */
const REPEAT_MS = 500;
const TERMINAL_GRACE_MS = 6_000;

/**
 * Resolves with { code, signal } of the child. Options: cwd, env, stdout ('inherit' or 'stderr'),
 * onError (a function that is given standard error's text, which then still reaches ours).
 */
export function runChild(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: [
        'inherit',
        options.stdout === 'stderr' ? 2 : 'inherit',
        options.onError === undefined ? 'inherit' : 'pipe',
      ],
    });
    child.stderr?.on('data', (chunk) => {
      process.stderr.write(chunk);
      options.onError(chunk.toString());
    });
    const stopForwarding = forwardSignals(child);
    const killWithUs = () => child.kill('SIGTERM');
    process.on('exit', killWithUs);
    const ended = () => {
      stopForwarding();
      process.off('exit', killWithUs);
    };
    child.on('error', (error) => {
      ended();
      reject(error);
    });
    child.on('close', (code, signal) => {
      ended();
      resolve({ code, signal });
    });
  });
}

function forwardSignals(child) {
  const seenAt = new Map();
  const late = new Set();
  const listeners = FORWARDED.map((signal) => {
    const listener = () => {
      const now = performance.now();
      const repeated = now - (seenAt.get(signal) ?? -Infinity) < REPEAT_MS;
      seenAt.set(signal, now);
      if (repeated) return;
      if (signal === 'SIGTERM' || !inForegroundOfTerminal()) child.kill(signal);
      else late.add(setTimeout(() => child.kill(signal), TERMINAL_GRACE_MS));
    };
    process.on(signal, listener);
    return [signal, listener];
  });
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
    for (const timer of late) clearTimeout(timer);
  };
}

/** Is this process in the group that the terminal sends Ctrl-C to? */
function inForegroundOfTerminal() {
  try {
    // Fields after the parenthesised name: state ppid pgrp session tty_nr tpgid (proc(5)).
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return terminal !== '0' && group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}

/** Ends this process as the child ended, so that the caller cannot tell the difference. */
export function exitAs({ code, signal }) {
  if (signal === null) {
    process.exitCode = code;
    return;
  }
  process.kill(process.pid, signal);
  // Signals that Node ignores or that arrive late: leave with the shell's convention instead.
  setTimeout(() => process.exit(128 + 15), 1_000).unref();
}
