/** Processor time of a process and its descendants, from /proc (Linux). */
import { readdir, readFile } from 'node:fs/promises';

/** USER_HZ, which Linux fixes for user space. */
const TICKS_PER_SECOND = 100;

/** Seconds in user and kernel mode, all threads of all of them. */
export async function cpuSeconds(root: number): Promise<number> {
  const children = new Map<number, number[]>();
  const ticks = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    if (stat === '') continue;
    // After the parenthesised name: state ppid … utime (12th) stime (13th), as in proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    ticks.set(Number(name), Number(fields[11]) + Number(fields[12]));
  }
  const sum = (pid: number): number =>
    (children.get(pid) ?? []).reduce((total, child) => total + sum(child), ticks.get(pid) ?? 0);
  return sum(root) / TICKS_PER_SECOND;
}
