/** The test runner's own promises: it fails when nothing ran, when a test fails, when one leaks. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createReadyProject } from './bootstrap.project.ts';

const passing = "// @ts-nocheck\nimport { test } from 'node:test';\ntest('passes', () => {});\n";

describe('test runner', () => {
  test('runs the files whose name a filter names, and fails when there are none', async () => {
    using project = await createReadyProject();
    project.write('test/unit/a.test.ts', passing.replace('passes', 'passes a'));
    project.write('test/tidy/b.test.ts', passing.replace('passes', 'passes b'));
    const all = await project.bootstrap(['test:unit']);
    assert.equal(all.code, 0, all.stdout + all.stderr);
    assert.match(all.stdout, /tests 2/);
    const some = await project.bootstrap(['test:unit', 'b']);
    assert.match(some.stdout, /tests 1/);
    const none = await project.bootstrap(['test:unit', 'typo']);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no test file of unit,tidy matches typo/);
  });

  test('fails with a failing test', async () => {
    using project = await createReadyProject();
    project.write('test/unit/a.test.ts', passing.replace('{}', "{ throw new Error('no'); }"));
    const outcome = await project.bootstrap(['test', 'a']);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stdout, /fail 1/);
  });

  test('fails when a process was left running, and stops it', async () => {
    using project = await createReadyProject();
    project.write(
      'test/integration/leak.test.ts',
      `// @ts-nocheck
       import { spawn } from 'node:child_process';
       import { tmpdir } from 'node:os';
       import { test } from 'node:test';
       test('leaks', () => {
         const args = ['-e', 'setInterval(() => {}, 1000)', tmpdir()];
         const child = spawn(process.execPath, args, { detached: true, stdio: 'ignore', env: {} });
         child.unref();
         console.log('leaked', child.pid);
       });\n`,
    );
    const outcome = await project.bootstrap(['test', 'leak']);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stdout, /pass 1/);
    assert.match(outcome.stderr, /left running by a test, now killed: \d+ /);
    const pid = Number(/leaked (\d+)/.exec(outcome.stdout)?.[1]);
    assert.ok(hasEnded(pid), `process ${String(pid)} has ended`);
  });
});

/** Gone, or a zombie that its new parent has not collected yet: that has no command line any more. */
function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return (
      process.platform === 'linux' && readFileSync(`/proc/${String(pid)}/cmdline`).length === 0
    );
  } catch {
    return true;
  }
}
