/** The durable store and the installation's lock: real files, real processes, real kills. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { lockHolder, lockInstallation, type InstallationLock } from '../../src/control/lock.ts';
import { identify, lives } from '../../src/control/process-identity.ts';
import { openControlStore, STORE_FILE } from '../../src/control/store.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError, type ErrorCode } from '../../src/kernel/errors.ts';

interface Document {
  readonly count: number;
  readonly padding?: string;
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meridian-control-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const fails = (code: ErrorCode, pattern: RegExp) => (error: unknown) => {
  assert.ok(isMeridianError(error, code), String(error));
  assert.match(error.message, pattern);
  assert.ok(error.remedy.length > 0);
  return true;
};

/** Runs a module's text in a process of its own; its first line of output says that it is ready. */
async function child(body: string): Promise<ChildProcess & { firstLine: string }> {
  const module = (name: string): string => new URL(`../../src/${name}.js`, import.meta.url).href;
  const text = `
    import { lockInstallation } from '${module('control/lock')}';
    import { openControlStore } from '${module('control/store')}';
    import { systemClock as clock } from '${module('kernel/clock')}';
    const directory = ${JSON.stringify(directory)};
    ${body}`;
  const process = spawn(globalThis.process.execPath, ['--input-type=module', '-e', text], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(process.stdout, 'data')) as [Buffer];
  return Object.assign(process, { firstLine: chunk.toString().split('\n')[0] ?? '' });
}

async function kill(process: ChildProcess): Promise<void> {
  const exited = once(process, 'exit');
  process.kill('SIGKILL');
  await exited;
}

describe('the control store', () => {
  const file = (): string => join(directory, STORE_FILE);

  test('reads nothing from a new directory, and what was written after that', async () => {
    const nested = join(directory, 'a', 'b');
    const store = await openControlStore<Document>(nested);
    assert.equal(store.read(), undefined);
    await store.write({ count: 1 });
    assert.deepEqual(store.read(), { count: 1 });
    assert.deepEqual((await openControlStore<Document>(nested)).read(), { count: 1 });
    assert.equal(statSync(join(nested, STORE_FILE)).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(nested), [STORE_FILE]);
  });

  test('writes one after the other, and updates lose nothing', async () => {
    const store = await openControlStore<Document>(directory);
    await store.write({ count: 0 });
    const increment = (): Promise<Document> =>
      store.update((current) => ({ count: (current?.count ?? 0) + 1 }));
    await Promise.all(Array.from({ length: 50 }, increment));
    assert.equal(store.read()?.count, 50);
    assert.equal((await openControlStore<Document>(directory)).read()?.count, 50);
  });

  test('takes a document as it is when written', async () => {
    const store = await openControlStore<{ list: number[] }>(directory);
    const mine = { list: [1] };
    const written = store.write(mine);
    mine.list.push(2);
    await written;
    assert.deepEqual(store.read(), { list: [1] });
  });

  test('goes on after a write that failed, from the document that stands', async () => {
    const store = await openControlStore<Document>(directory);
    await store.write({ count: 1 });
    const obstacle = `${file()}.new`;
    mkdirSync(obstacle);
    const failed = store.write({ count: 2 });
    await assert.rejects(failed, fails('ERR_DATA_DIRECTORY', /control\.json/));
    assert.deepEqual(store.read(), { count: 1 });
    rmSync(obstacle, { recursive: true });
    await assert.rejects(
      store.update(() => {
        throw new Error('planted');
      }),
      /planted/,
    );
    await store.write({ count: 3 });
    assert.deepEqual((await openControlStore<Document>(directory)).read(), { count: 3 });
  });

  test('has the old document after a crash between temporary file and rename', async () => {
    const store = await openControlStore<Document>(directory);
    await store.write({ count: 1 });
    const whole = readFileSync(file(), 'utf8');
    writeFileSync(`${file()}.new`, whole.replace('"count":1', '"count":2'));
    assert.deepEqual((await openControlStore<Document>(directory)).read(), { count: 1 });
    assert.deepEqual(readdirSync(directory), [STORE_FILE]);
  });

  test('is whole after its writer was killed at any moment, and keeps what was acknowledged', async () => {
    for (const delay of [5, 40, 110]) {
      const writer = await child(`
        const store = await openControlStore(directory);
        const padding = 'x'.repeat(300_000);
        for (let count = (store.read()?.count ?? 0) + 1; ; count += 1) {
          await store.write({ count, padding });
          process.stdout.write(count + '\\n');
        }`);
      let output = writer.firstLine + '\n';
      writer.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
      await systemClock.sleep(delay);
      await kill(writer);
      const acknowledged = Number(output.trimEnd().split('\n').at(-1));
      const found = (await openControlStore<Document>(directory)).read();
      assert.ok(found !== undefined && found.count >= acknowledged && acknowledged > 0);
      assert.equal(found.padding?.length, 300_000);
    }
  });

  test('refuses a file that was cut short or changed, with a remedy', async () => {
    const store = await openControlStore<Document>(directory);
    await store.write({ count: 1234 });
    const whole = readFileSync(file(), 'utf8');
    const damages = [
      ...Array.from({ length: whole.length - 1 }, (_, length) => whole.slice(0, length)),
      whole.replace('1234', '1235'),
      'null',
      '{"format":1}',
    ];
    for (const text of damages) {
      writeFileSync(file(), text);
      await assert.rejects(
        openControlStore(directory),
        fails('ERR_DATA_DIRECTORY', /damaged/),
        JSON.stringify(text),
      );
    }
    writeFileSync(file(), '{"format":2}');
    await assert.rejects(openControlStore(directory), fails('ERR_DATA_VERSION', /format 2/));
    writeFileSync(file(), whole);
    assert.deepEqual((await openControlStore<Document>(directory)).read(), { count: 1234 });
  });

  test('names a directory that it cannot use', async () => {
    writeFileSync(join(directory, 'file'), '');
    const below = join(directory, 'file', 'data');
    await assert.rejects(openControlStore(below), fails('ERR_DATA_DIRECTORY', /file/));
    await assert.rejects(
      lockInstallation(below, { clock: systemClock }),
      fails('ERR_DATA_DIRECTORY', /file/),
    );
    // Permissions do not bind root.
    if (process.getuid?.() === 0) return;
    chmodSync(directory, 0o500);
    await assert.rejects(openControlStore(join(directory, 'x')), fails('ERR_DATA_DIRECTORY', /x/));
    chmodSync(directory, 0o700);
  });
});

