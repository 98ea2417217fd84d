/**
 * Finds the processes that tests have left behind: those that still refer to the tests' temporary
 * folder, be it by an argument (a server's data directory), the working directory, an open log or
 * an environment variable. Parentage would not do, because orphans belong to process 1.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

const GRACE_MS = 3_000;
const POLL_MS = 100;

/** Waits a moment for stragglers, kills what is left then, and returns it as { pid, command }[]. */
export async function stopLeftovers(folder) {
  const deadline = performance.now() + GRACE_MS;
  let left = find(folder);
  while (left.length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    left = find(folder);
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Ended by itself meanwhile, or with its parent.
    }
  }
  return left;
}

function find(folder) {
  const found = process.platform === 'linux' ? findInProc(folder) : findWithPs(folder);
  return found.filter(({ pid }) => pid !== process.pid);
}

function findInProc(folder) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => traces(pid).some((trace) => trace.includes(folder)))
    .map((pid) => ({
      pid: Number(pid),
      command: attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
        .replaceAll('\0', ' ')
        .trim(),
    }));
}

/** What a process shows of itself; other accounts' processes show their command line only. */
function traces(pid) {
  return [
    attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
    attempt(() => readlinkSync(`/proc/${pid}/cwd`)),
    attempt(() => readlinkSync(`/proc/${pid}/fd/1`)),
    attempt(() => readlinkSync(`/proc/${pid}/fd/2`)),
    attempt(() => readFileSync(`/proc/${pid}/environ`, 'utf8')),
  ];
}

function findWithPs(folder) {
  return execFileSync('ps', ['-axww', '-o', 'pid=,command='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(folder))
    .map((line) => {
      const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
      return { pid: Number(pid), command: command ?? '' };
    });
}

function attempt(read) {
  try {
    return read();
  } catch {
    return '';
  }
}
