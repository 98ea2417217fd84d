/** `meridian switchover`, `rebuild` and `recover` against a real control server, with operations on paper. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { OperationText } from '../../src/cli/operation-text.ts';
import { startControlServer, type ControlServer } from '../../src/control/feed-server.ts';
import type { OperationOptions, OperationRequest } from '../../src/control/operation.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { run } from './cli.rig.ts';

type Operate = (request: OperationRequest, options: OperationOptions) => Promise<void>;

const MIB = 1024 * 1024;

describe('operations', () => {
  let folder = '';
  let server: ControlServer;
  const asked: OperationRequest[] = [];
  let operate: Operate;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-operation-'));
    const config = `export default { regions: { us: {} }, primaryRegion: 'us', tables: {} };`;
    await writeFile(join(folder, 'meridian.config.mjs'), config);
    const unused = (): never => {
      throw new Error('not asked for');
    };
    server = await startControlServer({
      ...{ host: '127.0.0.1', port: 0, token: 'sesame', clock: systemClock, log: silentLog },
      ...{ hello: unused, view: unused, status: unused, activity: unused, restart: unused },
      operate: (request, options) => {
        asked.push(request);
        return operate(request, options);
      },
    });
    await mkdir(join(folder, '.meridian', 'run'), { recursive: true });
    const file = { url: server.url, token: 'sesame', pid: process.pid };
    await writeFile(join(folder, '.meridian', 'run', 'control.json'), JSON.stringify(file));
  });
  beforeEach(() => {
    asked.length = 0;
    operate = () => Promise.reject(new Error('not asked for'));
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const call = (...args: string[]): ReturnType<typeof run> => run(args, { cwd: folder });
  const rebuilding: Operate = (_request, { onEvent }) => {
    onEvent?.({ kind: 'begun', summary: 'clone us-1.b' });
    onEvent?.({ kind: 'phase', phase: 'copying', atMs: 120 });
    for (const doneBytes of [1, 13 * MIB, 25 * MIB]) {
      onEvent?.({ kind: 'progress', what: 'clone us-1.b', doneBytes, totalBytes: 25 * MIB });
    }
    onEvent?.({ kind: 'ended', summary: 'clone us-1.b', tookMs: 2_400 });
    return Promise.resolve();
  };

  test('each command asks for what its options say', async () => {
    operate = rebuilding;
    for (const args of [
      ['switchover', 'us-1'],
      ['switchover', 'us-1', '--to', 'us-1.b'],
      ['switchover', 'us-1', '--region', 'us', '--zone', 'b'],
      ['rebuild', 'us-1.b'],
      ['recover', 'us-1', '--accept-loss'],
      ['recover', 'us-1'],
      ['move', 'r0004', '--to', 'eu'],
      ['move', 'r0004', '--cancel'],
    ]) {
      const { code, err } = call(...args);
      assert.equal(await code, 0, err());
    }
    assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
      { kind: 'switchover', group: 'us-1' },
      { kind: 'switchover', group: 'us-1', to: 'us-1.b' },
      { kind: 'switchover', group: 'us-1', region: 'us', zone: 'b' },
      { kind: 'rebuild', node: 'us-1.b' },
      { kind: 'recover', group: 'us-1', acceptLoss: true },
      { kind: 'recover', group: 'us-1', acceptLoss: false },
      { kind: 'move', range: 'r0004', to: 'eu' },
      { kind: 'cancel-move', range: 'r0004' },
    ]);
  });

  test('shows phases, progress in bytes and the end; --json says it in lines', async () => {
    operate = rebuilding;
    const person = call('rebuild', 'us-1.b');
    assert.equal(await person.code, 0, person.err());
    assert.equal(
      person.out(),
      'To be done: clone us-1.b.\n  copying  after 120 ms\n' +
        '  clone us-1.b: 13.0 MiB of 25.0 MiB (52 %)\n' +
        '  clone us-1.b: 25.0 MiB of 25.0 MiB (100 %)\nDone in 2.4 s.\n',
    );
    const program = call('rebuild', 'us-1.b', '--json');
    assert.equal(await program.code, 0, program.err());
    const lines = program.out().trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ['begun', 'phase', 'progress', 'progress', 'progress', 'ended'],
    );
    assert.equal(told[3]?.['doneBytes'], 13 * MIB);
  });

  test('a refusal, and a failure half-way, are told with their remedy', async () => {
    operate = () =>
      Promise.reject(
        new MeridianError('ERR_OPERATION_REFUSED', 'the last 1.2 s would be lost', {
          remedy: 'Accept it.',
        }),
      );
    const refused = call('recover', 'us-1', '--json');
    assert.equal(await refused.code, 1);
    assert.match(refused.err(), /the last 1\.2 s would be lost\. Accept it\.$/m);
    const { error } = JSON.parse(refused.out()) as { error: { code: string } };
    assert.equal(error.code, 'ERR_OPERATION_REFUSED');
    operate = (_request, { onEvent }) => {
      onEvent?.({ kind: 'begun', summary: 'x' });
      return Promise.reject(new MeridianError('ERR_ENGINE_UNAVAILABLE', 'taken back'));
    };
    const failed = call('switchover', 'us-1');
    assert.equal(await failed.code, 1);
    assert.match(failed.err(), /taken back/);
    // A bug has no code of ours: the stream breaks off, and its log says why.
    operate = (_request, { onEvent }) => {
      onEvent?.({ kind: 'begun', summary: 'x' });
      return Promise.reject(new Error('bug'));
    };
    const broken = call('switchover', 'us-1', '--json');
    assert.equal(await broken.code, 1);
    assert.match(broken.out(), /ERR_CONTROL_UNAVAILABLE/);
    assert.doesNotMatch(broken.out() + broken.err(), /bug/);
  });

  test('Ctrl-C: says that the step goes on, and the supervisor notices that nobody watches', async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    let noticed = (): void => {};
    const gone = new Promise<void>((resolve) => (noticed = resolve));
    operate = async (_request, { onEvent, signal }) => {
      signal?.addEventListener('abort', () => {
        noticed();
      });
      onEvent?.({ kind: 'begun', summary: 'clone us-1.b' });
      await gate;
    };
    const interrupted = call('rebuild', 'us-1.b');
    await interrupted.sees('To be done');
    interrupted.interrupt();
    assert.equal(await interrupted.code, 130);
    assert.match(interrupted.err(), /the step under way goes on in the supervisor/);
    await gone;
    open();
  });

  test('usage: a group is named, and a leader in one way', async () => {
    for (const [args, says] of [
      [['switchover'], /missing required argument 'group'/],
      [['rebuild'], /missing required argument 'node'/],
      [['move', 'r0004'], /either --to says where, or --cancel ends the move/],
      [['move', 'r0004', '--to', 'eu', '--cancel'], /either --to says where/],
      [['switchover', 'us-1', '--to', 'us-1.b', '--zone', 'b'], /--to names the voter/],
    ] as const) {
      const { code, err } = call(...args);
      assert.equal(await code, 1);
      assert.match(err(), says);
    }
    assert.deepEqual(asked, []);
  });
});

test('progress is told in tenths, or in pieces while the whole is not known', () => {
  const text = new OperationText();
  const told = (what: string, doneBytes: number, totalBytes: number | null): boolean =>
    text.line({ kind: 'progress', what, doneBytes, totalBytes }) !== undefined;
  const tenths = Array.from({ length: 100 }, (_, index) => told('a', index + 1, 100));
  assert.equal(tenths.filter(Boolean).length, 10);
  assert.ok(told('a', 20, 100), 'it began anew');
  assert.ok(told('b', 10, 100), 'another step');
  assert.ok(!told('c', 15 * MIB, null));
  assert.ok(told('c', 16 * MIB, null));
  assert.ok(!told('c', 31 * MIB, null));
});
