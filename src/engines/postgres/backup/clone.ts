/**
 * A replica's files, copied anew from another server of its group. The copy is made beside the old
 * directory, and complete and on disk before it takes the old one's place by renaming; it carries its
 * marker from before then. So whoever looks after a crash finds the old directory, or none, or the new
 * one, and never a half one that calls itself complete.
 *
 *   nodes/<node>.partial      the copy, while it is made
 *   nodes/<node>.replaced     the old directory, on its way out
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeridianError } from '../../../kernel/errors.ts';
import type { NodeSpec } from '../../../topology/node.ts';
import type { Address } from '../../../topology/routing.ts';
import { giveTo } from '../account.ts';
import type { AdminTarget } from '../admin.ts';
import { syncFolder, syncToDisk, writeMarker } from '../initialise.ts';
import type { ServerServices } from '../server.ts';
import { stopStray } from '../stray-server.ts';
import { nodePaths, removeLeftovers } from '../storage.ts';
import { takeBaseBackup, type CopyProgress } from './base-backup.ts';
import { unpackTar } from './unpack.ts';

/** The source's own, which would make the copy a leader, a follower of the wrong one, or a running server. */
const LEFT_BEHIND = [
  ...[
    'role.conf',
    'role.conf.next',
    'admitted.conf',
    'admitted.conf.next',
    'postgresql.conf.next',
    'pg_hba.conf.next',
  ],
  ...[
    'postgresql.auto.conf',
    'standby.signal',
    'recovery.signal',
    'postmaster.pid',
    'postmaster.opts',
  ],
] as const;

export interface Clone {
  /** Nobody may start its server meanwhile. */
  readonly target: NodeSpec;
  /** A leader, or a follower that replays. */
  readonly source: Pick<AdminTarget, 'node' | 'port'>;
  /** Through the emulated network, from the target's place; left out: straight to the source's port. */
  readonly address?: Address | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Rejects with ERR_ABORTED, or with what failed; the old directory is then as it was. Aborting has no
 * effect once the copy takes its place.
 */
export async function cloneNode(services: ServerServices, clone: Clone): Promise<void> {
  const { target, source, signal } = clone;
  const paths = nodePaths(services.storage, target.name);
  await stopStray(services, target.name);
  await removeLeftovers(services.storage, target.name);
  try {
    const data = join(paths.partial, 'data');
    for (const folder of [paths.partial, data]) {
      await mkdir(folder, { mode: 0o700 });
      await giveTo(services.account, folder);
    }
    await takeBaseBackup(
      {
        node: source.node,
        address: clone.address ?? { host: '127.0.0.1', port: source.port },
        password: services.secrets.replication,
      },
      {
        clock: services.clock,
        unpack: (archive) => unpackTar(archive, { directory: data, account: services.account }),
        ...(clone.onProgress === undefined ? {} : { onProgress: clone.onProgress }),
        ...(signal === undefined ? {} : { signal }),
      },
    );
    for (const name of LEFT_BEHIND) await rm(join(data, name), { force: true });
    if (services.options.fsync) await syncToDisk(services, data);
    await writeMarker(services, target, paths.partial);
    if (signal?.aborted === true) {
      throw new MeridianError('ERR_ABORTED', `the copy of ${target.name} was given up`);
    }
  } catch (error) {
    await rm(paths.partial, { recursive: true, force: true });
    throw error;
  }
  await takePlace(services, target.name);
}

/** A crash between the two renames leaves a node without its directory: it is copied once more. */
async function takePlace(services: ServerServices, node: string): Promise<void> {
  const { directory, partial, replaced } = nodePaths(services.storage, node);
  await rename(directory, replaced).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  await rename(partial, directory);
  if (services.options.fsync) await syncFolder(services.storage.nodesDirectory);
  await rm(replaced, { recursive: true, force: true });
}
