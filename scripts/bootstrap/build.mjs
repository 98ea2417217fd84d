/**
 * Compiles TypeScript into dist/ when sources are newer than what stands there.
 *
 * Freshness is a hash of everything the compiler reads of ours, kept in a stamp that is written after
 * the compiler succeeded; times are not trusted, since git and copies change them. Outputs whose source
 * has vanished are removed, because a deleted test must not go on running.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { runChild } from './child.mjs';
import { BootstrapError, explainWrite, say } from './console.mjs';
import { withLock } from './lock.mjs';

const SOURCE_FOLDERS = ['src', 'test', 'examples', 'bench'];
const SETTINGS = ['tsconfig.json', 'package.json', 'package-lock.json'];
const STAMP = 'dist/.built';

/** Makes dist/ fit the sources; quick when it does already. */
export async function ensureBuilt(root) {
  if (reasonToBuild(root, readSources(root)) === undefined) return;
  await withLock(join(root, 'dist/.bootstrap-lock'), async () => {
    const sources = readSources(root);
    const reason = reasonToBuild(root, sources);
    if (reason !== undefined) await build(root, sources, reason);
  });
}

function readSources(root) {
  const hash = createHash('sha256');
  const files = SOURCE_FOLDERS.flatMap((folder) => filesUnder(root, folder))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .sort();
  for (const path of [...SETTINGS, ...files]) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  }
  return { files, fingerprint: hash.digest('hex') };
}

function filesUnder(root, folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((item) => {
    if (item.isDirectory()) {
      return item.name === 'node_modules' ? [] : filesUnder(root, `${folder}/${item.name}`);
    }
    return item.isFile() ? [`${folder}/${item.name}`] : [];
  });
}

function reasonToBuild(root, sources) {
  if (!existsSync(join(root, STAMP))) return 'nothing complete is compiled yet';
  if (readFileSync(join(root, STAMP), 'utf8') !== sources.fingerprint)
    return 'sources have changed';
  const missing = firstMissing(root, sources.files);
  return missing === undefined ? undefined : `${missing} is missing`;
}

function firstMissing(root, files) {
  return files.map(outputOf).find((path) => !existsSync(join(root, path)));
}

function outputOf(source) {
  return `dist/${source.replace(/\.ts$/, '.js')}`;
}

async function build(root, sources, reason) {
  say(`compiling TypeScript: ${reason}.`);
  try {
    mkdirSync(join(root, 'dist'), { recursive: true });
    rmSync(join(root, STAMP), { force: true });
    // The compiler's own memory would make it skip outputs that somebody has deleted.
    if (firstMissing(root, sources.files) !== undefined) {
      rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
    }
  } catch (error) {
    throw explainWrite(error, join(root, 'dist'));
  }
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const { code } = await runChild(process.execPath, [compiler, '-p', 'tsconfig.json'], {
    cwd: root,
    stdout: 'stderr',
  });
  if (code !== 0) throw new BootstrapError('compiling failed: correct the errors above.');
  removeOrphans(root, 'dist');
  writeFileSync(join(root, STAMP), sources.fingerprint);
}

/** Deletes compiled files without a source, and the folders that this empties. */
function removeOrphans(root, folder) {
  for (const item of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${item.name}`;
    if (item.isDirectory()) {
      if (path === 'dist/.bootstrap-lock') continue;
      removeOrphans(root, path);
      if (readdirSync(join(root, path)).length === 0) rmdirSync(join(root, path));
      continue;
    }
    const source = path.replace(/^dist\//, '').replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts');
    if (source.endsWith('.ts') && !existsSync(join(root, source))) rmSync(join(root, path));
  }
}
