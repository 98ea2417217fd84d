/** The command's end is the bootstrap's end, and a signal reaches the command once. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createReadyProject } from './bootstrap.project.ts';

/** Sends signals to the bootstrap alone, as npm does, once the command has said that it is ready. */
const whenReady =
  (...signals: NodeJS.Signals[]) =>
  (child: ChildProcess): void => {
    child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('ready')) for (const signal of signals) child.kill(signal);
    });
  };

describe('command', () => {
  test('its exit code is ours', async () => {
    using project = await createReadyProject();
    const outcome = await project.bootstrap(['meridian', 'fail']);
    assert.deepEqual([outcome.code, outcome.signal], [3, null]);
  });

  test('a signal reaches it once, though npm and the process group both deliver it', async () => {
    using project = await createReadyProject();
    const started = whenReady('SIGINT', 'SIGINT');
    const outcome = await project.bootstrap(['meridian', 'wait'], { started });
    assert.equal(outcome.stdout, 'ready\nsignals 1\n');
    assert.equal(outcome.code, 0);
  });

  test('a signal to npm alone reaches it too, through npm, the shell and us', async () => {
    using project = await createReadyProject();
    project.write(
      'package.json',
      readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
    );
    await project.bootstrap(['build']);
    const npm = spawn('npm', ['run', '--silent', 'meridian', '--', 'wait'], {
      cwd: project.path('.'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    npm.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout === 'ready\n') npm.kill('SIGINT');
    });
    // Standard output closes when the last process that has it has ended.
    await once(npm, 'close');
    assert.equal(stdout, 'ready\nsignals 1\n');
  });

  test('its death by a signal is ours', async () => {
    using project = await createReadyProject();
    const started = whenReady('SIGTERM');
    const outcome = await project.bootstrap(['meridian', 'wait'], { started });
    assert.equal(outcome.signal, 'SIGKILL');
  });

  test('start brings up the example with traffic and hands arguments on', async () => {
    using project = await createReadyProject();
    const outcome = await project.bootstrap(['start', '--for', '30s', '--json']);
    assert.deepEqual(JSON.parse(outcome.stdout), [
      'up',
      '--config',
      'examples/bank/meridian.config.ts',
      '--traffic',
      '--for',
      '30s',
      '--json',
    ]);
  });

  test('an unknown one is refused with the list, a benchmark must be named', async () => {
    using project = await createReadyProject();
    const unknown = await project.bootstrap(['toString']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /there is no command "toString": choose one of start, meridian/);
    project.write('bench/reads.ts', '// @ts-nocheck\nconsole.log("measured");\n');
    assert.match((await project.bootstrap(['bench', '../x'])).stderr, /npm run bench -- <reads>/);
    assert.equal((await project.bootstrap(['bench', 'reads'])).stdout, 'measured\n');
  });
});
