/** The commands of package.json: what each one makes ready, and what it then runs. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { exitAs, runChild } from './child.mjs';
import { BootstrapError, say } from './console.mjs';
import { ensureInstalled } from './install.mjs';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CLI = join(ROOT, 'dist/src/cli/main.js');
const EXAMPLE = 'examples/bank/meridian.config.ts';

const tool = (path) => join(ROOT, 'node_modules', path);
const format = { name: 'format', args: [tool('prettier/bin/prettier.cjs'), '--check', '.'] };
const lint = { name: 'lint', args: [tool('eslint/bin/eslint.js'), '--max-warnings=0', '.'] };
const tests = (suites, filters) => ({
  name: 'tests',
  args: [join(ROOT, 'scripts/run-tests.mjs'), suites, ...filters],
});

/**
 * The steps of each command. Where there are several, a failing one does not hide what the later ones
 * have to say. Types need no step: nothing runs before the compiler has accepted every source.
 */
const COMMANDS = {
  start: (args) => [
    { name: 'start', args: [CLI, 'up', '--config', EXAMPLE, '--traffic', ...args] },
  ],
  meridian: (args) => [{ name: 'meridian', args: [CLI, ...args], cwd: process.cwd() }],
  test: (args) =>
    args.length === 0
      ? [format, lint, tests('unit,tidy,integration', [])]
      : [tests('unit,tidy,integration', args)],
  'test:unit': (args) => [tests('unit,tidy', args)],
  'test:long': (args) => [
    { name: 'long tests', args: [join(ROOT, 'dist/test/planted/campaign.js'), ...args] },
  ],
  check: () => [format, lint, tests('tidy', [])],
  build: () => [],
  format: () => [{ name: 'format', args: [tool('prettier/bin/prettier.cjs'), '--write', '.'] }],
  bench: ([name, ...args]) => [{ name: 'bench', args: [benchmark(name), ...args] }],
};

export async function main([command, ...args]) {
  try {
    const steps = Object.hasOwn(COMMANDS, command ?? '') ? COMMANDS[command] : undefined;
    if (steps === undefined) {
      throw new BootstrapError(
        `there is no command "${command ?? ''}": choose one of ${Object.keys(COMMANDS).join(', ')}.`,
      );
    }
    await ensureInstalled(ROOT);
    if (command !== 'format') await ensureBuilt(ROOT);
    await runSteps(steps(args));
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

async function runSteps(steps) {
  const failed = [];
  for (const step of steps) {
    if (steps.length > 1) say(`${step.name} …`);
    const result = await runChild(process.execPath, step.args, { cwd: step.cwd ?? ROOT });
    if (result.signal !== null || steps.length === 1) {
      exitAs(result);
      return;
    }
    if (result.code !== 0) failed.push(step.name);
  }
  if (failed.length > 0) throw new BootstrapError(`failed: ${failed.join(', ')}.`);
}

function benchmark(name) {
  const file = join(ROOT, 'dist/bench', `${name ?? ''}.js`);
  if (name !== undefined && /^[\w-]+$/.test(name) && existsSync(file)) return file;
  const folder = join(ROOT, 'bench');
  const known = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((item) => item.endsWith('.ts'))
    .map((item) => item.slice(0, -3));
  throw new BootstrapError(
    `name a benchmark: npm run bench -- <${known.length > 0 ? known.join('|') : 'none yet'}>.`,
  );
}
