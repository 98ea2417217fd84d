/** Processes and what their memory costs, from /proc: Linux only. */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface Seen {
  readonly parent: number;
  readonly command: string;
  readonly ticks: number;
}

async function processes(): Promise<Map<number, Seen>> {
  const seen = new Map<number, Seen>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = await readFile(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = await readFile(`/proc/${name}/cmdline`, 'utf8');
      const ticks = Number(fields[11]) + Number(fields[12]);
      seen.set(Number(name), { parent: Number(fields[1]), command, ticks });
    } catch {
      // Ended between the listing and the look.
    }
  }
  return seen;
}

/** This process and all its descendants. */
export async function ours(): Promise<Map<number, Seen>> {
  const all = await processes();
  const mine = new Map<number, Seen>();
  const add = (pid: number): void => {
    const one = all.get(pid);
    if (one === undefined || mine.has(pid)) return;
    mine.set(pid, one);
    for (const [child, { parent }] of all) if (parent === pid) add(child);
  };
  add(process.pid);
  return mine;
}

/** Proportional set size of all database processes. */
export async function databaseMegabytes(): Promise<number> {
  let kilobytes = 0;
  for (const [pid, { command }] of await ours()) {
    if (!command.includes('postgres')) continue;
    const text = await readFile(`/proc/${String(pid)}/smaps_rollup`, 'utf8').catch(() => '');
    kilobytes += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  return kilobytes / 1024;
}

/** Whoever names the folder or works in it; a database server's backends do only the latter. */
export async function processesIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (command.includes(directory) || cwd.startsWith(directory)) {
      found.push(`${pid} ${command.replaceAll('\0', ' ').trim()}`);
    }
  }
  return found;
}
