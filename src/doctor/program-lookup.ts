/** Finds the program that a declared command would run, as the system would: by path, or in PATH. */
import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ProgramFacts } from './facts.ts';

const SCRIPT = /^[^-].*\.[cm]?[jt]s$/;

export async function findProgram(
  declared: { readonly command: readonly string[]; readonly directory: string },
  path: string,
): Promise<ProgramFacts> {
  const { directory } = declared;
  const [command = '', ...args] = declared.command;
  // A name with a slash is looked for where the program is run; others never are.
  const candidates = command.includes('/')
    ? [resolve(directory, command)]
    : path.split(':').map((folder) => resolve(directory, folder, command));
  const found = await Promise.all(candidates.map(stateOf));
  const script = args.find((arg) => SCRIPT.test(arg));
  const missing = script !== undefined && (await stateOf(resolve(directory, script))) === 'missing';
  return {
    ...{ command, directory },
    directoryExists: await stat(directory).then(
      (one) => one.isDirectory(),
      () => false,
    ),
    program: candidates[found.indexOf('runs')],
    denied: found.includes('denied'),
    missingScript: missing ? script : undefined,
  };
}

async function stateOf(file: string): Promise<'runs' | 'denied' | 'missing'> {
  try {
    if (!(await stat(file)).isFile()) return 'missing';
  } catch {
    return 'missing';
  }
  return access(file, constants.X_OK).then(
    () => 'runs' as const,
    () => 'denied' as const,
  );
}
