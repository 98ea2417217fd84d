/**
 * One installation on disk: its lock, its control document, its control token.
 *
 *   control.json          the durable control store: identity, and the engine's own part
 *   secrets.json          database passwords, 0600 (the engine's)
 *   run/control.json      where the running supervisor listens, 0600; removed on an orderly stop
 *   run/processes.jsonl   what it has started, for the next start after a crash
 *   nodes/ logs/          the servers' files and everybody's logs
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lockInstallation } from '../control/lock.ts';
import { openControlStore, type ControlStore } from '../control/store.ts';
import type { EngineStore } from '../engines/engine.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';

export interface ControlDocument {
  /** Of this document's form. */
  readonly version: 1;
  readonly installation: string;
  readonly createdAt: string;
  readonly engine: unknown;
}

export interface Installation {
  readonly directory: string;
  readonly logDirectory: string;
  readonly processesFile: string;
  /** Made anew at each start: an old one opens nothing. */
  readonly controlToken: string;
  /** Nothing was there before. */
  readonly fresh: boolean;
  readonly id: string;
  readonly engineStore: EngineStore;
  /** Makes the running supervisor findable for commands of the same user. */
  announce(url: string): Promise<void>;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly directory: string;
  readonly clock: Clock;
  /** Runs under the lock, before anything is read; with --fresh it also removes the data. */
  readonly beforeReading: (paths: { readonly processesFile: string }) => Promise<void>;
  readonly discard: boolean;
}

/** Throws ERR_ALREADY_RUNNING, ERR_DATA_DIRECTORY or ERR_DATA_VERSION. */
export async function openInstallation(options: OpenOptions): Promise<Installation> {
  const { directory } = options;
  const run = join(directory, 'run');
  const logDirectory = join(directory, 'logs');
  try {
    await mkdir(run, { recursive: true });
    await mkdir(logDirectory, { recursive: true });
  } catch (cause) {
    throw new MeridianError(
      'ERR_DATA_DIRECTORY',
      `the data directory ${directory} cannot be written: ${messageOf(cause)}`,
      { cause },
    );
  }
  const held = await lockInstallation(directory, { clock: options.clock });
  try {
    const processesFile = join(run, 'processes.jsonl');
    await options.beforeReading({ processesFile });
    if (options.discard) await rm(join(directory, 'control.json'), { force: true });
    const store = await openControlStore<ControlDocument>(directory);
    const before = store.read();
    const document =
      before === undefined ? newDocument(options.clock.now()) : checked(before, directory);
    if (before === undefined) await store.write(document);
    const controlToken = randomBytes(24).toString('base64url');
    return {
      directory,
      logDirectory,
      processesFile,
      controlToken,
      fresh: before === undefined,
      id: document.installation,
      engineStore: engineStore(store, document),
      announce: (url) => announce(run, { url, token: controlToken, pid: process.pid }),
      close: async () => {
        await rm(join(run, 'control.json'), { force: true });
        await held[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

function newDocument(now: number): ControlDocument {
  return {
    version: 1,
    installation: randomUUID(),
    createdAt: new Date(now).toISOString(),
    engine: null,
  };
}

/** Throws ERR_DATA_VERSION. */
export function checked(document: ControlDocument, directory: string): ControlDocument {
  if ((document.version as number) === 1) return document;
  throw new MeridianError(
    'ERR_DATA_VERSION',
    `${join(directory, 'control.json')} has version ${String(document.version)}, this release reads 1`,
  );
}

function engineStore(store: ControlStore<ControlDocument>, first: ControlDocument): EngineStore {
  let latest = first;
  return {
    read: () => latest.engine ?? undefined,
    write: (engine) => {
      latest = { ...latest, engine };
      return store.write(latest);
    },
  };
}

async function announce(run: string, file: object): Promise<void> {
  const path = join(run, 'control.json');
  await rm(`${path}.next`, { force: true });
  await writeFile(`${path}.next`, JSON.stringify(file), { mode: 0o600 });
  await rename(`${path}.next`, path);
}
