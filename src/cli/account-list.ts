/** The accounts that a command is about: from its arguments, or one in each line of a file. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { OPERATION_ACCOUNTS_MAX } from '../control/operation.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { CliIo } from './io.ts';
import type { OperationFlags } from './operation-run.ts';

export interface AccountFlags extends OperationFlags {
  readonly fromFile?: string;
}

export const ACCOUNTS_HELP = `At most ${String(OPERATION_ACCOUNTS_MAX)} accounts are named at a time.`;

/** Throws ERR_USAGE for none, or for a file that cannot be read. */
export async function accountsFrom(
  io: CliIo,
  ids: readonly string[],
  { fromFile }: AccountFlags,
): Promise<readonly string[]> {
  const listed = fromFile === undefined ? [] : linesOf(await contentOf(io, fromFile));
  const accounts = [...new Set([...ids, ...listed])];
  if (accounts.length === 0) {
    throw new MeridianError('ERR_USAGE', 'no account is named: give their ids, or --from-file');
  }
  return accounts;
}

async function contentOf(io: CliIo, file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(resolve(io.cwd, file), 'utf8');
  } catch (error) {
    throw new MeridianError('ERR_USAGE', `cannot read ${file}: ${messageOf(error)}`);
  }
}

function linesOf(content: string): string[] {
  return content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
