/** What the kernel tells of a process (Linux). */
import { readFile } from 'node:fs/promises';

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
