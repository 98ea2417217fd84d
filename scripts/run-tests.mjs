/**
 * Runs compiled tests with Node's own test runner.
 *
 *   node scripts/run-tests.mjs <suite[,suite…]> [filter …] [--test-…]
 *
 * A filter keeps the files whose name contains it. Files are listed here, since Node 20 expands no
 * patterns. Unit tests run two files at once; integration tests one, because each of them starts
 * a fleet of processes and would only measure its neighbour.
 *
 * Tests get a temporary folder of their own (TMPDIR); a process that still uses it when they have ended
 * was leaked, which fails the run. After a failure the folder stays, with the logs.
 */
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitAs, runChild } from './bootstrap/child.mjs';
import { BootstrapError, say } from './bootstrap/console.mjs';
import { stopLeftovers } from './tests/leftovers.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Suites that run together; a limit per test keeps a hanging one from holding up everything. */
const GROUPS = [
  { suites: ['unit', 'tidy'], concurrency: 2, timeoutMs: 60_000 },
  { suites: ['integration'], concurrency: 1, timeoutMs: 420_000 },
];

async function main([suiteList = '', ...rest]) {
  const filters = rest.filter((argument) => !argument.startsWith('--'));
  const options = rest.filter((argument) => argument.startsWith('--'));
  const wanted = suiteList.split(',');
  const groups = GROUPS.map((group) => ({
    ...group,
    suites: group.suites.filter((suite) => wanted.includes(suite)),
  }))
    .map((group) => ({ ...group, files: listFiles(group.suites, filters) }))
    .filter((group) => group.files.length > 0);
  if (groups.length === 0) {
    throw new BootstrapError(
      `no test file of ${suiteList} matches${filters.length > 0 ? ` ${filters.join(', ')}` : ''}.`,
    );
  }
  let failed = false;
  for (const group of groups) {
    const result = await runGroup(group, options);
    if (result.signal !== null) {
      exitAs(result);
      return;
    }
    failed ||= result.code !== 0;
  }
  if (failed) process.exitCode = 1;
}

function listFiles(suites, filters) {
  return suites
    .map((suite) => join('dist/test', suite))
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder))
        .filter((name) => name.endsWith('.test.js'))
        .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
        .sort()
        .map((name) => join(folder, name)),
    );
}

async function runGroup(group, options) {
  const title = group.suites.join(' and ');
  say(`${title}: ${group.files.length} test files …`);
  const folder = mkdtempSync(join(tmpdir(), 'meridian-test-'));
  // Servers that run as another account pass through it.
  chmodSync(folder, 0o711);
  const startedAt = performance.now();
  const result = await runChild(
    process.execPath,
    [
      '--enable-source-maps',
      '--test',
      `--test-concurrency=${group.concurrency}`,
      `--test-timeout=${group.timeoutMs}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      ...options,
      ...group.files,
    ],
    { cwd: ROOT, env: { ...process.env, TMPDIR: folder } },
  );
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const left = await stopLeftovers(folder);
  for (const { pid, command } of left) {
    say(`left running by a test, now killed: ${pid} ${command}`);
  }
  const code = result.code === 0 && left.length > 0 ? 1 : result.code;
  const passed = code === 0;
  const kept = !passed && readdirSync(folder).length > 0;
  if (!kept) rmSync(folder, { recursive: true, force: true });
  const ending = passed ? 'passed' : `failed${kept ? ` (what it wrote is under ${folder})` : ''}`;
  say(`${title}: ${ending} in ${seconds} s.`);
  return { code, signal: result.signal };
}

main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof BootstrapError)) throw error;
  say(error.message);
  process.exitCode = 1;
});
