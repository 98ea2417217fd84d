/**
 * The durable control store: one JSON document that is always whole on disk, the old one or the new.
 *
 * A write goes to a temporary file, is flushed, takes the old one's name, and the directory is flushed:
 * when `write` resolves, the document survives a crash of the machine. Writers go one after the other.
 * The caller holds the installation's lock, so no other process writes here.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeridianError, messageOf } from '../kernel/errors.ts';

export interface ControlStore<T> {
  /** The last document that is known to be durable. Treat it as immutable. */
  read(): T | undefined;
  /** Durable when it resolves. On failure what `read` gives is unchanged. */
  write(next: T): Promise<void>;
  /** Like `write`, from the document that the writers before have left; resolves with what it wrote. */
  update(change: (current: T | undefined) => T): Promise<T>;
}

export const STORE_FILE = 'control.json';
const FORMAT = 1;
const WRITES_PENDING_MAX = 1_000;

/** Throws ERR_DATA_DIRECTORY when it is unreadable or damaged, ERR_DATA_VERSION for a later format. */
export async function openControlStore<T>(directory: string): Promise<ControlStore<T>> {
  const path = join(directory, STORE_FILE);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Left by a crash before its rename: never became the document.
    await rm(temporary(path), { force: true });
  } catch (cause) {
    throw failure(`cannot use ${directory}`, cause);
  }
  return new FileStore<T>(directory, path, (await load(path)) as T | undefined);
}

/**
 * The document on disk, if there is one; changes nothing, and needs no lock. Throws as
 * `openControlStore` does.
 */
export function readControlDocument(directory: string): Promise<unknown> {
  return load(join(directory, STORE_FILE));
}

class FileStore<T> implements ControlStore<T> {
  readonly #directory: string;
  readonly #path: string;
  #document: T | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(directory: string, path: string, document: T | undefined) {
    this.#directory = directory;
    this.#path = path;
    this.#document = document;
  }

  read(): T | undefined {
    return this.#document;
  }

  async write(next: T): Promise<void> {
    // Taken now: the caller may go on changing its own copy.
    const copy = structuredClone(next);
    await this.update(() => copy);
  }

  update(change: (current: T | undefined) => T): Promise<T> {
    if (this.#pending >= WRITES_PENDING_MAX) {
      return Promise.reject(
        new MeridianError('ERR_ENGINE_OVERLOADED', 'the control store has too many writes waiting'),
      );
    }
    this.#pending += 1;
    const done = this.#last.then(async () => {
      const text = JSON.stringify(change(this.#document));
      await save(this.#directory, this.#path, text);
      // What was saved, not the caller's object, which may still be changed.
      this.#document = JSON.parse(text) as T;
      return this.#document;
    });
    const over = (): void => {
      this.#pending -= 1;
    };
    // One writer's failure is its own; the next one goes on from the document that stands.
    this.#last = done.then(over, over);
    return done;
  }
}

async function save(directory: string, path: string, document: string): Promise<void> {
  const head = `{"format":${String(FORMAT)},"sha256":"${checksum(document)}","document":`;
  const text = `${head}\n${document}}\n`;
  try {
    const file = await open(temporary(path), 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary(path), path);
    const folder = await open(directory, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    throw failure(`cannot write ${path}`, cause);
  }
}

async function load(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure(`cannot read ${path}`, cause);
  }
  let envelope: { format?: unknown; sha256?: unknown; document?: unknown } | null;
  try {
    envelope = JSON.parse(text) as typeof envelope;
  } catch (cause) {
    throw damaged(path, cause);
  }
  const format = envelope?.format;
  if (typeof format === 'number' && format > FORMAT) {
    throw new MeridianError(
      'ERR_DATA_VERSION',
      `${path} has format ${String(format)}; this version reads up to ${String(FORMAT)}`,
    );
  }
  const document = envelope?.document;
  // Printed again exactly as it was: JSON keeps the order of keys.
  if (format !== FORMAT || document === undefined) throw damaged(path);
  if (envelope?.sha256 !== checksum(JSON.stringify(document))) throw damaged(path);
  return document;
}

function temporary(path: string): string {
  return `${path}.new`;
}

function checksum(document: string): string {
  return createHash('sha256').update(document).digest('hex');
}

function failure(what: string, cause: unknown): MeridianError {
  return new MeridianError('ERR_DATA_DIRECTORY', `${what}: ${messageOf(cause)}`, { cause });
}

function damaged(path: string, cause?: unknown): MeridianError {
  return new MeridianError('ERR_DATA_DIRECTORY', `${path} is damaged or was cut short`, {
    cause,
    remedy: `Restore ${path} from a backup, or start with --fresh to discard the data.`,
  });
}
