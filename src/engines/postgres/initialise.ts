/**
 * Makes the data directories of a new group: one initdb, copied for every replica, so that all carry
 * the group's own system identifier (a server of another group is refused by replication itself).
 *
 * A crash leaves `*.partial` folders, or nodes without their marker, of a group that the store does not
 * call settled; both are removed and made again.
 */
import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MeridianError } from '../../kernel/errors.ts';
import type { Host } from '../../kernel/host.ts';
import type { GroupSpec, NodeSpec } from '../../topology/node.ts';
import { present } from '../../kernel/assert.ts';
import { giveTo, type ServerAccount } from './account.ts';
import type { Binaries } from './binaries.ts';
import type { PostgresOptions } from './options.ts';
import type { Secrets } from './secrets.ts';
import { sizeSettings } from './settings.ts';
import { MARKER, nodePaths, type Storage } from './storage.ts';
import { ROLE } from './roles.ts';

export interface InitialiseServices {
  readonly host: Host;
  readonly account: ServerAccount;
  readonly binaries: Binaries;
  readonly storage: Storage;
  readonly secrets: Secrets;
  readonly options: PostgresOptions;
}

/** What a complete data directory says of itself. */
export interface NodeMarker {
  readonly node: string;
  readonly group: string;
  /** Major version of the server that made it. */
  readonly postgres: string;
}

const INITDB_TIMEOUT_MS = 60_000;

export async function readMarker(storage: Storage, node: string): Promise<NodeMarker | undefined> {
  const text = await readFile(nodePaths(storage, node).marker, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as NodeMarker;
  } catch {
    return undefined;
  }
}

/** Throws ERR_DATA_VERSION when the directory was made by another major version. */
export function checkMarker(marker: NodeMarker, version: string): void {
  if (marker.postgres === majorOf(version)) return;
  throw new MeridianError(
    'ERR_DATA_VERSION',
    `the data of ${marker.node} was written by PostgreSQL ${marker.postgres}, this is ${version}`,
  );
}

export async function initialiseGroup(
  services: InitialiseServices,
  group: GroupSpec,
): Promise<void> {
  const first = present(group.nodes[0], 'a node of the group');
  const paths = nodePaths(services.storage, first.name);
  for (const node of group.nodes) {
    const target = nodePaths(services.storage, node.name);
    await rm(target.partial, { recursive: true, force: true });
    await rm(target.directory, { recursive: true, force: true });
  }
  await mkdir(paths.partial, { recursive: true, mode: 0o700 });
  await giveTo(services.account, paths.partial);
  await runInitdb(services, paths.partial);
  // Copies one after another: parallel ones only compete for the disk.
  for (const node of group.nodes.slice(1)) await copyNode(services, paths.partial, node);
  for (const node of group.nodes) {
    const target = nodePaths(services.storage, node.name);
    await rename(target.partial, target.directory);
  }
}

/**
 * Waits until the new directories are on disk, then marks each as complete. Servers may run meanwhile;
 * the platform is not ready before this is done, so nothing that was acknowledged can be lost with it.
 */
export async function settleGroup(services: InitialiseServices, group: GroupSpec): Promise<void> {
  if (services.options.fsync) {
    // One syncfs covers every directory of the file system; elsewhere each is walked.
    const nodes = process.platform === 'linux' ? group.nodes.slice(0, 1) : group.nodes;
    for (const node of nodes) {
      await syncToDisk(services, nodePaths(services.storage, node.name).data);
    }
  }
  await Promise.all(
    group.nodes.map((node) =>
      writeMarker(services, node, nodePaths(services.storage, node.name).directory),
    ),
  );
}

