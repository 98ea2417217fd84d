/**
 * A process and everything below it. PostgreSQL's backends each lead a group of their own, so a signal
 * to the postmaster's group does not reach them; the parents in the kernel's table do.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Parents before their children. A stopped parent forks no more, so SIGSTOP misses nobody. */
export function signalTree(root: number, signal: NodeJS.Signals): void {
  // What it starts between the look and its end would be left: a database server's child waits for ever
  // for a lock that a killed one held. A process with a stop pending starts nobody (Linux, fork(2)).
  if (signal === 'SIGKILL') send(root, 'SIGSTOP');
  for (const pid of [root, ...descendants(root, parents())]) send(pid, signal);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile.
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
  try {
    const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
    // "pid (name) state ppid": the name may hold spaces and brackets.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return [[pid, parent]];
  } catch {
    return [];
  }
}
