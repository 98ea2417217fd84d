/**
 * Writes an archive's entries below a fresh directory, as the servers' account. Each file is made new,
 * never opened through anything that is there, so that an archive cannot write outside or twice. Only the
 * owner's permission bits are taken over.
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { MeridianError, isMeridianError, messageOf } from '../../../kernel/errors.ts';
import { giveTo, type ServerAccount } from '../account.ts';
import { isTarEntry, readTar, type TarEntry } from './tar.ts';

export interface UnpackTarget {
  /** Exists, is empty, and nobody else writes there. */
  readonly directory: string;
  readonly account: ServerAccount;
}

/** Asks the source for more only once the disk has what came before. */
export async function unpackTar(
  archive: AsyncIterable<Uint8Array>,
  target: UnpackTarget,
): Promise<void> {
  let file: FileHandle | undefined;
  try {
    for await (const part of readTar(archive)) {
      if (isTarEntry(part)) {
        await file?.close();
        file = undefined;
        file = await make(part, target);
      } else {
        await file?.writeFile(part);
      }
    }
  } catch (error) {
    throw ours(error, target.directory);
  } finally {
    await file?.close();
  }
}

async function make(entry: TarEntry, target: UnpackTarget): Promise<FileHandle | undefined> {
  const path = join(target.directory, entry.path);
  if (entry.kind === 'directory') {
    await mkdir(path, { mode: entry.mode & 0o700 });
    await giveTo(target.account, path);
    return undefined;
  }
  const file = await open(path, 'wx', entry.mode & 0o700);
  try {
    const { user } = target.account;
    if (user !== undefined) await file.chown(user.uid, user.gid);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function ours(error: unknown, directory: string): Error {
  if (isMeridianError(error)) return error;
  if ((error as NodeJS.ErrnoException).syscall === undefined) return error as Error;
  return new MeridianError(
    'ERR_DATA_DIRECTORY',
    `the base backup cannot be written to ${directory}: ${messageOf(error)}`,
    { cause: error },
  );
}
