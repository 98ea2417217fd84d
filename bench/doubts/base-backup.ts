/**
 * Re-creating a server from another by BASE_BACKUP over the replication protocol: the tar stream
 * goes straight into `tar`, so that the bench needs neither pg_basebackup (not in the package) nor
 * an unpacker of its own.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import type { Writable } from 'node:stream';
import type pg from 'pg';
import { ownTree } from './postgres.ts';
import type { Server } from './postgres.ts';

interface Wire {
  query(text: string): void;
}

/** What pg's client calls on its active query; copy-out is all that matters here. */
class BackupQuery {
  readonly #to: Writable;
  readonly #settle: (error?: Error) => void;

  constructor(to: Writable, settle: (error?: Error) => void) {
    this.#to = to;
    this.#settle = settle;
  }

  submit(connection: Wire): undefined {
    connection.query(`BASE_BACKUP (LABEL 'doubts', CHECKPOINT 'fast', WAL true, MANIFEST 'no')`);
    return undefined;
  }

  handleCopyData(message: { readonly chunk: Buffer }): void {
    if (message.chunk[0] === 0x64) this.#to.write(Buffer.from(message.chunk.subarray(1)));
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.#settle(error);
  }

  handleReadyForQuery(): void {
    this.#settle();
  }
}

/** Wipes `target`'s folder and fills it from `source`; the caller writes its configuration next. */
export async function clone(source: Server, target: Server): Promise<void> {
  fs.rmSync(target.dir, { recursive: true, force: true });
  fs.mkdirSync(target.dir, { mode: 0o700 });
  const tar = spawn('tar', ['-x', '-f', '-', '-C', target.dir], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const unpacked = new Promise<void>((done, fail) => {
    tar.once('error', fail);
    tar.once('exit', (code) => (code === 0 ? done() : fail(new Error(`tar: ${String(code)}`))));
  });
  const client = await source.connect({ replication: 'true' } as pg.ClientConfig);
  await new Promise<void>((done, fail) => {
    const settle = (error?: Error): void => (error === undefined ? done() : fail(error));
    client.query(new BackupQuery(tar.stdin, settle) as unknown as pg.Submittable);
  });
  tar.stdin.end();
  await unpacked;
  await client.end();
  ownTree(target.dir);
}
