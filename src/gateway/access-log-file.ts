/**
 * Appends lines to a file without making anybody wait: batches, one write at a time, bounded memory.
 *
 * When the disk does not keep up (or is full) lines beyond the bound are dropped, and the next batch
 * begins with a line that says how many. A file that has its size is renamed to `.1`, `.1` to `.2` and
 * so on; one that somebody else has renamed or removed is opened anew.
 */
import { constants } from 'node:fs';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../kernel/clock.ts';
import { messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';

export interface AccessLogFileOptions {
  readonly file: string;
  readonly fileBytesMax: number;
  /** Renamed files that are kept. */
  readonly filesMax: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Characters that wait for the disk; beyond, lines are dropped. */
  readonly waitingMax?: number;
}

/** Lines wait this long for others to come along. */
const FLUSH_MS = 200;
const WAITING_MAX = 4 * 1024 * 1024;
const { O_APPEND, O_CREAT, O_WRONLY } = constants;

export class AccessLogFile {
  readonly #options: AccessLogFileOptions;
  #lines: string[] = [];
  #waiting = 0;
  #dropped = 0;
  #handle: FileHandle | undefined;
  #inode = 0;
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #cancelFlush: (() => void) | undefined;
  #failing = false;
  #closed = false;

  constructor(options: AccessLogFileOptions) {
    this.#options = options;
  }

  /** Never waits, never throws. */
  readonly write = (line: string): void => {
    if (this.#closed || this.#waiting + line.length > (this.#options.waitingMax ?? WAITING_MAX)) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#waiting += line.length;
    if (this.#writing === undefined) {
      this.#cancelFlush ??= this.#options.clock.schedule(FLUSH_MS, () => {
        void this.flush();
      });
    }
  };

  /** Writes what waits; resolves when it is written or dropped. */
  async flush(): Promise<void> {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#lines.length === 0 && this.#dropped === 0) return;
    this.#writing = this.#writeBatch().finally(() => {
      this.#writing = undefined;
      // What came meanwhile waits for a flush of its own.
      if (this.#lines.length > 0 && !this.#closed) {
        this.#cancelFlush ??= this.#options.clock.schedule(FLUSH_MS, () => {
          void this.flush();
        });
      }
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #writeBatch(): Promise<void> {
    const { clock, log, file } = this.#options;
    const count = this.#lines.length;
    const dropped = this.#dropped;
    if (dropped > 0) {
      const time = new Date(clock.now()).toISOString();
      this.#lines.unshift(JSON.stringify({ time, dropped }) + '\n');
    }
    const batch = Buffer.from(this.#lines.join(''), 'utf8');
    this.#lines = [];
    this.#dropped = 0;
    try {
      const handle = await this.#opened(batch.length);
      await handle.appendFile(batch);
      this.#bytes += batch.length;
      this.#failing = false;
    } catch (error) {
      this.#dropped += dropped + count;
      if (!this.#failing)
        log.warn('cannot write the access log', { file, reason: messageOf(error) });
      this.#failing = true;
      await this.#release();
    } finally {
      // Until now the batch was in memory.
      this.#waiting = this.#lines.reduce((sum, line) => sum + line.length, 0);
    }
  }

  /** The file to append to: opened anew after it was moved, rotated when it is full. */
  async #opened(bytes: number): Promise<FileHandle> {
    const { file, fileBytesMax } = this.#options;
    if (this.#handle !== undefined) {
      const there = await stat(file).catch(() => undefined);
      if (there?.ino !== this.#inode) {
        await this.#release();
      } else if (this.#bytes > 0 && this.#bytes + bytes > fileBytesMax) {
        await this.#release();
        await this.#rotate();
      }
    }
    if (this.#handle !== undefined) return this.#handle;
    await mkdir(dirname(file), { recursive: true });
    this.#handle = await open(file, O_APPEND | O_CREAT | O_WRONLY, 0o600);
    const { ino, size } = await this.#handle.stat();
    this.#inode = ino;
    this.#bytes = size;
    return this.#handle;
  }

  async #rotate(): Promise<void> {
    const { file, filesMax } = this.#options;
    if (filesMax === 0) {
      await rm(file, { force: true });
      return;
    }
    for (let age = filesMax - 1; age >= 0; age -= 1) {
      const from = age === 0 ? file : `${file}.${String(age)}`;
      await rename(from, `${file}.${String(age + 1)}`).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      });
    }
  }

  async #release(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
  }
}
