/**
 * BASE_BACKUP over the replication protocol (PostgreSQL docs, 54.4): one server's data directory, with
 * the log that makes it whole, as a tar archive while the server works.
 *
 * pg has no flow control in copy mode, so there is one here: the socket is paused while what arrived
 * waits to be written. Nothing of the server may stay silent for longer than the stall time: a link that
 * is cut without a word would hold the copy for ever.
 */
import { Readable } from 'node:stream';
import pg from 'pg';
import type { Clock } from '../../../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../../../kernel/errors.ts';
import type { Address } from '../../../topology/routing.ts';
import { socketOf } from '../closing.ts';
import { ROLE } from '../roles.ts';
import { fromDriver } from '../sqlstate.ts';
import { unsound } from './tar.ts';

export interface BackupSource {
  /** For messages. */
  readonly node: string;
  readonly address: Address;
  /** Of the replication role. */
  readonly password: string;
}

export interface BackupOptions {
  readonly clock: Clock;
  /** Writes the archive somewhere; the next piece is sent for when it asks. */
  readonly unpack: (archive: AsyncIterable<Uint8Array>) => Promise<void>;
  /** The total is the server's estimate, without the log that is added at the end. */
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
}

export interface CopyProgress {
  readonly doneBytes: number;
  readonly totalBytes: number | null;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** The server is silent while it makes a checkpoint first. */
const STALL_TIMEOUT_MS = 10_000;
const BUFFERED_BYTES_MAX = 1024 * 1024;
const PROGRESS_STEP_BYTES = 256 * 1024;

/** Resolves once the server has said that its backup is complete, and all of it is unpacked. */
export async function takeBaseBackup(source: BackupSource, options: BackupOptions): Promise<void> {
  const client = new pg.Client({
    host: source.address.host,
    port: source.address.port,
    user: ROLE.replication,
    password: source.password,
    application_name: 'meridian-backup',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // Known to the driver, not to its types.
    ...{ replication: 'true' },
  });
  client.on('error', () => {});
  const socket = (): ReturnType<typeof socketOf> => socketOf(client);
  const backup = new Backup(options, socket);
  const abort = (): void => {
    const { signal } = options;
    const cause: unknown = signal?.reason;
    backup.fail(
      new MeridianError('ERR_ABORTED', `the copy of ${source.node} was given up`, { cause }),
    );
    socket().destroy();
  };
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    if (options.signal?.aborted === true) abort();
    else await client.connect();
    client.query(backup);
    await options.unpack(backup.archive);
  } catch (error) {
    const first = backup.failure ?? error;
    throw isMeridianError(first) ? first : fromDriver(first, `copying ${source.node}`);
  } finally {
    options.signal?.removeEventListener('abort', abort);
    backup.close();
    // The end of its socket ends the backup on the server.
    socket().destroy();
  }
}

interface Wire {
  query(text: string): void;
}

/** What pg's client calls on its active query. */
class Backup implements pg.Submittable {
  readonly archive: Readable;
  /** The first one; what follows from it is no news. */
  failure: unknown;
  readonly #options: BackupOptions;
  #columns: readonly string[] = [];
  #archives = 0;
  #doneBytes = 0;
  #toldBytes = 0;
  #totalBytes: number | null = null;
  #unstall = (): void => {};

  constructor(options: BackupOptions, socket: () => ReturnType<typeof socketOf>) {
    this.#options = options;
    this.#socket = socket;
    this.archive = new Readable({
      highWaterMark: BUFFERED_BYTES_MAX,
      read: () => {
        // While we held the socket, its silence was ours.
        this.#heard();
        socket().resume();
      },
    });
    // The reader is told by its iterator; without one the failure must not end the process.
    this.archive.on('error', () => {});
  }

  readonly #socket: () => ReturnType<typeof socketOf>;

  submit(connection: unknown): void {
    this.#heard();
    (connection as Wire).query(
      `BASE_BACKUP (LABEL 'meridian', CHECKPOINT 'fast', WAL true, MANIFEST 'no', PROGRESS true)`,
    );
  }

  handleRowDescription(message: { readonly fields: readonly { readonly name: string }[] }): void {
    this.#columns = message.fields.map((field) => field.name);
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    const kilobytes = message.fields[this.#columns.indexOf('size')];
    if (typeof kilobytes === 'string') this.#totalBytes = Number(kilobytes) * 1024;
  }

  handleCopyData(message: { readonly chunk: Buffer }): void {
    this.#heard();
    switch (message.chunk[0]) {
      case 0x64: // d: data
        this.#push(message.chunk.subarray(1));
        return;
      case 0x6e: // n: a new archive
        this.#archives += 1;
        if (this.#archives > 1) this.#refuse('it has a tablespace');
        return;
      case 0x70: // p: progress, of which we keep our own account
        return;
      default:
        this.#refuse('it has a message of a kind that is not known');
    }
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.fail(error);
  }

  handleReadyForQuery(): void {
    this.#unstall();
    this.#tell();
    this.archive.push(null);
  }

  fail(error: unknown): void {
    this.failure ??= error;
    this.archive.destroy(error as Error);
    this.#unstall();
  }

  close(): void {
    this.#unstall();
    this.archive.destroy();
  }

  #push(bytes: Buffer): void {
    if (this.archive.destroyed) return;
    this.#doneBytes += bytes.length;
    if (this.#doneBytes - this.#toldBytes >= PROGRESS_STEP_BYTES) this.#tell();
    // The driver's parser uses its buffer again.
    if (this.archive.push(Buffer.from(bytes))) return;
    this.#unstall();
    this.#socket().pause();
  }

  #tell(): void {
    this.#toldBytes = this.#doneBytes;
    const totalBytes =
      this.#totalBytes === null ? null : Math.max(this.#totalBytes, this.#doneBytes);
    this.#options.onProgress?.({ doneBytes: this.#doneBytes, totalBytes });
  }

  #refuse(what: string): void {
    this.fail(unsound(what));
    this.#socket().destroy();
  }

  #heard(): void {
    this.#unstall();
    if (this.archive.destroyed || this.archive.readableEnded) return;
    this.#unstall = this.#options.clock.schedule(STALL_TIMEOUT_MS, () => {
      this.#refuse(`nothing came for ${String(STALL_TIMEOUT_MS / 1000)} s`);
    });
  }
}
