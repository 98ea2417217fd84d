/**
 * Tells a process from a later one that was given the same number. On Linux by its start time and the
 * machine's boot; elsewhere only the number is known, and a living number counts as the process.
 */
import { readFile } from 'node:fs/promises';

export interface ProcessIdentity {
  readonly pid: number;
  /** Undefined where the system does not tell. */
  readonly started: string | undefined;
}

/** Undefined when no such process lives; one that has ended but is not reaped yet does not live. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
  } catch {
    // No /proc (not Linux), or a process hidden from us.
    return answers(pid) ? { pid, started: undefined } : undefined;
  }
  // The second field is the name, in parentheses, and may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTicks = fields[19];
  if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return { pid, started: `${startTicks}@${boot.trim()}` };
}

/** Does this very process still live? When in doubt, yes. */
export async function lives(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  if (now === undefined) return false;
  return (
    now.started === undefined || identity.started === undefined || now.started === identity.started
  );
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
