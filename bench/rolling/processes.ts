/** Memory, descriptors and sockets of every kind of process of a run, from /proc: Linux only. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { ours } from '../measuring/processes.ts';

export const KINDS = ['supervisor', 'gateway', 'app server', 'WAN', 'database', 'driver'] as const;
export type Kind = (typeof KINDS)[number];

export interface Usage {
  readonly processes: number;
  /** Proportional set size of all together. */
  readonly megabytes: number;
  readonly descriptors: number;
  readonly sockets: number;
}

export interface Sample {
  readonly atMs: number;
  readonly kinds: Readonly<Record<Kind, Usage>>;
}

const NOTHING: Usage = { processes: 0, megabytes: 0, descriptors: 0, sockets: 0 };

function kindOf(pid: number, command: string): Kind | undefined {
  if (pid === process.pid) return 'supervisor';
  if (command.includes('gateway-process')) return 'gateway';
  if (command.includes('wan-process')) return 'WAN';
  if (command.includes('bank/server.js')) return 'app server';
  if (command.includes('bank/drive.js')) return 'driver';
  return command.includes('postgres') ? 'database' : undefined;
}

async function usageOf(pid: number): Promise<Usage> {
  const folder = `/proc/${String(pid)}`;
  // One that ended between the listing and the look uses nothing.
  const rollup = await readFile(`${folder}/smaps_rollup`, 'utf8').catch(() => '');
  const descriptors = await readdir(`${folder}/fd`).catch((): string[] => []);
  const targets = await Promise.all(
    descriptors.map((fd) => readlink(`${folder}/fd/${fd}`).catch(() => '')),
  );
  return {
    processes: 1,
    megabytes: Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1024,
    descriptors: descriptors.length,
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
  };
}

export async function sampleProcesses(): Promise<Sample> {
  const kinds = Object.fromEntries(KINDS.map((kind) => [kind, NOTHING])) as Record<Kind, Usage>;
  for (const [pid, { command }] of await ours()) {
    const kind = kindOf(pid, command);
    if (kind === undefined) continue;
    const [sum, one] = [kinds[kind], await usageOf(pid)];
    kinds[kind] = {
      processes: sum.processes + one.processes,
      megabytes: sum.megabytes + one.megabytes,
      descriptors: sum.descriptors + one.descriptors,
      sockets: sum.sockets + one.sockets,
    };
  }
  return { atMs: performance.now(), kinds };
}
