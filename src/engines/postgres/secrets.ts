/**
 * Passwords and the control token of one installation: random, made at the first start, in one file
 * that only its owner can read. They are never logged and never stand in a command line.
 */
import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MeridianError } from '../../kernel/errors.ts';

export interface Secrets {
  readonly administrator: string;
  readonly replication: string;
  readonly application: string;
}

const KEYS = ['administrator', 'replication', 'application'] as const;

/** Those of earlier starts, if there are any; changes nothing. Throws ERR_DATA_DIRECTORY. */
export async function readSecrets(directory: string): Promise<Secrets | undefined> {
  const file = join(directory, 'secrets.json');
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MeridianError('ERR_DATA_DIRECTORY', `${file} cannot be read`, { cause: error });
  });
  return text === undefined ? undefined : parse(file, text);
}

export async function loadSecrets(directory: string): Promise<Secrets> {
  const file = join(directory, 'secrets.json');
  const kept = await readSecrets(directory);
  if (kept !== undefined) {
    await chmod(file, 0o600);
    return kept;
  }
  const made: Secrets = { administrator: random(), replication: random(), application: random() };
  const partial = `${file}.partial`;
  const handle = await open(partial, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(made, null, 2));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
  return made;
}

function parse(file: string, text: string): Secrets {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    if (KEYS.every((key) => typeof value[key] === 'string' && value[key] !== '')) {
      return value as unknown as Secrets;
    }
  } catch {
    // Falls through: the same answer as for missing keys.
  }
  throw new MeridianError('ERR_DATA_DIRECTORY', `${file} is damaged`, {
    remedy: 'Restore it from a backup, or start with --fresh to discard the data.',
  });
}

const random = (): string => randomBytes(24).toString('base64url');
