/**
 * What keeps the embedded engine from starting on this machine, found out without starting it: its
 * programs, the account it runs as, its folder, the data in it, the kernel's limits. Changes nothing.
 */
import { access, constants, readFile, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMeridianError, messageOf } from '../../kernel/errors.ts';
import type { GroupSpec, NodeName, NodeSpec } from '../../topology/node.ts';
import type { Diagnosed, DiagnosisGround, EngineDiagnosis } from '../diagnosis.ts';
import { serverAccount, type ServerAccount } from './account.ts';
import { examineBinaries } from './binaries.ts';
import { checkMarker, readMarker } from './initialise.ts';
import type { PostgresOptions } from './options.ts';
import { checkPlaces, asStored, type StoredCluster } from './places.ts';
import { readSecrets } from './secrets.ts';
import { locateStorage, type Storage } from './storage.ts';

const MIB = 1024 * 1024;
/** A new data directory with small files of WAL: fifteen were 465 MB (docs/decisions/0003). */
const NEW_NODE_BYTES = 32 * MIB;
/** WAL that is kept for replicas, and as much again for rows. */
const GROWTH_BYTES = 64 * MIB;
/** Beside the shared buffers; fifteen servers of 8 MB each were measured at 189 MB. */
const NODE_MEMORY_BYTES = 8 * MIB;
/** Dynamic shared memory of one server: its statistics (1 MiB) and small segments. */
const NODE_SHARED_BYTES = 1.25 * MIB;
/** A server keeps a few dozen for itself, and one for each file and connection in use. */
const NODE_OPEN_FILES = 256;

const failed = (found: string, remedy: string): Diagnosed => ({
  found,
  fault: { severity: 'failure', remedy },
});

/** What throws is a failure with the error's own words. */
async function examined(look: () => Promise<Diagnosed>, remedy: string): Promise<Diagnosed> {
  try {
    return await look();
  } catch (error) {
    return failed(messageOf(error), isMeridianError(error) ? error.remedy : remedy);
  }
}

export async function diagnosePostgres(
  options: PostgresOptions,
  ground: DiagnosisGround,
): Promise<EngineDiagnosis> {
  const nodes = ground.desired.groups.flatMap((group) => group.nodes.map((node) => node.name));
  const [account, accountFound] = findAccount();
  const inside: Storage = {
    nodesDirectory: join(ground.directory, 'nodes'),
    logsDirectory: join(ground.directory, 'logs'),
  };
  const storage = await locateStorage(ground.directory, account).catch(() => inside);
  let version: string | undefined;
  const programs = await examined(async () => {
    const cacheDirectory = join(dirname(storage.nodesDirectory), 'cache');
    const found = await examineBinaries({ host: ground.host, account, cacheDirectory });
    version = found.version;
    const copied = found.copied ? ', mended or copied by the first start' : '';
    return { found: `PostgreSQL ${found.version} runs${copied}` };
  }, 'Install the dependencies again.');
  const made = await markedNodes(storage, nodes);
  return {
    programs,
    account: accountFound,
    storage: await examined(
      () => diagnoseStorage(storage, account),
      'Make the folder one that this account may use.',
    ),
    data: await examined(
      () => diagnoseData({ ...ground, storage, version, made }),
      'Restore it from a backup, or start with --fresh to discard the data.',
    ),
    kernel: await examined(
      () => diagnoseKernel(ground.running ? 0 : nodes.length),
      'Mount /dev/shm as a tmpfs that everybody may write.',
    ),
    nodesDirectory: storage.nodesDirectory,
    needs: {
      diskBytes: (nodes.length - made.length) * NEW_NODE_BYTES,
      growthBytes: nodes.length * GROWTH_BYTES,
      memoryBytes: nodes.length * (NODE_MEMORY_BYTES + options.sharedBuffersMb * MIB),
      openFiles: NODE_OPEN_FILES,
    },
  };
}

function findAccount(): readonly [ServerAccount, Diagnosed] {
  try {
    const account = serverAccount();
    const found =
      account.user === undefined
        ? 'servers run as your own account'
        : `you are root: servers run as the account with uid ${String(account.user.uid)}`;
    return [account, { found }];
  } catch (error) {
    const remedy = isMeridianError(error) ? error.remedy : 'Run as an ordinary user.';
    return [{ user: undefined }, failed(messageOf(error), remedy)];
  }
}

