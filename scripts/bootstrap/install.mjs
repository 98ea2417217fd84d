/**
 * Installs dependencies when they are missing or belong to another package-lock.json.
 *
 * A stamp inside node_modules, written last, says what was installed: `npm ci` begins by deleting
 * node_modules, so an installation that broke off has no stamp and is done again. An installation made
 * by hand (`npm ci`, `npm install`) is recognised by npm's own record of it and adopted.
 *
 * Install scripts stay off: nothing here needs them, and npm may be configured to skip them anyway.
 */
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { runChild } from './child.mjs';
import { BootstrapError, explainWrite, say } from './console.mjs';
import { withLock } from './lock.mjs';

const STAMP = 'node_modules/.meridian-installed';
const NPM_RECORD = 'node_modules/.package-lock.json';

/** Makes node_modules fit package-lock.json; quick when it does already. */
export async function ensureInstalled(root) {
  if (reasonToInstall(root) === undefined) return;
  await withLock(join(root, 'dist/.bootstrap-lock'), async () => {
    const reason = reasonToInstall(root);
    if (reason !== undefined) await install(root, reason);
  });
}

function reasonToInstall(root) {
  const lock = readText(join(root, 'package-lock.json'));
  if (lock === undefined) {
    throw new BootstrapError('package-lock.json is missing: restore it from the repository.');
  }
  const record = readText(join(root, NPM_RECORD));
  if (record === undefined) {
    return existsSync(join(root, 'node_modules'))
      ? 'the last installation did not finish'
      : 'there is no node_modules yet';
  }
  const wanted = JSON.parse(lock).packages;
  const installed = JSON.parse(record).packages;
  const gone = Object.keys(installed).find((path) => !existsSync(join(root, path)));
  if (gone !== undefined) return `${gone} is missing`;
  if (readText(join(root, STAMP)) === fingerprint(lock, record)) return undefined;
  const different = firstDifference(wanted, installed);
  if (different !== undefined) return `${different} is not what package-lock.json asks for`;
  writeStamp(root);
  return undefined;
}

/** The first package that should be here and is not, or is of another version. */
function firstDifference(wanted, installed) {
  return Object.entries(wanted)
    .filter(([path]) => path !== '')
    .find(([path, entry]) => {
      const found = installed[path];
      if (found === undefined) return entry.optional !== true || fitsPlatform(entry);
      return found.version !== entry.version || found.integrity !== entry.integrity;
    })?.[0];
}

function fitsPlatform(entry) {
  // Packages for one C library may rightly be absent; npm has decided which.
  if (entry.libc !== undefined) return false;
  const fits = (list, value) =>
    list === undefined ||
    (!list.includes(`!${value}`) && (list.includes(value) || list.every((x) => x.startsWith('!'))));
  return fits(entry.os, process.platform) && fits(entry.cpu, process.arch);
}

function fingerprint(lock, record) {
  const hash = createHash('sha256').update(lock).update('\0').update(record);
  return hash.update(`\0${process.platform}-${process.arch}`).digest('hex');
}

function writeStamp(root) {
  const lock = readText(join(root, 'package-lock.json'));
  try {
    writeFileSync(join(root, STAMP), fingerprint(lock, readText(join(root, NPM_RECORD))));
  } catch {
    // Somebody else's folder: without a stamp the packages are compared again next time.
  }
}

async function install(root, reason) {
  try {
    accessSync(root, constants.W_OK);
    rmSync(join(root, STAMP), { force: true });
  } catch (error) {
    throw explainWrite(error, root);
  }
  say(`installing dependencies (npm ci, without install scripts): ${reason}.`);
  const [command, ...before] = findNpm();
  const options = [
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--package-lock=true',
    // A warning is enough where a dependency of a dependency asks for a newer Node than it needs.
    '--engine-strict=false',
  ];
  // Compiler and PostgreSQL are among them, whatever NODE_ENV or `omit` say.
  const include = ['--include=dev', '--include=optional'];
  let errors = '';
  const { code, signal } = await runChild(
    command,
    [...before, 'ci', ...options, ...include, ...cacheOption()],
    {
      cwd: root,
      stdout: 'stderr',
      onError: (text) => (errors = (errors + text).slice(-20_000)),
    },
  ).catch((error) => {
    throw new BootstrapError(
      `npm could not be started (${error.message}): install npm 10 or newer.`,
    );
  });
  if (signal !== null || code > 128) {
    throw new BootstrapError('the installation was interrupted: the next command begins it again.');
  }
  if (code !== 0) throw explainInstall(root, errors, code);
  const missing = firstDifference(
    JSON.parse(readText(join(root, 'package-lock.json'))).packages,
    JSON.parse(readText(join(root, NPM_RECORD)) ?? '{"packages":{}}').packages,
  );
  if (missing !== undefined) {
    throw new BootstrapError(
      `npm left out ${missing}: allow npm to download it (network, registry, \`omit\`), then run it again.`,
    );
  }
  writeStamp(root);
}

/** The npm that runs us, else the one beside this Node, else the one on the path. */
function findNpm() {
  const running = process.env.npm_execpath;
  if (
    running !== undefined &&
    /^npm(-cli)?\.c?js$/.test(basename(running)) &&
    existsSync(running)
  ) {
    return [process.execPath, running];
  }
  const beside = join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  return existsSync(beside) ? [process.execPath, beside] : ['npm'];
}

/** Accounts without a writable home (a service account, a container's) keep npm's cache elsewhere. */
function cacheOption() {
  const cache = process.env.npm_config_cache ?? join(homedir(), '.npm');
  try {
    mkdirSync(cache, { recursive: true });
    accessSync(cache, constants.W_OK);
    return [];
  } catch {
    return [`--cache=${join(tmpdir(), `meridian-npm-cache-${process.getuid?.() ?? 'user'}`)}`];
  }
}

function explainInstall(root, errors, code) {
  const known = [
    [
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|network/i,
      'npm could not reach its package registry: connect to the network (or set a mirror with ' +
        '`npm config set registry <url>`) and run it again.',
    ],
    [/EACCES|EPERM|EROFS/, `npm may not write to ${root} or its cache: run as the owner of both.`],
    [/ENOSPC/, 'the disk is full: free about 500 MB and run it again.'],
    [/EBADPLATFORM/, `a dependency does not exist for ${process.platform}-${process.arch}.`],
    [/EUSAGE/, 'package.json and package-lock.json disagree: run `npm install` and commit both.'],
  ];
  const sentence = known.find(([pattern]) => pattern.test(errors))?.[1];
  return new BootstrapError(
    sentence ?? `npm ci failed (exit ${code}): correct what it says above and run it again.`,
  );
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error?.code === 'ENOENT' || error?.code === 'ENOTDIR') return undefined;
    throw error;
  }
}
