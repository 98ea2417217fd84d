/** The bootstrap compiles what is stale, removes what has no source, and is quick when nothing is. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createReadyProject } from './bootstrap.project.ts';

describe('build', () => {
  test('follows contents, not times', async () => {
    using project = await createReadyProject();
    utimesSync(project.path('src/cli/main.ts'), new Date(), new Date());
    assert.equal((await project.bootstrap(['build'])).stderr, '');
    project.write('src/cli/main.ts', '// @ts-nocheck\nconsole.log("new");\n');
    const outcome = await project.bootstrap(['meridian']);
    assert.match(outcome.stderr, /compiling TypeScript: sources have changed/);
    assert.equal(outcome.stdout, 'new\n');
  });

  test('removes outputs whose source has vanished', async () => {
    using project = await createReadyProject();
    project.write('test/unit/old/gone.test.ts', 'export {};\n');
    await project.bootstrap(['build']);
    assert.ok(project.exists('dist/test/unit/old/gone.test.js'));
    rmSync(project.path('test'), { recursive: true });
    await project.bootstrap(['build']);
    assert.equal(project.exists('dist/test'), false);
    assert.ok(project.exists('dist/src/cli/main.js'));
  });

  test('makes again what was deleted or has broken off', async () => {
    using project = await createReadyProject();
    rmSync(project.path('dist/src/cli/main.js'));
    const deleted = await project.bootstrap(['meridian']);
    assert.match(deleted.stderr, /dist\/src\/cli\/main\.js is missing/);
    assert.equal(deleted.code, 0);
    rmSync(project.path('dist/.built'));
    assert.match((await project.bootstrap(['meridian'])).stderr, /nothing complete is compiled/);
  });

  test('with a type error ends there, and does so again until it is corrected', async () => {
    using project = await createReadyProject();
    project.write('src/wrong.ts', "export const count: number = 'one';\n");
    for (const attempt of [1, 2]) {
      const outcome = await project.bootstrap(['meridian']);
      assert.equal(outcome.code, 1, `attempt ${String(attempt)}`);
      assert.match(outcome.stderr, /src\/wrong\.ts\(1,14\): error TS2322/);
      assert.equal(outcome.stdout, '');
    }
    project.write('src/wrong.ts', 'export const count: number = 1;\n');
    assert.equal((await project.bootstrap(['meridian'])).code, 0);
  });

  test('explains what keeps it from writing', async () => {
    using project = await createReadyProject();
    rmSync(project.path('dist'), { recursive: true });
    // A file in its place stops even an administrator, whom permissions do not.
    writeFileSync(project.path('dist'), '');
    const outcome = await project.bootstrap(['build']);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /^meridian: .*dist is in the way .*: remove it .*\n$/);
    assert.equal(readFileSync(project.path('dist'), 'utf8'), '');
  });
});
