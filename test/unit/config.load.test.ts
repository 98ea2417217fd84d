/** From a file to a resolved configuration, through the real loader, and what it says when it cannot. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { importConfig, loadConfig } from '../../src/config/load.ts';
import { isMeridianError, MeridianError, type ErrorCode } from '../../src/kernel/errors.ts';

let folder: string;
before(async () => {
  // Inside the package, so that a configuration can import it by its own name.
  folder = await mkdtemp(join(import.meta.dirname, 'config-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const write = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, text);
  return path;
};
const declaration = `{ regions: { a: {} }, primaryRegion: 'a', tables: {} }`;
const refuses = (code: ErrorCode, says: RegExp) => (error: unknown) => {
  assert.ok(isMeridianError(error, code), String(error));
  assert.match(error.message, says);
  return true;
};

describe('loading', () => {
  test('finds the usual names in their order', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    await assert.rejects(loadConfig({ folder: empty }), refuses('ERR_CONFIG_NOT_FOUND', /empty/));
    const both = join(folder, 'both');
    await write('both/meridian.config.mjs', `throw new Error('the wrong one')`);
    await write('both/meridian.config.ts', `export default ${declaration};`);
    const config = await loadConfig({ folder: both });
    assert.equal(config.configFile, join(both, 'meridian.config.ts'));
    assert.equal(config.dataDirectory, join(both, '.meridian'));
  });

  test('takes the file named, and says when it is not there', async () => {
    await write('named.mjs', `export default ${declaration};`);
    const config = await loadConfig({ folder, file: 'named.mjs' });
    assert.equal(config.primaryRegion, 'a');
    const missing = loadConfig({ folder, file: 'nope.ts' });
    await assert.rejects(missing, refuses('ERR_CONFIG_NOT_FOUND', /nope\.ts/));
  });

  test('compiles TypeScript with its own imports, and leaves nothing behind', async (context) => {
    await write('parts/zones.ts', `export const here: string = import.meta.dirname;`);
    await write('parts/more.json', `{ "latitude": 1 }`);
    const file = await write(
      'typed.ts',
      `import { join } from 'node:path';
       import { here } from './parts/zones.ts';
       import more from './parts/more.json';
       interface Kept { readonly erased: true }
       const tables: Record<string, never> = {} satisfies object;
       export default (async () => ({
         regions: { a: { coordinates: { latitude: more.latitude, longitude: 0 } } },
         primaryRegion: 'a' as const, tables, migrations: join(here, 'sql'),
       }));`,
    );
    // A folder for temporary files that no other test uses.
    const temporary = join(folder, 'temporary');
    await mkdir(temporary);
    const usual = process.env['TMPDIR'];
    process.env['TMPDIR'] = temporary;
    context.after(() => {
      if (usual === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = usual;
    });
    const config = await loadConfig({ folder, file });
    assert.deepEqual(config.regions[0]?.coordinates, { latitude: 1, longitude: 0 });
    assert.equal(config.migrationsDirectory, join(folder, 'parts/sql'));
    assert.deepEqual(await readdir(temporary), []);
  });

  test('gives the file the same copy of this package as the program has', async () => {
    const file = await write(
      'own.ts',
      `import { defineConfig, MeridianError, regional } from 'meridian';
       export default defineConfig({ regions: { a: {} }, primaryRegion: 'a',
         tables: { t: regional({ by: 'id' }) }, app: { command: [MeridianError.name] } });
       export { MeridianError };`,
    );
    const config = await loadConfig({ folder, file });
    assert.deepEqual(config.tables, { t: { kind: 'regional', by: 'id' } });
    const thrower = await write(
      'own-error.ts',
      `import { MeridianError } from 'meridian';
       export default () => { throw new MeridianError('ERR_PORT_TAKEN', 'mine'); };`,
    );
    await assert.rejects(importConfig(thrower), MeridianError);
  });

  test('checks what was exported', async () => {
    const file = await write('none.ts', `export const config = ${declaration};`);
    await assert.rejects(
      loadConfig({ folder, file }),
      refuses('ERR_CONFIG_INVALID', /^none\.ts: .*export default.*found nothing/),
    );
  });

  test('names the line where the file throws', async () => {
    const throws = `const x: number = 1;\n\nexport default () => {\n  throw new Error('boo');\n};\n`;
    const file = await write('throws.ts', throws);
    const says = /^throws\.ts:4:9: boo$/;
    await assert.rejects(loadConfig({ folder, file }), refuses('ERR_CONFIG_LOAD', says));
    const inner = await write(
      'inner.mjs',
      `\nexport default await Promise.reject(new Error('x'));`,
    );
    const where = /^inner\.mjs:2:\d+: x$/;
    await assert.rejects(loadConfig({ folder, file: inner }), refuses('ERR_CONFIG_LOAD', where));
  });

  test('names the line of a slip in writing, and a package that is missing', async () => {
    const slip = await write('slip.ts', `\nexport default {{;`);
    await assert.rejects(
      loadConfig({ folder, file: slip }),
      refuses('ERR_CONFIG_LOAD', /^slip\.ts:2:17: /),
    );
    const missing = await write('missing.ts', `import 'no-such-package';\nexport default 1;`);
    await assert.rejects(
      loadConfig({ folder, file: missing }),
      refuses('ERR_CONFIG_LOAD', /^missing\.ts:1: .*no-such-package/),
    );
  });
});
