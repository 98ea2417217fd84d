/** Lines of the access log, and the file they get into: bounds, rotation, a disk that fails. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { AccessLogFile, type AccessLogFileOptions } from '../../src/gateway/access-log-file.ts';
import { accessLog } from '../../src/gateway/access-log.ts';
import type { AccessLogOptions } from '../../src/gateway/options.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';

type Shown = Pick<AccessLogOptions, 'account' | 'clientAddress'>;

function line(url: string, options: Partial<Shown> = {}): Record<string, unknown> {
  const lines: string[] = [];
  const log = accessLog({
    options: { account: true, clientAddress: 'truncated', ...options },
    clock: systemClock,
    write: (text) => lines.push(text),
  });
  const entry = log.begin({ method: 'GET', url, socket: { remoteAddress: '203.0.113.7' } }, 'r-1');
  entry.account = 'alice';
  log.finish(entry, { headersSent: true, statusCode: 200, writableFinished: true });
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.indexOf('\n'), (lines[0]?.length ?? 0) - 1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

describe('a line', () => {
  test('says what happened, without queries, fragments and credentials in the target', () => {
    const { time, durationMs, ...said } = line(
      'http://user:secret@host/accounts/alice?token=secret',
    );
    assert.match(String(time), /^\d{4}-.*Z$/);
    assert.equal(typeof durationMs, 'number');
    assert.deepEqual(said, {
      requestId: 'r-1',
      method: 'GET',
      path: '/accounts/alice',
      status: 200,
      account: 'alice',
      client: '203.0.113.0/24',
      bytesIn: 0,
      bytesOut: 0,
    });
    assert.equal(line('/a#secret')['path'], '/a');
    assert.equal(line('*')['path'], '');
  });

  test('shows of client and account what is declared', () => {
    assert.equal(line('/', { clientAddress: 'full' })['client'], '203.0.113.7');
    assert.equal('client' in line('/', { clientAddress: 'none' }), false);
    assert.equal('account' in line('/', { account: false }), false);
  });

  test('is one line of JSON whatever the path is', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3_000 }), (text) => {
        const said = line(`/${text}`);
        assert.ok(String(said['path']).length <= 1_024);
        assert.doesNotMatch(String(said['path']), /[?#]/);
      }),
    );
  });
});

describe('the file', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-access-log-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  function openFile(name: string, options: Partial<AccessLogFileOptions> = {}): AccessLogFile {
    const defaults = { fileBytesMax: 1_000_000, filesMax: 2, clock: systemClock, log: silentLog };
    return new AccessLogFile({ file: join(folder, name), ...defaults, ...options });
  }
  const text = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');

  test('gets every line in order, the last ones at the end', async () => {
    const file = openFile('new/order');
    const wanted = Array.from({ length: 500 }, (_, index) => `${String(index)}\n`);
    for (const [index, one] of wanted.entries()) {
      file.write(one);
      if (index % 100 === 0) await file.flush();
    }
    await file.close();
    assert.equal(await text('new/order'), wanted.join(''));
    file.write('late\n');
    await file.close();
    assert.equal((await text('new/order')).includes('late'), false);
  });

  test('writes by itself after a moment', async () => {
    const file = openFile('alone');
    file.write('one\n');
    const deadline = Date.now() + 5_000;
    while ((await text('alone').catch(() => '')) === '' && Date.now() < deadline) {
      await systemClock.sleep(10);
    }
    assert.equal(await text('alone'), 'one\n');
    await file.close();
  });

  test('is renamed when it is full, and as many are kept as declared', async () => {
    const file = openFile('full', { fileBytesMax: 10 });
    for (const one of ['first--\n', 'second-\n', 'third--\n', 'fourth-\n']) {
      file.write(one);
      await file.flush();
    }
    await file.close();
    const names = (await readdir(folder)).filter((name) => name.startsWith('full')).toSorted();
    assert.deepEqual(names, ['full', 'full.1', 'full.2']);
    assert.deepEqual(await Promise.all(names.map(text)), ['fourth-\n', 'third--\n', 'second-\n']);
  });

  test('is opened anew after somebody else has renamed or removed it', async () => {
    const file = openFile('moved');
    file.write('one\n');
    await file.flush();
    await rename(join(folder, 'moved'), join(folder, 'moved.old'));
    file.write('two\n');
    await file.flush();
    await rm(join(folder, 'moved'));
    file.write('three\n');
    await file.close();
    assert.equal(await text('moved.old'), 'one\n');
    assert.equal(await text('moved'), 'three\n');
  });

  test('drops what does not fit into memory, and says how much', async () => {
    const file = openFile('slow', { waitingMax: 8 });
    for (const one of ['aaaa\n', 'bbbb\n', 'cccc\n']) file.write(one);
    await file.flush();
    file.write('dddd\n');
    await file.close();
    const [told = '', ...lines] = (await text('slow')).trim().split('\n');
    assert.equal((JSON.parse(told) as { dropped: number }).dropped, 2);
    assert.deepEqual(lines, ['aaaa', 'dddd']);
  });

  test('counts what a failing disk lost, and goes on when it works again', async () => {
    await writeFile(join(folder, 'blocked'), '');
    const file = openFile('blocked/log');
    file.write('one\n');
    file.write('two\n');
    await file.flush();
    await rm(join(folder, 'blocked'));
    file.write('three\n');
    await file.close();
    const [told = '', ...lines] = (await text('blocked/log')).trim().split('\n');
    assert.equal((JSON.parse(told) as { dropped: number }).dropped, 2);
    assert.deepEqual(lines, ['three']);
  });
});
