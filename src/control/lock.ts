/**
 * One supervisor per installation: a lock that a crash leaves behind and the next start takes over.
 *
 * Everyone announces itself in a file of its own before it looks at the others': of two that start at
 * once at least one sees the other, so both can never hold. Files of dead processes are removed by
 * whoever meets them, which is safe, because a name is never used twice. This needs no atomic
 * replacement of somebody else's lock, where takeovers usually go wrong.
 *
 *   <directory>/lock/<pid>-<nonce>.new     being written
 *   <directory>/lock/<pid>-<nonce>.claim   wants the lock, or has it
 *   <directory>/lock/<pid>-<nonce>.held    has it; the claim stays, since a listing may miss a file
 *                                          that is renamed meanwhile
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import { identify, lives, type ProcessIdentity } from './process-identity.ts';

export interface InstallationLock extends AsyncDisposable {
  readonly pid: number;
}

/** Two that start at once: the one that goes first gives the other this long to step back. */
const CLAIM_PATIENCE_MS = 2_000;
const CLAIM_POLL_MS = 10;

interface Claim {
  readonly id: string;
  readonly pid: number;
  readonly held: boolean;
}

/** Throws ERR_ALREADY_RUNNING naming the process that holds it. */
export async function lockInstallation(
  directory: string,
  { clock }: { readonly clock: Clock },
): Promise<InstallationLock> {
  const folder = join(directory, 'lock');
  const { pid } = process;
  const id = `${String(pid)}-${randomBytes(8).toString('hex')}`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      await announce(folder, id, (await identify(pid)) ?? { pid, started: undefined });
      await win(folder, id, clock);
      await writeFile(join(folder, `${id}.held`), '', { flag: 'wx', mode: 0o600 });
    } catch (error) {
      await discard(folder, id);
      throw error;
    }
  } catch (cause) {
    if (isMeridianError(cause)) throw cause;
    const message = `cannot lock ${directory}: ${messageOf(cause)}`;
    throw new MeridianError('ERR_DATA_DIRECTORY', message, { cause });
  }
  return { pid, [Symbol.asyncDispose]: () => discard(folder, id) };
}

/** The process that holds the lock, if one lives. Looks only: what the dead left stays. */
export async function lockHolder(directory: string): Promise<number | undefined> {
  const { living } = await readClaims(join(directory, 'lock'), '');
  return living.find((claim) => claim.held)?.pid;
}

/** Whole from the moment it can be seen, also after a loss of power. */
async function announce(folder: string, id: string, identity: ProcessIdentity): Promise<void> {
  const draft = join(folder, `${id}.new`);
  await writeFile(draft, JSON.stringify(identity), { flag: 'wx', mode: 0o600, flush: true });
  await rename(draft, join(folder, `${id}.claim`));
}

/** Returns once nobody else holds the lock or comes before us; throws when somebody does. */
async function win(folder: string, id: string, clock: Clock): Promise<void> {
  const deadline = clock.monotonicMs() + CLAIM_PATIENCE_MS;
  for (;;) {
    const others = await livingClaims(folder, id);
    // Of two claims the smaller name goes first; the larger gives up, and the smaller sees it go. A
    // larger one that looked before we announced ourselves goes on instead, and we see it hold.
    const [other] = others;
    if (other === undefined) return;
    const first = others.find((claim) => claim.held || claim.id < id);
    if (first !== undefined || clock.monotonicMs() >= deadline) {
      const { pid } = first ?? other;
      const message = `process ${String(pid)} already runs this installation`;
      throw new MeridianError('ERR_ALREADY_RUNNING', message, { details: { pid } });
    }
    await clock.sleep(CLAIM_POLL_MS);
  }
}

/** Everybody's claims but our own; what the dead left is removed on the way. */
async function livingClaims(folder: string, ownId: string): Promise<Claim[]> {
  const { living, dead } = await readClaims(folder, ownId);
  for (const id of dead) await discard(folder, id);
  return living;
}

async function readClaims(
  folder: string,
  ownId: string,
): Promise<{ readonly living: Claim[]; readonly dead: string[] }> {
  const names = await list(folder);
  const ids = new Set(names.map((name) => name.slice(0, name.indexOf('.'))));
  ids.delete(ownId);
  const living: Claim[] = [];
  const dead: string[] = [];
  for (const id of ids) {
    const pid = Number.parseInt(id, 10);
    if (!Number.isSafeInteger(pid) || pid < 1) continue;
    const identity = await readIdentity(join(folder, `${id}.claim`), pid);
    if (!(await lives(identity))) dead.push(id);
    // Listed after its claim was seen: whoever holds by now shows it.
    else if (names.includes(`${id}.claim`))
      living.push({ id, pid, held: await isHeld(folder, id) });
  }
  return { living, dead };
}

async function isHeld(folder: string, id: string): Promise<boolean> {
  return (await list(folder)).includes(`${id}.held`);
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Where the file tells nothing, the number in its name must do. */
async function readIdentity(path: string, pid: number): Promise<ProcessIdentity> {
  try {
    const { started } = JSON.parse(await readFile(path, 'utf8')) as { started?: unknown };
    return { pid, started: typeof started === 'string' ? started : undefined };
  } catch {
    return { pid, started: undefined };
  }
}

/** The claim goes last, so that what is left always says whose it was. */
async function discard(folder: string, id: string): Promise<void> {
  for (const stage of ['new', 'held', 'claim']) {
    await rm(join(folder, `${id}.${stage}`), { force: true });
  }
}
