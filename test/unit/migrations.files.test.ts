/** The migrations folder as it is on disk: what is read, what is refused. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { parseMigration, readMigrations } from '../../src/migrations/files.ts';

let root: string;
beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), 'meridian-files-')), 'migrations');
  await mkdir(root);
});
afterEach(() => rm(dirname(root), { recursive: true, force: true }));

const write = async (path: string, text = 'SELECT 1;'): Promise<void> => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
};
const refused = async (says: RegExp, remedy: RegExp): Promise<void> => {
  await assert.rejects(readMigrations(root), (error: unknown) => {
    assert.ok(isMeridianError(error, 'ERR_MIGRATION_INVALID'));
    assert.match(error.message, says);
    assert.match(error.remedy, remedy);
    return true;
  });
};

describe('reading migrations', () => {
  test('orders both scopes by name, and knows files by a path that means the same everywhere', async () => {
    await write('regional/0002_b.sql', 'SELECT 2; SELECT 3;');
    await write('regional/0001_a-b.sql');
    await write('database/0001_currencies.sql');
    await write('README.md', 'not SQL');
    await write('regional/notes.txt', 'not SQL');
    const { database, regional } = await readMigrations(root);
    assert.deepEqual(
      [...database, ...regional].map(({ scope, path, statements }) => [
        scope,
        path,
        statements.length,
      ]),
      [
        ['database', 'migrations/database/0001_currencies.sql', 1],
        ['regional', 'migrations/regional/0001_a-b.sql', 1],
        ['regional', 'migrations/regional/0002_b.sql', 2],
      ],
    );
    assert.equal(regional[1]?.name, '0002_b.sql');
  });

  test('takes missing scopes for empty ones, and refuses a missing folder', async () => {
    assert.deepEqual(await readMigrations(root), { database: [], regional: [] });
    await rm(root, { recursive: true });
    await refused(/no migrations folder/, /Create it/);
    await writeFile(root, 'a file');
    await refused(/cannot be read: ENOTDIR/, /folder/);
  });

  for (const name of ['1_x.sql', '0001-x.sql', '0001_X.sql', 'x.sql', '00001_x.sql']) {
    test(`refuses the name ${name}`, async () => {
      await write(`database/${name}`);
      await refused(/not named as a migration/, /0001_create_accounts\.sql/);
    });
  }

  test('refuses two files of one number, in one scope only', async () => {
    await write('database/0001_a.sql');
    await write('regional/0001_a.sql');
    await readMigrations(root);
    await write('regional/0001_b.sql');
    await refused(/regional\/0001_b\.sql and .*0001_a\.sql have the same number/, /next free/);
  });

  test('refuses what would silently never run', async () => {
    await write('region/0001_a.sql');
    await refused(/migrations\/region is neither/, /'regional'/);
    await rm(join(root, 'region'), { recursive: true });
    await write('0001_a.sql');
    await refused(/belongs to no scope/, /database\//);
  });

  test('names the line of a statement that cannot run', async () => {
    await write('regional/0001_a.sql', 'SELECT 1;\r\nCOMMIT;');
    await refused(/^migrations\/regional\/0001_a\.sql:2: COMMIT/, /one transaction/);
  });
});

test('a checksum is of the text, whatever its line ends and byte order mark', () => {
  const sum = (text: string): string =>
    parseMigration({ scope: 'regional', name: 'n', path: 'p' }, text).checksum;
  assert.equal(sum('SELECT 1;\nSELECT 2;\n'), sum('\uFEFFSELECT 1;\r\nSELECT 2;\r\n'));
  assert.notEqual(sum('SELECT 1;'), sum('SELECT 2;'));
  assert.match(sum(''), /^[0-9a-f]{64}$/);
});

describe('schema names that SQL tools write', () => {
  const texts = (text: string): string[] =>
    parseMigration({ scope: 'regional', name: '0000_a.sql', path: 'a' }, text).statements.map(
      (statement) => statement.text,
    );

  test('the default schema’s name is taken away, as tools write it and nowhere else', () => {
    assert.deepEqual(
      texts(`CREATE TYPE "public"."mood" AS ENUM('"public"."x"');--> statement-breakpoint
ALTER TABLE "a" ADD FOREIGN KEY ("b") REFERENCES "public"."b"("id"); -- "public"."c"
SELECT public.f(), "public" ."d", "public"."y";`),
      [
        `CREATE TYPE "mood" AS ENUM('"public"."x"')`,
        'ALTER TABLE "a" ADD FOREIGN KEY ("b") REFERENCES "b"("id")',
        'SELECT public.f(), "public" ."d", "y"',
      ],
    );
  });
});
