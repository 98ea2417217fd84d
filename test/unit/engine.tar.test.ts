/** Archives as servers send them, cut anywhere, and archives that no server of ours would send. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  isTarEntry,
  readTar,
  safePath,
  type TarEntry,
} from '../../src/engines/postgres/backup/tar.ts';
import { unpackTar } from '../../src/engines/postgres/backup/unpack.ts';

const END = Buffer.alloc(1024);

interface Made {
  readonly name: string;
  readonly body?: Buffer;
  readonly type?: string;
  readonly mode?: number;
  /** Instead of the body's own length. */
  readonly size?: Buffer;
}

function entry({ name, body = Buffer.alloc(0), type = '0', mode = 0o600, size }: Made): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  (size ?? Buffer.from(`${body.length.toString(8).padStart(11, '0')}\0`)).copy(header, 124);
  header.write(type, 156);
  header.write('ustar\0', 257);
  return summed(Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]));
}

function summed(whole: Buffer): Buffer {
  whole.fill(' ', 148, 156);
  const sum = whole.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  whole.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return whole;
}

async function* pieces(bytes: Buffer, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const length of lengths) {
    await Promise.resolve();
    yield bytes.subarray(at, at + length);
    at += length;
  }
  yield bytes.subarray(at);
}

async function read(bytes: Buffer, lengths: readonly number[] = []): Promise<unknown[]> {
  const found: { entry: TarEntry; body: Buffer }[] = [];
  for await (const part of readTar(pieces(bytes, lengths))) {
    const last = found.at(-1);
    if (isTarEntry(part)) found.push({ entry: part, body: Buffer.alloc(0) });
    else if (last !== undefined) last.body = Buffer.concat([last.body, part]);
  }
  return found.map(({ entry: { path, kind }, body }) => [path, kind, body.toString('hex')]);
}

const refused = { code: 'ERR_ENGINE_UNAVAILABLE', message: /not sound/ };

describe('reading a tar archive', () => {
  const files = fc.array(
    fc.record({
      name: fc.stringMatching(/^[a-z0-9_]{1,20}(\/[a-z0-9_.]{0,20}[a-z]){0,3}$/),
      body: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 5 },
  );

  test('what was packed comes out, wherever the pieces are cut', async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.array(fc.nat(1_500), { maxLength: 20 }), async (made, cuts) => {
        const whole = Buffer.concat([...made.map(entry), END]);
        assert.deepEqual(
          await read(whole, cuts),
          made.map(({ name, body }) => [name, 'file', body.toString('hex')]),
        );
      }),
    );
  });

  test('cut short anywhere before its end, it is refused', async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.double({ min: 0, max: 1, noNaN: true }), async (made, part) => {
        const whole = Buffer.concat(made.map(entry));
        const cut = Math.floor(part * (whole.length + 511));
        await assert.rejects(read(Buffer.concat([whole, END]).subarray(0, cut)), refused);
      }),
    );
  });

  test('any one byte of a header changed is refused', async () => {
    const whole = Buffer.concat([entry({ name: 'base/1/2', body: Buffer.from('rows') }), END]);
    await fc.assert(
      fc.asyncProperty(fc.nat(511), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        // Within the sum's own field, another writing of the same number may be right.
        fc.pre(at < 148 || at >= 156);
        const bent = Buffer.from(whole);
        bent[at] = (bent[at] ?? 0) ^ by;
        await assert.rejects(read(bent), refused);
      }),
    );
  });

  test('random bytes never do anything but fail', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), async (bytes) => {
        fc.pre(bytes.some((byte) => byte !== 0));
        await assert.rejects(read(Buffer.from(bytes)), refused);
      }),
    );
  });

  test('sizes in base 256', async () => {
    const size = Buffer.alloc(12);
    size[0] = 0x80;
    size[11] = 4;
    const body = Buffer.from('rows');
    const whole = Buffer.concat([entry({ name: 'a', body, size }), END]);
    assert.deepEqual(await read(whole), [['a', 'file', body.toString('hex')]]);
    for (const bad of [
      Buffer.alloc(12, 0xff),
      Buffer.from('0000000000x\0'),
      Buffer.from('-0000000001\0'),
    ]) {
      await assert.rejects(read(Buffer.concat([entry({ name: 'a', size: bad }), END])), refused);
    }
  });

  test('names that lead elsewhere', async () => {
    const names = [
      '../x',
      '/etc/x',
      'a/../../x',
      '..',
      '.',
      '',
      'a//b',
      '././a',
      './../a',
      './/a',
      './',
      'a/.',
      'a/..',
      '/',
    ];
    for (const name of names) {
      assert.throws(() => safePath(name), refused, JSON.stringify(name));
      for (const type of ['0', '5']) {
        await assert.rejects(read(Buffer.concat([entry({ name, type }), END])), refused);
      }
    }
    // The prefix of a long name is looked at as well.
    const prefixed = entry({ name: 'x' });
    prefixed.write('../..', 345);
    await assert.rejects(read(Buffer.concat([summed(prefixed), END])), refused);
    assert.equal(safePath('base/1/..x'), 'base/1/..x');
    assert.equal(safePath('pg_wal/'), 'pg_wal');
    assert.equal(safePath('./pg_wal/summaries/'), 'pg_wal/summaries');
  });

  test('links, devices, and extended headers', async () => {
    for (const type of ['1', '2', '3', '4', '6', '7', 'x', 'g', 'L', 'K', 'S']) {
      await assert.rejects(read(Buffer.concat([entry({ name: 'a', type }), END])), refused);
    }
  });

  test('anything after the end', async () => {
    await assert.rejects(read(Buffer.concat([END, entry({ name: 'a' })])), refused);
    assert.deepEqual(await read(Buffer.concat([END, END])), []);
  });
});

describe('unpacking', () => {
  test('writes below its directory, once each, for the owner alone', async () => {
    const root = await mkdtemp(join(tmpdir(), 'meridian-tar-'));
    try {
      const directory = join(root, 'target');
      const account = { user: undefined };
      await mkdir(directory);
      const whole = Buffer.concat([
        entry({ name: 'base/', type: '5', mode: 0o777 }),
        entry({ name: 'base/1', body: Buffer.from('rows'), mode: 0o6777 }),
        END,
      ]);
      await unpackTar(pieces(whole, [700]), { directory, account });
      assert.equal(await readFile(join(directory, 'base/1'), 'utf8'), 'rows');
      assert.equal((await lstat(join(directory, 'base/1'))).mode & 0o7777, 0o700);
      assert.equal((await lstat(join(directory, 'base'))).mode & 0o7777, 0o700);

      const again = unpackTar(pieces(whole, []), { directory, account });
      await assert.rejects(again, { code: 'ERR_DATA_DIRECTORY' });

      // Also not through a link that is there already.
      await writeFile(join(root, 'outside'), 'as it was');
      await symlink(join(root, 'outside'), join(directory, 'link'));
      const through = Buffer.concat([entry({ name: 'link', body: Buffer.from('new') }), END]);
      await assert.rejects(unpackTar(pieces(through, []), { directory, account }), {
        code: 'ERR_DATA_DIRECTORY',
      });
      assert.equal(await readFile(join(root, 'outside'), 'utf8'), 'as it was');

      const up = Buffer.concat([entry({ name: '../x', body: Buffer.from('new') }), END]);
      await assert.rejects(unpackTar(pieces(up, []), { directory, account }), refused);
      assert.deepEqual((await readdir(root)).sort(), ['outside', 'target']);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
});