describe('the lock of an installation', () => {
  const lock = (): Promise<InstallationLock> => lockInstallation(directory, { clock: systemClock });
  const holderText = `
    const held = await lockInstallation(directory, { clock }).catch((error) => error);
    process.stdout.write((held.code ?? 'held') + '\\n');
    process.stdin.resume();
    process.stdin.on('end', async () => { await held[Symbol.asyncDispose]?.(); process.exit(0); });`;

  test('is exclusive, names its holder, and is free after release', async () => {
    assert.equal(await lockHolder(directory), undefined);
    const held = await lock();
    assert.equal(await lockHolder(directory), process.pid);
    await assert.rejects(lock(), fails('ERR_ALREADY_RUNNING', new RegExp(String(process.pid))));
    await held[Symbol.asyncDispose]();
    await held[Symbol.asyncDispose]();
    assert.equal(await lockHolder(directory), undefined);
    assert.deepEqual(readdirSync(join(directory, 'lock')), []);
    await (await lock())[Symbol.asyncDispose]();
  });

  test('is held against other processes, and taken over from one that was killed', async () => {
    const holder = await child(holderText);
    assert.equal(holder.firstLine, 'held');
    await assert.rejects(lock(), fails('ERR_ALREADY_RUNNING', new RegExp(String(holder.pid))));
    await kill(holder);
    await using held = await lock();
    assert.equal(await lockHolder(directory), held.pid);
    assert.equal(readdirSync(join(directory, 'lock')).length, 2, 'nothing of the dead is left');
  });

  test('goes to exactly one of many that find a dead holder at once', async () => {
    await kill(await child(holderText));
    const contenders = await Promise.all(Array.from({ length: 5 }, () => child(holderText)));
    const winners = contenders.filter(({ firstLine }) => firstLine === 'held');
    assert.equal(winners.length, 1, contenders.map(({ firstLine }) => firstLine).join());
    await Promise.all(
      contenders.map(async (contender) => {
        const exited = once(contender, 'exit');
        contender.stdin?.end();
        await exited;
      }),
    );
    assert.deepEqual(readdirSync(join(directory, 'lock')), []);
  });

  test('goes to exactly one of many that start at once in every order', async () => {
    for (let round = 0; round < 10; round += 1) {
      const results = await Promise.allSettled(Array.from({ length: 6 }, lock));
      const held = results.filter((result) => result.status === 'fulfilled');
      assert.equal(held.length, 1);
      await held[0]?.value[Symbol.asyncDispose]();
    }
  });

  test(
    'is not confused by a number that another process has now',
    { skip: process.platform !== 'linux' },
    async () => {
      const folder = join(directory, 'lock');
      mkdirSync(folder);
      const identity = { pid: process.ppid, started: '1@an-earlier-boot' };
      writeFileSync(join(folder, `${String(process.ppid)}-00.claim`), JSON.stringify(identity));
      writeFileSync(join(folder, `${String(process.ppid)}-00.held`), '');
      assert.equal(await lockHolder(directory), undefined);
      await using held = await lock();
      assert.equal(held.pid, process.pid);
    },
  );

  test('survives leftovers of a crash while it was taken', async () => {
    const dead = await child(`process.stdout.write('x\\n'); process.stdin.resume();`);
    await kill(dead);
    const folder = join(directory, 'lock');
    mkdirSync(folder);
    writeFileSync(join(folder, `${String(dead.pid)}-01.new`), '{"pi');
    writeFileSync(join(folder, `${String(dead.pid)}-02.claim`), '');
    writeFileSync(join(folder, `${String(dead.pid)}-03.held`), '');
    writeFileSync(join(folder, 'notes.txt'), 'somebody was here');
    await using held = await lock();
    assert.equal(await lockHolder(directory), held.pid);
    assert.equal(readdirSync(folder).length, 3);
  });
});

describe('the identity of a process', { skip: process.platform !== 'linux' }, () => {
  test('is the process and not its number', async () => {
    const own = await identify(process.pid);
    assert.ok(own?.started !== undefined);
    assert.equal(await lives(own), true);
    assert.equal(await lives({ ...own, started: '1@other' }), false);
    assert.equal(await lives({ pid: own.pid, started: undefined }), true, 'when in doubt, yes');
    assert.equal(await identify(2 ** 30), undefined);
  });

  test('is none for a process that ended and was not reaped', async () => {
    // The shell's place is taken by a program that knows nothing of the shell's child.
    const parent = spawn('sh', ['-c', 'sleep 0.02 & echo $!; exec sleep 30']);
    const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(chunk.toString());
    const stat = (): string => readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    while (!stat().includes(') Z ')) await systemClock.sleep(5);
    assert.equal(await identify(pid), undefined);
    await kill(parent);
  });
});
