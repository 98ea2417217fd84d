/**
 * Looks at an installation on disk without opening it: no lock is taken, nothing is changed, and whoever
 * runs it is not disturbed.
 */
import { access, constants, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lockHolder } from '../control/lock.ts';
import { readControlDocument, STORE_FILE } from '../control/store.ts';
import { isMeridianError, messageOf } from '../kernel/errors.ts';
import { checked, type ControlDocument } from './installation.ts';
import { livingRecorded } from './strays.ts';

export interface InspectedInstallation {
  readonly directory: string;
  /** 'hidden': a folder on the way is not ours to enter. 'other': a file, or something else. */
  readonly kind: 'absent' | 'folder' | 'other' | 'hidden';
  /** May this account write there; for an absent one: in the nearest folder above that exists. */
  readonly writable: boolean;
  /** The pid of the supervisor that runs it. */
  readonly holder: number | undefined;
  /** Processes of an earlier run, whose supervisor is gone. */
  readonly strays: readonly { readonly name: string; readonly pid: number }[];
  /** Why its documents cannot be used. */
  readonly fault: { readonly message: string; readonly remedy: string } | undefined;
  /** The engine's part of the control store; undefined when there is none. */
  readonly engine: unknown;
  /** When its control store was last written. */
  readonly writtenAtMs: number | undefined;
}

/** Never rejects. */
export async function inspectInstallation(directory: string): Promise<InspectedInstallation> {
  const kind = await kindOf(directory);
  const nothing = { holder: undefined, strays: [], fault: undefined, engine: undefined } as const;
  const bare = { directory, kind, ...nothing, writtenAtMs: undefined };
  if (kind === 'absent') return { ...bare, writable: await isWritable(dirname(directory)) };
  if (kind !== 'folder') return { ...bare, writable: false };
  const writable = await isWritable(directory);
  try {
    const holder = await lockHolder(directory);
    const recorded = await livingRecorded(join(directory, 'run', 'processes.jsonl'));
    const strays = holder === undefined ? recorded : [];
    const found = { ...bare, writable, holder, strays };
    try {
      const document = await readControlDocument(directory);
      if (document === undefined) return found;
      const { engine } = checked(document as ControlDocument, directory);
      const written = await stat(join(directory, STORE_FILE));
      return { ...found, engine: engine ?? undefined, writtenAtMs: written.mtimeMs };
    } catch (error) {
      return { ...found, fault: faultOf(error) };
    }
  } catch (error) {
    return { ...bare, writable, fault: faultOf(error) };
  }
}

function faultOf(error: unknown): NonNullable<InspectedInstallation['fault']> {
  if (isMeridianError(error)) return { message: error.message, remedy: error.remedy };
  const remedy = 'Run as the account that owns the data directory.';
  return { message: messageOf(error), remedy };
}

async function kindOf(path: string): Promise<InspectedInstallation['kind']> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'absent';
    return code === 'ENOTDIR' ? 'other' : 'hidden';
  }
}

/** May this account make files in it, or in the nearest folder above that exists? */
async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return (await stat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false;
    return path === dirname(path) ? false : isWritable(dirname(path));
  }
}
