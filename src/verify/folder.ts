/**
 * The folder of a run. Of a clean one nothing stays; of one that failed, what explains it: the history,
 * the report and the logs. With `--keep` all of it, the servers' data too.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { History } from './history.ts';
import { clusterFolder } from './cluster.ts';

export class RunFolder {
  readonly path: string;
  readonly #keepAll: boolean;

  private constructor(path: string, keepAll: boolean) {
    this.path = path;
    this.#keepAll = keepAll;
  }

  static async make(options: {
    readonly folder?: string | undefined;
    readonly keep: boolean;
  }): Promise<RunFolder> {
    return new RunFolder(await clusterFolder(options.folder), options.keep);
  }

  async writeHistory(history: History): Promise<void> {
    await writeFile(join(this.path, 'history.json'), `${JSON.stringify(history)}\n`);
  }

  async writeReport(text: string): Promise<void> {
    await writeFile(join(this.path, 'report.txt'), text);
  }

  get keepsAll(): boolean {
    return this.#keepAll;
  }

  /** After everything that ran there has ended. */
  async leave(explained: boolean): Promise<void> {
    if (this.#keepAll) return;
    if (!explained) {
      await rm(this.path, { recursive: true, force: true });
      return;
    }
    await rename(join(this.path, 'data', 'logs'), join(this.path, 'logs')).catch(() => {});
    await rm(join(this.path, 'data'), { recursive: true, force: true });
    await rm(join(this.path, 'migrations'), { recursive: true, force: true });
  }
}
