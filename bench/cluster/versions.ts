/** What a result is a result of: kept beside every figure that is written down. */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ownVersion } from '../../src/kernel/version.ts';
import type { Servers } from '../../src/verify/servers.ts';

export interface Versions {
  readonly meridian: string;
  /** "+changes": the sources were not as committed. Empty outside of a repository. */
  readonly commit: string;
  readonly node: string;
  readonly postgres: string;
  /** "linux x64, 2 cores" */
  readonly machine: string;
}

const ROOT = join(import.meta.dirname, '..', '..', '..');
const run = promisify(execFile);

async function git(...args: readonly string[]): Promise<string> {
  try {
    return (await run('git', args, { cwd: ROOT })).stdout.trim();
  } catch {
    return '';
  }
}

export async function versionsOf(servers: Servers, node: string): Promise<Versions> {
  const [shown] = await servers.query<{ server_version: string }>(node, 'SHOW server_version');
  const changed = (await git('status', '--porcelain', '--', 'src')) !== '';
  return {
    meridian: ownVersion(),
    commit: `${await git('rev-parse', '--short=12', 'HEAD')}${changed ? '+changes' : ''}`,
    node: process.versions.node,
    postgres: shown?.server_version ?? 'unknown',
    machine: `${process.platform} ${process.arch}, ${String(availableParallelism())} cores`,
  };
}
