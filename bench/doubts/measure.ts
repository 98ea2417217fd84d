/**
 * Reading processes' CPU, wakeups and memory from /proc, and printing one table. CPU comes from
 * utime+stime where a second source in nanoseconds (schedstat) is missing: 80 mostly idle processes
 * lose much to ticks of 10 ms. PSS counts a shared page once over all its users, so sums are true.
 */
import * as fs from 'node:fs';

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

interface Stat {
  readonly parent: number;
  /** On a CPU, in milliseconds since the process began. */
  readonly cpuMs: number;
  /** Times it went to sleep by itself: what an idle process costs, and immune to a noisy machine. */
  readonly wakeups: number;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = fs.readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    const status = fs.readFileSync(`/proc/${String(pid)}/status`, 'utf8');
    const wakeups = Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return { parent: Number(fields[1]), cpuMs: exactMs(pid) ?? ticks * 10, wakeups };
  } catch {
    return undefined; // it ended between the listing and the reading
  }
}

function exactMs(pid: number): number | undefined {
  try {
    const text = fs.readFileSync(`/proc/${String(pid)}/schedstat`, 'utf8');
    return Number(text.split(' ')[0]) / 1e6;
  } catch {
    return undefined; // a kernel without schedstat
  }
}

/** The given processes and all below them. */
export function family(roots: readonly number[]): ReadonlyMap<number, Stat> {
  const all = new Map<number, Stat>();
  for (const entry of fs.readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : undefined;
    if (stat !== undefined) all.set(Number(entry), stat);
  }
  const members = new Map<number, Stat>();
  let frontier = roots.filter((pid) => all.has(pid));
  while (frontier.length > 0) {
    for (const pid of frontier) members.set(pid, all.get(pid) as Stat);
    const last = new Set(frontier);
    frontier = [...all].filter(([, stat]) => last.has(stat.parent)).map(([pid]) => pid);
  }
  return members;
}

export function pssMb(pids: Iterable<number>): number {
  let kb = 0;
  for (const pid of pids) {
    try {
      const text = fs.readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8');
      kb += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
    } catch {
      // ended meanwhile
    }
  }
  return kb / 1024;
}

export function processTitle(pid: number): string {
  try {
    return fs
      .readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
      .replaceAll('\0', ' ')
      .trim();
  } catch {
    return '';
  }
}

export type Cell = string | number | undefined;
export type Row = Record<string, Cell>;

export function printTable(title: string, rows: readonly Readonly<Row>[]): void {
  const columns = Object.keys(rows[0] ?? {});
  process.stdout.write(
    `\n${title}\n| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}\n`,
  );
  for (const row of rows) {
    process.stdout.write(`| ${columns.map((column) => show(row[column])).join(' | ')} |\n`);
  }
}

function show(value: Cell): string {
  if (typeof value !== 'number') return value ?? '';
  if (Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
