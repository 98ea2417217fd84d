/**
 * Reads the migrations folder: `database/` runs once in each group's database, `regional/` once in each
 * range. Anything in the folder that would silently never run is refused.
 */
import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MeridianError } from '../kernel/errors.ts';
import { nearestName } from '../kernel/problem.ts';
import { withoutPublic } from './public-schema.ts';
import { splitStatements, type Statement } from './split.ts';

export type MigrationScope = 'database' | 'regional';
export const MIGRATION_SCOPES: readonly MigrationScope[] = ['database', 'regional'];

export interface MigrationFile {
  readonly scope: MigrationScope;
  /** "0001_accounts.sql": unique within its scope, and its place in the order. */
  readonly name: string;
  /** For messages: "migrations/regional/0001_accounts.sql". */
  readonly path: string;
  /** SHA-256 in hex over the text with \n line ends, so that a checkout on Windows gives the same. */
  readonly checksum: string;
  readonly statements: readonly Statement[];
}

export interface MigrationFiles {
  readonly database: readonly MigrationFile[];
  readonly regional: readonly MigrationFile[];
}

const NAME = /^(\d{4})_[a-z0-9][a-z0-9_-]*\.sql$/;
/** A migration is read whole; larger ones are bulk loads in disguise. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;

const invalid = (message: string, remedy: string): MeridianError =>
  new MeridianError('ERR_MIGRATION_INVALID', message, { remedy });

/** Pure: what a file of this name and text means. */
export function parseMigration(
  file: Pick<MigrationFile, 'scope' | 'name' | 'path'>,
  text: string,
): MigrationFile {
  const normal = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const checksum = createHash('sha256').update(normal).digest('hex');
  const statements = splitStatements(normal, file.path).map(withoutPublic);
  return { ...file, checksum, statements };
}

async function list(folder: string): Promise<Dirent[] | undefined> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new MeridianError(
      'ERR_MIGRATION_INVALID',
      `the migrations folder ${folder} cannot be read: ${code ?? 'unknown'}`,
      { cause, remedy: 'Make it a readable folder.' },
    );
  }
}

function checkNames(names: readonly string[], folder: string): void {
  const byNumber = new Map<string, string>();
  for (const name of names) {
    const number = NAME.exec(name)?.[1];
    if (number === undefined) {
      throw invalid(
        `${folder}/${name} is not named as a migration`,
        'Name it by four digits and lower-case words: 0001_create_accounts.sql.',
      );
    }
    const other = byNumber.get(number);
    if (other !== undefined) {
      throw invalid(
        `${folder}/${name} and ${folder}/${other} have the same number`,
        'Give the newer one the next free number.',
      );
    }
    byNumber.set(number, name);
  }
}

async function readScope(root: string, scope: MigrationScope): Promise<MigrationFile[]> {
  const folder = join(root, scope);
  const shown = `${basename(root)}/${scope}`;
  const entries = (await list(folder)) ?? [];
  const names = entries
    .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.sql'))
    .map((entry) => entry.name);
  checkNames(names, shown);
  const files: MigrationFile[] = [];
  for (const name of names) {
    const bytes = await readFile(join(folder, name));
    if (bytes.length > FILE_BYTES_MAX) {
      const limit = `${String(FILE_BYTES_MAX / 1024 / 1024)} MiB`;
      throw invalid(`${shown}/${name} is larger than ${limit}`, 'Load bulk data another way.');
    }
    files.push(parseMigration({ scope, name, path: `${shown}/${name}` }, bytes.toString('utf8')));
  }
  return files;
}

function checkRoot(entries: readonly Dirent[], root: string): void {
  const shown = basename(root);
  for (const entry of entries) {
    const known = (MIGRATION_SCOPES as readonly string[]).includes(entry.name);
    if (entry.isDirectory() && !known && !entry.name.startsWith('.')) {
      const near = nearestName(entry.name, MIGRATION_SCOPES);
      throw invalid(
        `${shown}/${entry.name} is neither ${shown}/database nor ${shown}/regional`,
        near === undefined ? 'Move it out of the folder.' : `Did you mean '${near}'?`,
      );
    }
    if (!entry.isDirectory() && entry.name.endsWith('.sql')) {
      throw invalid(
        `${shown}/${entry.name} belongs to no scope`,
        'Move it to database/ (once per group) or regional/ (once per range).',
      );
    }
  }
}

/** `root` is absolute. A scope without a folder has no migrations; a missing root is refused. */
export async function readMigrations(root: string): Promise<MigrationFiles> {
  const entries = await list(root);
  if (entries === undefined) {
    throw invalid(
      `there is no migrations folder ${root}`,
      'Create it with database/ and regional/ inside, or correct `migrations` in the configuration.',
    );
  }
  checkRoot(entries, root);
  return {
    database: await readScope(root, 'database'),
    regional: await readScope(root, 'regional'),
  };
}
