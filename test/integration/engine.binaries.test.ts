/** The server's binaries as installers leave them: without links, and without a library. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { cp, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  examineBinaries,
  locateBinaries,
  packagedDirectory,
} from '../../src/engines/postgres/binaries.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';
import { temporaryDirectory } from '../support/cluster.ts';

describe('the server binaries', () => {
  test('work without the package having run its install script; a missing library is named', async () => {
    const directory = await temporaryDirectory();
    try {
      const native = join(directory, 'native');
      await cp(packagedDirectory(), native, { recursive: true, verbatimSymlinks: true });
      const lib = join(native, 'lib');
      for (const name of await readdir(lib)) {
        if ((await lstat(join(lib, name))).isSymbolicLink()) await rm(join(lib, name));
      }
      const options = {
        host: createLocalHost(seededRandom(1)),
        account: { user: undefined },
        cacheDirectory: join(directory, 'cache'),
        native,
      };
      const before = await readdir(directory, { recursive: true });
      assert.match((await examineBinaries(options)).version, /^18/);
      assert.deepEqual(await readdir(directory, { recursive: true }), before, 'only looked at');
      assert.match((await locateBinaries(options)).version, /^18/);

      const library = (await readdir(lib)).find((name) => /^libicui18n\.so\.\d+\.\d+$/.test(name));
      assert.ok(library !== undefined);
      await rm(join(lib, library));
      for (const find of [examineBinaries, locateBinaries]) {
        await assert.rejects(find(options), {
          code: 'ERR_POSTGRES_UNUSABLE',
          message: /shared library libicui18n\.so\S* is missing/,
          remedy: /^Install libicui18n/,
        });
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
