/** What the kernel tells of a process (Linux). */
import { readdir, readFile } from 'node:fs/promises';

/** Undefined for one that has ended, waited for or not. */
export async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
  const state = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
  return state === '' || state === 'Z' || state === 'X' ? undefined : state;
}

export async function childrenOf(pid: number): Promise<number[]> {
  const path = `/proc/${String(pid)}/task/${String(pid)}/children`;
  return (await readFile(path, 'utf8')).trim().split(' ').map(Number);
}

export interface Running {
  readonly pid: number;
  /** Program and arguments, with spaces between. */
  readonly args: string;
}

export async function runningProcesses(): Promise<readonly Running[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const all = await Promise.all(
    pids.map(async (pid): Promise<Running> => {
      const line = await readFile(`/proc/${String(pid)}/cmdline`, 'utf8').catch(() => '');
      return { pid, args: line.replaceAll('\0', ' ').trim() };
    }),
  );
  return all.filter(({ args }) => args !== '');
}
