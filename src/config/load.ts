/**
 * Finds, imports, checks and resolves the configuration: the one way from a file to a ResolvedConfig.
 * What the file itself throws is told with its own line.
 */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import { bundleConfig, formatPlace } from './bundle.ts';
import { CONFIG_FILE_NAMES } from './defaults.ts';
import { resolveConfig } from './resolve.ts';
import type { ResolvedConfig } from './resolved.ts';
import { validateConfig } from './validate.ts';

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** The file named, or the first of the usual names in the folder. */
export async function findConfig(options: {
  readonly folder: string;
  readonly file?: string | undefined;
}): Promise<string> {
  if (options.file !== undefined) {
    const named = resolve(options.folder, options.file);
    if (await isFile(named)) return named;
    throw new MeridianError('ERR_CONFIG_NOT_FOUND', `there is no configuration file ${named}`, {
      remedy: 'Pass an existing file to --config.',
    });
  }
  for (const name of CONFIG_FILE_NAMES) {
    const path = join(options.folder, name);
    if (await isFile(path)) return path;
  }
  throw new MeridianError(
    'ERR_CONFIG_NOT_FOUND',
    `there is no ${CONFIG_FILE_NAMES[0]} in ${options.folder}`,
  );
}

async function importBundled(file: string): Promise<Record<string, unknown>> {
  const text = await bundleConfig(file);
  const folder = await mkdtemp(join(tmpdir(), 'meridian-config-'));
  try {
    const compiled = join(folder, 'config.mjs');
    await writeFile(compiled, text, { mode: 0o600 });
    return (await import(pathToFileURL(compiled).href)) as Record<string, unknown>;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `meridian.config.ts:12:5`, from a stack that source maps have already translated. */
function placeIn(file: string, error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const name = basename(file).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const match = new RegExp(`${name}:(\\d+):(\\d+)`).exec(stack);
  if (match === null) return basename(file);
  return formatPlace(basename(file), Number(match[1]), Number(match[2]));
}

/** `again`: as it is now. Node keeps what it has imported once, and what that has imported. */
async function importDeclaration(file: string, again: boolean): Promise<unknown> {
  const compiled = again || ['.ts', '.mts', '.cts'].includes(extname(file));
  const module = compiled
    ? await importBundled(file)
    : ((await import(pathToFileURL(file).href)) as Record<string, unknown>);
  const declared: unknown = module['default'];
  return typeof declared === 'function' ? await (declared as () => unknown)() : await declared;
}

/** The declaration as exported: awaited, called where it is a function, not yet checked. */
export async function importConfig(file: string, again = false): Promise<unknown> {
  const mapped = process.sourceMapsEnabled;
  process.setSourceMapsEnabled(true);
  try {
    return await importDeclaration(file, again);
  } catch (cause) {
    if (cause instanceof MeridianError) throw cause;
    throw new MeridianError('ERR_CONFIG_LOAD', `${placeIn(file, cause)}: ${messageOf(cause)}`, {
      cause,
      remedy: 'Correct the configuration file there.',
    });
  } finally {
    process.setSourceMapsEnabled(mapped);
  }
}

export async function loadConfig(options: {
  readonly folder: string;
  readonly file?: string | undefined;
  /** This process has loaded it before, and it may have changed since. */
  readonly again?: boolean;
}): Promise<ResolvedConfig> {
  const file = await findConfig(options);
  const declared = await importConfig(file, options.again);
  return resolveConfig(validateConfig(declared, basename(file)), file);
}
