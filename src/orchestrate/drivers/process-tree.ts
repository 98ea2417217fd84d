/**
 * A process and everything below it. PostgreSQL's backends each lead a group of their own, so a signal
 * to the postmaster's group does not reach them; the parents in the kernel's table do.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Parents before their children. A stopped parent forks no more, so SIGSTOP misses nobody. */
export function signalTree(root: number, signal: NodeJS.Signals): void {
  // What it starts between the look and its end would be left: a database server's child waits for ever
  // for a lock that a killed one held. Who stands still starts nobody.
  if (signal === 'SIGKILL') {
    send(root, 'SIGSTOP');
    untilStill(root);
  }
  for (const pid of [root, ...descendants(root, parents())]) send(pid, signal);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile.
  }
}

const STILL_TIMEOUT_MS = 100;

/**
 * A fork under way is finished first, which takes as long as the process waits for a processor. Blocks, since
 * whoever kills must have killed when it returns; for a moment, and only where a process is killed.
 */
function untilStill(pid: number): void {
  if (process.platform !== 'linux') return;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; waitedMs < STILL_TIMEOUT_MS; waitedMs += 1) {
    const state = statOf(String(pid))?.[0];
    if (state === undefined || 'TtZX'.includes(state)) return;
    Atomics.wait(cell, 0, 0, 1);
  }
}

/** Breadth first. Pure. */
export function descendants(root: number, parentOf: ReadonlyMap<number, number>): number[] {
  const children = new Map<number, number[]>();
  for (const [pid, parent] of parentOf) {
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found: number[] = [];
  for (let level = [root]; level.length > 0;) {
    level = level.flatMap((pid) => children.get(pid) ?? []);
    found.push(...level);
  }
  return found;
}

/** Of every process of the machine, its parent. */
function parents(): Map<number, number> {
  if (process.platform === 'linux') return new Map(readdirSync('/proc').flatMap(parentOnLinux));
  const text = execFileSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' });
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]),
  );
}

function parentOnLinux(entry: string): [number, number][] {
  const pid = Number(entry);
  if (!Number.isInteger(pid)) return [];
  const parent = statOf(entry)?.[1];
  return parent === undefined ? [] : [[pid, Number(parent)]];
}

/** State, parent and what follows; undefined of one that has ended. */
function statOf(pid: string): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // "pid (name) state ppid": the name may hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
