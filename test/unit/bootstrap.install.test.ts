/** The bootstrap installs what is missing or stale, once, and explains what keeps it from doing so. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, test } from 'node:test';
import { createProject, createReadyProject, writeLock, type Project } from './bootstrap.project.ts';

const lockDirectory = 'dist/.bootstrap-lock';

function holdLock(project: Project, owner: { pid: number; host: string }): void {
  mkdirSync(project.path(lockDirectory), { recursive: true });
  writeFileSync(project.path(`${lockDirectory}/owner`), JSON.stringify(owner));
}

/** Compiled before, so that these tests take no longer than what they are about. */
async function createCompiledProject(): Promise<Project> {
  const project = await createReadyProject();
  rmSync(project.path('node_modules'), { recursive: true });
  rmSync(project.path('npm.diary'));
  return project;
}

describe('installation', () => {
  test('happens on a fresh clone, says so, and is not repeated', async () => {
    using project = createProject();
    const first = await project.bootstrap(['meridian', 'hello']);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /installing dependencies .*there is no node_modules yet/);
    assert.equal(first.stdout, '["hello"]\n', 'only the command writes to standard output');
    const second = await project.bootstrap(['meridian', 'again']);
    assert.deepEqual([second.stdout, second.stderr], ['["again"]\n', '']);
    assert.equal(project.diary().length, 1);
    assert.equal(project.exists(lockDirectory), false);
  });

  test('includes the compiler whatever npm is configured to omit, and runs no install scripts', async () => {
    using project = await createCompiledProject();
    await project.bootstrap(['build'], {
      env: { NODE_ENV: 'production', npm_config_omit: 'dev optional' },
    });
    const [line = ''] = project.diary();
    for (const option of ['ci', '--ignore-scripts', '--include=dev', '--include=optional']) {
      assert.ok(line.split(' ').includes(option), `${option} in: ${line}`);
    }
  });

  test('is repeated for another package-lock.json, and after packages were deleted', async () => {
    using project = await createReadyProject();
    writeLock(project, '1.0.1');
    const other = await project.bootstrap(['build']);
    assert.match(other.stderr, /node_modules\/typescript is not what package-lock\.json asks for/);
    rmSync(project.path('node_modules/pg'));
    const deleted = await project.bootstrap(['build']);
    assert.match(deleted.stderr, /node_modules\/pg is missing/);
    assert.equal(project.diary().length, 3);
  });

  test('made by hand is adopted', async () => {
    using project = await createReadyProject();
    rmSync(project.path('node_modules/.meridian-installed'));
    const outcome = await project.bootstrap(['meridian']);
    assert.deepEqual([outcome.code, outcome.stderr], [0, '']);
    assert.equal(project.diary().length, 1);
  });

  test('that broke off is done again', async () => {
    using project = await createReadyProject();
    rmSync(project.path('node_modules/.package-lock.json'));
    const outcome = await project.bootstrap(['meridian']);
    assert.match(outcome.stderr, /the last installation did not finish/);
    assert.equal(outcome.code, 0);
  });

  test('without a network ends with one sentence and a remedy', async () => {
    using project = await createCompiledProject();
    const env = { NPM_SAYS: 'npm error code ENOTFOUND' };
    const outcome = await project.bootstrap(['meridian'], { env });
    assert.equal(outcome.code, 1);
    assert.equal(outcome.stdout, '');
    assert.match(
      outcome.stderr,
      /\nmeridian: npm could not reach its package registry: connect .*\n$/,
    );
    assert.doesNotMatch(outcome.stderr, /at .*\.mjs/);
    assert.equal((await project.bootstrap(['meridian'])).code, 0, 'the next one recovers');
  });

  test('of two at once happens once', async () => {
    using project = await createCompiledProject();
    const outcomes = await Promise.all(
      ['a', 'b', 'c'].map((name) => project.bootstrap(['meridian', name])),
    );
    assert.deepEqual(
      outcomes.map(({ code, stdout }) => [code, stdout]),
      ['a', 'b', 'c'].map((name) => [0, `["${name}"]\n`]),
    );
    assert.equal(project.diary().length, 1);
  });

  test('takes over the lock of a process that died', async () => {
    using project = await createCompiledProject();
    // Process ids end below 2^22 on Linux and far below on other systems.
    holdLock(project, { pid: 2 ** 30, host: hostname() });
    const outcome = await project.bootstrap(['meridian']);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal(project.exists(lockDirectory), false);
  });

  test('waits for the lock of a living one', async () => {
    using project = await createCompiledProject();
    holdLock(project, { pid: process.pid, host: hostname() });
    const outcome = await project.bootstrap(['meridian'], {
      started: (child) => {
        child.stderr?.on('data', (chunk: Buffer) => {
          if (!chunk.toString().includes('waiting for it')) return;
          assert.equal(project.diary().length, 0);
          rmSync(project.path(lockDirectory), { recursive: true });
        });
      },
    });
    assert.equal(outcome.code, 0);
    assert.match(outcome.stderr, /another command is installing or building here/);
  });
});

describe('the version of Node', () => {
  const pretend = (version: string): string[] => {
    const code = `Object.defineProperty(process, 'versions', { value: { node: '${version}' } });`;
    return ['--import', `data:text/javascript,${encodeURIComponent(code)}`];
  };

  test('is refused in one sentence when too old, before anything else happens', async () => {
    using project = createProject();
    for (const version of ['18.20.4', '20.18.3']) {
      const outcome = await project.bootstrap(['meridian'], { nodeOptions: pretend(version) });
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /^Meridian needs Node\.js 20\.19 or newer.*\n$/);
    }
    assert.deepEqual(project.diary(), []);
    const outcome = await project.bootstrap(['unknown'], { nodeOptions: pretend('22.0.0') });
    assert.match(outcome.stderr, /there is no command "unknown"/);
  });

  test('is the same in package.json, in the documentation and here', () => {
    const root = new URL('../../../', import.meta.url);
    const read = (name: string): string => readFileSync(new URL(name, root), 'utf8');
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    assert.equal(engines.node, '>=20.19.0');
    assert.match(read('scripts/bootstrap.mjs'), /20\.19/);
    assert.match(read('CONTRIBUTING.md'), /Node\.js 20\.19/);
  });
});