async function diagnoseStorage(storage: Storage, account: ServerAccount): Promise<Diagnosed> {
  const { nodesDirectory } = storage;
  const owner = account.user?.uid ?? process.getuid?.();
  const found = await stat(nodesDirectory).catch(whenMissing);
  if (found === undefined) {
    const parent = await nearestExisting(nodesDirectory);
    const writable = await access(parent, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    if (writable) return { found: `${nodesDirectory} can be made` };
    return failed(
      `${nodesDirectory} cannot be made: ${parent} is not writable`,
      'Give the folder to your account, or name another one in dataDirectory.',
    );
  }
  if (owner !== undefined && found.uid !== owner) {
    return failed(
      `${nodesDirectory} belongs to uid ${String(found.uid)}, and servers would run as uid ${String(owner)}`,
      'Start as the account that started first, or give it the folder with everything in it.',
    );
  }
  return { found: `${nodesDirectory} belongs to the servers' account` };
}

async function diagnoseData(
  ground: DiagnosisGround & {
    readonly storage: Storage;
    readonly version: string | undefined;
    readonly made: readonly NodeName[];
  },
): Promise<Diagnosed> {
  const { stored, desired, storage, version, made } = ground;
  await readSecrets(ground.directory);
  if (stored === undefined || stored === null) {
    return { found: 'no data yet: the first start makes it' };
  }
  const cluster = stored as StoredCluster;
  checkPlaces(cluster, asStored(cluster, desired));
  await access(storage.nodesDirectory, constants.R_OK | constants.X_OK);
  const lost = desired.groups
    .filter((group) => cluster.groups[group.name]?.settled === true)
    .map((group) => ({ group, nodes: group.nodes.filter(({ name }) => !made.includes(name)) }));
  for (const { group, nodes } of lost) {
    const fault = lostQuorum(group, nodes);
    if (fault !== undefined) return fault;
  }
  for (const node of version === undefined ? [] : made) {
    const marker = await readMarker(storage, node);
    if (marker !== undefined) checkMarker(marker, version ?? '');
  }
  const names = lost.flatMap(({ nodes }) => nodes.map(({ name }) => name));
  if (names.length > 0) return toBeRebuilt(names, storage);
  return { found: `data of ${String(made.length)} servers, readable by this release` };
}

/** One voter of three may be gone; what was acknowledged is on one of the other two. */
function lostQuorum(group: GroupSpec, lost: readonly NodeSpec[]): Diagnosed | undefined {
  const voters = group.nodes.filter(({ kind }) => kind === 'voter');
  const gone = lost.filter(({ kind }) => kind === 'voter').map(({ name }) => name);
  if (gone.length * 2 < voters.length) return undefined;
  return failed(
    `the data of ${gone.join(' and ')} is gone, ${String(gone.length)} of the ${String(voters.length)} voters of ${group.name}`,
    'Restore the folder of one of them as it was, or start with --fresh to discard all data.',
  );
}

function toBeRebuilt(names: readonly string[], storage: Storage): Diagnosed {
  const some = names.length > 3 ? `${names.slice(0, 3).join(', ')}, …` : names.join(', ');
  return {
    found: `the data of ${some} is not in ${storage.nodesDirectory}; the next start copies it anew`,
    fault: {
      severity: 'warning',
      remedy: 'Find out what removed it; then start: the rest of its group has all of it.',
    },
  };
}

async function markedNodes(storage: Storage, nodes: readonly NodeName[]): Promise<NodeName[]> {
  const found = await Promise.all(
    nodes.map(async (node) => ((await readMarker(storage, node)) === undefined ? [] : [node])),
  );
  return found.flat();
}

/**
 * Linux alone is looked at: each server takes one segment of System V shared memory, and POSIX shared
 * memory in /dev/shm (PostgreSQL docs, 18.4.1; min_dynamic_shared_memory).
 */
async function diagnoseKernel(servers: number): Promise<Diagnosed> {
  if (process.platform !== 'linux') return { found: 'no limits are known to matter here' };
  const [folder, space] = [await stat('/dev/shm'), await statfs('/dev/shm')];
  const forAll = process.getuid?.() === 0 ? 0o003 : 0;
  if ((folder.mode & forAll) !== forAll) throw new Error('/dev/shm is not writable for everybody');
  await access('/dev/shm', constants.W_OK | constants.X_OK);
  const freeBytes = space.bavail * space.bsize;
  const neededBytes = servers * NODE_SHARED_BYTES;
  if (freeBytes < neededBytes) {
    return failed(
      `/dev/shm has ${megabytes(freeBytes)} free, and the servers need ${megabytes(neededBytes)}`,
      'Give it more (in a container: --shm-size=256m).',
    );
  }
  const segments = Number(await readFile('/proc/sys/kernel/shmmni', 'utf8').catch(() => '4096'));
  if (segments < servers) {
    return failed(
      `the kernel allows ${String(segments)} segments of shared memory, and each server takes one`,
      'Raise it: sysctl kernel.shmmni=4096.',
    );
  }
  return { found: `/dev/shm has ${megabytes(freeBytes)} free` };
}

const megabytes = (bytes: number): string => `${String(Math.floor(bytes / MIB))} MB`;

async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if ((await stat(at).catch(whenMissing)) !== undefined || at === dirname(at)) return at;
  }
}

function whenMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