async function runInitdb(services: InitialiseServices, directory: string): Promise<void> {
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, `${services.secrets.administrator}\n`, { mode: 0o600 });
  await giveTo(services.account, passwordFile);
  const sizes = Object.entries(sizeSettings(services.options)).flatMap(([key, value]) => [
    '-c',
    `${key}=${value}`,
  ]);
  const result = await services.host.run(
    {
      name: 'initdb',
      command: services.binaries.initdb,
      args: [
        ...['-D', join(directory, 'data'), '-U', ROLE.administrator, '-A', 'scram-sha-256'],
        ...[`--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C', '--locale-provider=builtin'],
        ...['--builtin-locale=C.UTF-8', '--wal-segsize=4', '--no-sync', '--no-instructions'],
        ...sizes,
      ],
      env: { TZ: 'UTC', LC_ALL: 'C' },
      ...(services.account.user === undefined ? {} : { user: services.account.user }),
    },
    INITDB_TIMEOUT_MS,
  );
  await rm(passwordFile, { force: true });
  if (result.code !== 0) {
    throw new MeridianError('ERR_PROCESS_FAILED', `initdb failed: ${result.stderr.trim()}`, {
      remedy: 'Look for a full disk or missing permissions in the data directory.',
    });
  }
}

async function copyNode(
  services: InitialiseServices,
  source: string,
  node: NodeSpec,
): Promise<void> {
  const partial = nodePaths(services.storage, node.name).partial;
  // As the servers' account, so that the copies are its own; cp(1) is several times faster than Node's.
  const result = await services.host.run(
    {
      name: 'cp',
      command: '/bin/cp',
      args: ['-Rp', source, partial],
      env: {},
      ...(services.account.user === undefined ? {} : { user: services.account.user }),
    },
    INITDB_TIMEOUT_MS,
  );
  if (result.code === 0) return;
  throw new MeridianError('ERR_PROCESS_FAILED', `copying failed: ${result.stderr.trim()}`, {
    remedy: 'Look for a full disk or missing permissions in the data directory.',
  });
}

/**
 * initdb and cp leave their files in the page cache. On Linux one syncfs writes the whole file system,
 * and so every copy, in one call; elsewhere initdb's own walk over one directory has to do.
 */
export async function syncToDisk(services: InitialiseServices, directory: string): Promise<void> {
  const method = process.platform === 'linux' ? ['--sync-method=syncfs'] : [];
  const result = await services.host.run(
    {
      name: 'initdb --sync-only',
      command: services.binaries.initdb,
      args: ['--sync-only', ...method, '-D', directory],
      env: { LC_ALL: 'C' },
      ...(services.account.user === undefined ? {} : { user: services.account.user }),
    },
    INITDB_TIMEOUT_MS,
  );
  if (result.code !== 0) {
    throw new MeridianError('ERR_PROCESS_FAILED', `syncing failed: ${result.stderr.trim()}`);
  }
}

/** Says of the node's files in `directory` that they are complete; they must be on disk by then. */
export async function writeMarker(
  services: InitialiseServices,
  node: NodeSpec,
  directory: string,
): Promise<void> {
  const marker: NodeMarker = {
    node: node.name,
    group: node.group,
    postgres: majorOf(services.binaries.version),
  };
  const file = join(directory, MARKER);
  await writeFile(`${file}.next`, JSON.stringify(marker), { mode: 0o644, flush: true });
  await rename(`${file}.next`, file);
  // The group is called settled next: its markers may not be missing after a crash of the machine.
  if (services.options.fsync) await syncFolder(directory);
}

export async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Replication credentials for the server itself, in libpq's format. */
export async function writePassfile(
  services: Pick<InitialiseServices, 'account' | 'storage' | 'secrets'>,
  node: string,
): Promise<void> {
  const { passfile } = nodePaths(services.storage, node);
  await writeFile(passfile, `*:*:*:${ROLE.replication}:${services.secrets.replication}\n`, {
    mode: 0o600,
  });
  await chmod(passfile, 0o600);
  await giveTo(services.account, passfile);
}

/** Replaces a file of a server in one step. */
export async function replaceFile(
  account: ServerAccount,
  path: string,
  text: string,
): Promise<void> {
  const next = `${path}.next`;
  await writeFile(next, text, { mode: 0o600 });
  await giveTo(account, next);
  await rename(next, path);
}

const majorOf = (version: string): string => version.split('.')[0] ?? version;
