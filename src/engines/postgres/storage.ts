/**
 * Where the servers' files are. Normally below the installation's data directory; as root below a
 * folder that the servers' account may not enter (a clone under /root, say) they go to
 * /var/lib/meridian/<installation>, and `nodes` in the data directory links there.
 *
 *   nodes/<node>/data         the server's data directory; complete once `meridian-node.json` is in it
 *   nodes/<node>/passfile     credentials for replication, libpq's .pgpass format, 0600
 *   nodes/<node>.partial      an initialisation or copy that did not finish; removed by the next
 *   nodes/<node>.replaced     files that a copy has taken the place of; removed as well
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, readlink, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MeridianError, messageOf } from '../../kernel/errors.ts';
import type { NodeName } from '../../topology/node.ts';
import { giveTo, type ServerAccount } from './account.ts';

export interface Storage {
  readonly nodesDirectory: string;
  readonly logsDirectory: string;
}

export interface NodePaths {
  readonly directory: string;
  readonly data: string;
  readonly passfile: string;
  readonly marker: string;
  readonly partial: string;
  readonly replaced: string;
  readonly log: string;
}

/** In a node's directory: it is complete. */
export const MARKER = 'meridian-node.json';

const OUTSIDE = '/var/lib/meridian';

export function nodePaths(storage: Storage, node: NodeName): NodePaths {
  const directory = join(storage.nodesDirectory, node);
  return {
    directory,
    data: join(directory, 'data'),
    passfile: join(directory, 'passfile'),
    marker: join(directory, MARKER),
    partial: `${directory}.partial`,
    replaced: `${directory}.replaced`,
    log: join(storage.logsDirectory, `${node}.log`),
  };
}

/** What an initialisation or copy that was cut short left beside a node's files; never used again. */
export async function removeLeftovers(storage: Storage, node: NodeName): Promise<void> {
  const { partial, replaced } = nodePaths(storage, node);
  await rm(partial, { recursive: true, force: true });
  await rm(replaced, { recursive: true, force: true });
}

/** Where the servers' files are, or would be; changes nothing. Throws what looking there throws. */
export async function locateStorage(directory: string, account: ServerAccount): Promise<Storage> {
  const inside = join(directory, 'nodes');
  const linked = await readlink(inside).catch(() => undefined);
  const nodesDirectory =
    linked ?? ((await canEnter(directory, account)) ? inside : outsideOf(directory));
  return { nodesDirectory, logsDirectory: join(directory, 'logs') };
}

/** Creates the folders. Throws ERR_DATA_DIRECTORY naming the folder that cannot be used. */
export async function prepareStorage(directory: string, account: ServerAccount): Promise<Storage> {
  const logsDirectory = join(directory, 'logs');
  const inside = join(directory, 'nodes');
  try {
    await mkdir(logsDirectory, { recursive: true });
    const { nodesDirectory } = await locateStorage(directory, account);
    const linked = await readlink(inside).catch(() => undefined);
    // The folders above stay passable: mkdir's mode would go to every folder that it makes.
    await mkdir(dirname(nodesDirectory), { recursive: true, mode: 0o755 });
    await mkdir(nodesDirectory, { recursive: true, mode: 0o700 });
    await chmod(nodesDirectory, 0o700);
    await giveTo(account, nodesDirectory);
    if (nodesDirectory !== inside && linked === undefined) await symlink(nodesDirectory, inside);
    return { nodesDirectory, logsDirectory };
  } catch (cause) {
    throw new MeridianError(
      'ERR_DATA_DIRECTORY',
      `the data directory ${directory} cannot be used: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Removes all servers' files, wherever they are, and their passwords. */
export async function removeStorage(directory: string): Promise<void> {
  const inside = join(directory, 'nodes');
  const linked = await readlink(inside).catch(() => undefined);
  if (linked?.startsWith(`${OUTSIDE}/`) === true)
    await rm(linked, { recursive: true, force: true });
  await rm(inside, { recursive: true, force: true });
  await rm(join(directory, 'secrets.json'), { force: true });
}

function outsideOf(directory: string): string {
  return join(OUTSIDE, createHash('sha256').update(directory).digest('hex').slice(0, 16));
}

/**
 * May the account pass through every folder on the way? Looks at mode bits, as the kernel would. Folders
 * that are still to be made will be passable.
 */
async function canEnter(directory: string, account: ServerAccount): Promise<boolean> {
  const user = account.user;
  if (user === undefined) return true;
  for (let path = directory; ; path = dirname(path)) {
    const found = await stat(path).catch(ignoreMissing);
    if (found !== undefined) {
      const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001;
      if ((found.mode & bit) === 0) return false;
    }
    if (path === dirname(path)) return true;
  }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
