/**
 * A server of an earlier run that still holds a data directory. A supervisor that was killed leaves its
 * servers running, and a postmaster that was killed leaves its backends for as long as they take to notice:
 * for ever when they stand still, or wait for a lock that a dead one held. Each keeps the shared memory
 * attached, and a new server is refused until the last is gone (PostgreSQL docs, 18.4.1).
 */
import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Clock } from '../../kernel/clock.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { nodePaths, type Storage } from './storage.ts';

interface StrayServices {
  readonly storage: Storage;
  readonly clock: Clock;
}

const STRAY_STOP_TIMEOUT_MS = 4_000;
const LOOK_EVERY_MS = 20;

/**
 * Ends whoever holds the node's data directory, so that the caller's start owns its process: the server in
 * order if it obeys, then by force, and after it every backend that it left. True when there was a server.
 *
 * @throws ERR_STOP_FAILED when one is still there after that.
 */
export async function stopStray(services: StrayServices, node: string): Promise<boolean> {
  const { data } = nodePaths(services.storage, node);
  const pid = await strayPid(data);
  if (pid !== undefined) await stopPostmaster(services, data, pid);
  await endOrphans(services, data);
  return pid !== undefined;
}

async function stopPostmaster(services: StrayServices, data: string, pid: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!send(pid, signal)) return;
    if (await within(services.clock, async () => (await strayPid(data)) !== pid)) return;
  }
  throw stillHeld(data, [pid]);
}

/** Backends without a postmaster have nothing to end in order. SIGKILL reaches those that stand still too. */
async function endOrphans(services: StrayServices, data: string): Promise<void> {
  // Where a process works is told without the links that lead there.
  const directory = await realpath(data).catch(() => data);
  let left: number[] = [];
  const gone = await within(services.clock, async () => {
    left = await serversIn(directory);
    for (const pid of left) send(pid, 'SIGKILL');
    return left.length === 0;
  });
  if (!gone) throw stillHeld(data, left);
}

function stillHeld(data: string, pids: readonly number[]): MeridianError {
  const which = pids.length === 1 ? 'process' : 'processes';
  return new MeridianError(
    'ERR_STOP_FAILED',
    `a server of an earlier run (${which} ${pids.join(', ')}) still holds ${data}`,
  );
}

async function within(clock: Clock, done: () => Promise<boolean>): Promise<boolean> {
  const deadline = clock.monotonicMs() + STRAY_STOP_TIMEOUT_MS;
  for (;;) {
    if (await done()) return true;
    if (clock.monotonicMs() >= deadline) return false;
    await clock.sleep(LOOK_EVERY_MS);
  }
}

/** False when there is no such process any more. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** The pid is believed only if that process names the same directory, since pids are reused. */
async function strayPid(data: string): Promise<number | undefined> {
  const text = await readFile(`${data}/postmaster.pid`, 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  const line = await readFile(`/proc/${String(pid)}/cmdline`, 'utf8').catch(() => undefined);
  // Where /proc does not exist, postmaster.pid of a live process has to be believed.
  if (line === undefined) return process.platform === 'linux' ? undefined : pid;
  return line.split('\0').includes(data) ? pid : undefined;
}

/**
 * Server processes that work in this directory, as all of a server's do. Where /proc does not exist nobody
 * is found, and the start says that the memory is still in use.
 */
async function serversIn(data: string): Promise<number[]> {
  const entries = await readdir('/proc').catch(() => []);
  const answers = await Promise.all(
    entries.map(async (entry) => {
      if (!/^\d+$/.test(entry)) return false;
      if ((await linkOf(entry, 'cwd')) !== data) return false;
      // Somebody's shell may stand in the directory too. An upgrade has "(deleted)" behind the name.
      return basename((await linkOf(entry, 'exe')) ?? '').split(' ')[0] === 'postgres';
    }),
  );
  return entries.filter((_, index) => answers[index] === true).map(Number);
}

/** Undefined for what has ended (a zombie has neither link) and for other people's. */
async function linkOf(pid: string, link: 'cwd' | 'exe'): Promise<string | undefined> {
  return readlink(`/proc/${pid}/${link}`).catch(() => undefined);
}
