/**
 * Turns a TypeScript configuration file into one JavaScript text that Node 20 can import. Only the
 * person's own files are bundled; packages stay outside as absolute addresses, so that the file gets
 * the same copy of `meridian` (and of everything else) as the program that loads it.
 */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type BuildFailure, type Loader, type Plugin } from 'esbuild';
import { MeridianError, messageOf } from '../kernel/errors.ts';

/** Marks resolutions that the plugin itself asks for. */
const INNER = Symbol('resolved by us');
const LOADED_BY_NODE = new Set(['.js', '.mjs', '.cjs', '.node']);
const LOADERS: Readonly<Record<string, Loader>> = { '.ts': 'ts', '.mts': 'ts', '.cts': 'ts' };

/** Resolves packages as Node would for `import`, from the importing file's folder. */
const packagesOutside: Plugin = {
  name: 'packages-outside',
  setup(setup) {
    setup.onResolve({ filter: /^[^./]/ }, async (args) => {
      if (args.pluginData === INNER || args.kind === 'entry-point') return undefined;
      if (isBuiltin(args.path)) return { path: args.path, external: true };
      const found = await setup.resolve(args.path, {
        kind: args.kind,
        importer: args.importer,
        resolveDir: args.resolveDir,
        pluginData: INNER,
      });
      if (found.errors.length > 0) return { errors: found.errors };
      if (!LOADED_BY_NODE.has(extname(found.path))) return found;
      return { path: pathToFileURL(found.path).href, external: true };
    });
  },
};

/** Bundled files keep their own address: import.meta and __dirname mean what they say. */
const ownAddress: Plugin = {
  name: 'own-address',
  setup(setup) {
    setup.onLoad({ filter: /\.[cm]?[jt]s$/ }, async (args) => {
      const names = {
        __meridian_url: pathToFileURL(args.path).href,
        __meridian_file: args.path,
        __meridian_folder: dirname(args.path),
      };
      const prefix = Object.entries(names)
        .map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`)
        .join(' ');
      // On the first line, so that line numbers stay true.
      const contents = `${prefix} ${await readFile(args.path, 'utf8')}`;
      return { contents, loader: LOADERS[extname(args.path)] ?? 'js' };
    });
  },
};

/** `meridian.config.ts:12:5`. The first line's columns are shifted by `ownAddress`: left out. */
export function formatPlace(file: string, line: number, column: number): string {
  return line === 1 ? `${file}:1` : `${file}:${String(line)}:${String(column)}`;
}

/** `file` is absolute. Throws ERR_CONFIG_LOAD naming file, line and column. */
export async function bundleConfig(file: string): Promise<string> {
  try {
    const result = await build({
      entryPoints: [file],
      absWorkingDir: dirname(file),
      bundle: true,
      write: false,
      outfile: join(dirname(file), `${basename(file)}.bundled.mjs`),
      format: 'esm',
      platform: 'node',
      target: 'node20',
      // None beside Node's own: "module" would pick a file that Node never loads.
      conditions: [],
      sourcemap: 'inline',
      // The bundle is imported from elsewhere; stack traces name the files that were written.
      sourceRoot: pathToFileURL(dirname(file)).href,
      logLevel: 'silent',
      plugins: [packagesOutside, ownAddress],
      define: {
        'import.meta.url': '__meridian_url',
        'import.meta.filename': '__meridian_file',
        'import.meta.dirname': '__meridian_folder',
        __filename: '__meridian_file',
        __dirname: '__meridian_folder',
      },
    });
    return result.outputFiles[0]?.text ?? '';
  } catch (cause) {
    const [first] = (cause as Partial<BuildFailure>).errors ?? [];
    const place = first?.location;
    const where =
      place === null || place === undefined
        ? basename(file)
        : formatPlace(place.file, place.line, place.column + 1);
    const text = first?.text ?? messageOf(cause);
    throw new MeridianError('ERR_CONFIG_LOAD', `${where}: ${text}`, {
      cause,
      remedy: text.startsWith('Could not resolve')
        ? 'Install the package, or correct the import.'
        : 'Correct it there; a TypeScript compiler tells more.',
    });
  }
}
