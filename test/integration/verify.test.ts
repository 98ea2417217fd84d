/**
 * `meridian verify` from the outside: a short run with crashes is clean and covers what it should, what is
 * to be kept is kept, and an interrupted run leaves nothing.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { present } from '../../src/kernel/assert.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { startPlatform } from '../../src/platform.ts';
import type { Platform, StartPlatform } from '../../src/platform-api.ts';
import type { VerifyReport } from '../../src/verify/report.ts';
import { serversOf } from '../../src/verify/servers.ts';
import { runningProcesses, type Running } from '../support/processes.ts';
import { run } from '../unit/cli.rig.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.js');
/** On a busy machine. */
const START_MS = 90_000;

type Told = VerifyReport & { readonly clean: boolean; readonly reason?: string };

const verifyFolders = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('meridian-verify-'));

describe('meridian verify', () => {
  let cwd: string;
  before(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'meridian-cwd-'));
  });
  after(() => rm(cwd, { recursive: true, force: true }));

  test('a run with crashes is clean, and every checker had something to look at', async () => {
    const args = 'verify --seconds 12 --faults crash --seed 1 --layout zone --json'.split(' ');
    const verified = run(args, { cwd, startPlatform });
    const code = await verified.code;
    const told = JSON.parse(verified.out()) as Told;
    assert.equal(code, 0, `${verified.err()}${told.reason ?? ''}`);
    assert.equal(told.clean, true);
    assert.ok(told.injected.length >= 2, 'faults were injected');
    assert.ok(
      told.injected.some(({ struck }) => struck.length > 0),
      'a leader was struck',
    );
    assert.deepEqual(told.failedMoves, []);
    assert.ok(told.operations > 100, `${String(told.operations)} operations`);
    for (const { name, ok } of told.workloads) assert.ok(ok > 0, `${name}: ${String(ok)} ok`);
    assert.equal(told.pauses.length, 3);
    assert.ok(told.verdicts.length >= 8);
    assert.equal(told.kept, undefined);
  });

  test('its last line says what its exit code says, and what is to be kept is kept', async () => {
    const folder = join(cwd, 'kept');
    const args = 'verify --seconds 1 --faults none --scale 0.1 --keep'.split(' ');
    const verified = run([...args, folder], { cwd, startPlatform });
    // Whether a second is enough for every checker is the machine's business; the end is told anyway.
    const code = await verified.code;
    const last = verified.out().trimEnd().split('\n').at(-1);
    assert.equal(last === 'clean', code === 0);
    const history = JSON.parse(await readFile(join(folder, 'history.json'), 'utf8')) as {
      operations: unknown[];
    };
    assert.notEqual(history.operations.length, 0);
    assert.equal(await readFile(join(folder, 'report.txt'), 'utf8'), verified.out());
  });

  test('a row that is lost behind its back is missed, told, and explained', async () => {
    const losing: StartPlatform = async (config, options) => {
      const platform = await startPlatform(config, options);
      const servers = await serversOf(platform, config.dataDirectory);
      const heal = async (id?: string): ReturnType<Platform['chaos']['heal']> => {
        const lost = await Promise.all(
          // Accounts are spread over the ranges of their region.
          ['r0001', 'r0004'].map((range) =>
            servers.query(
              'us-east-1.a',
              `DELETE FROM ${range}.inserted WHERE id = (SELECT min(id) FROM ${range}.inserted)
               RETURNING id`,
            ),
          ),
        );
        assert.notEqual(lost.flat().length, 0);
        return platform.chaos.heal(id);
      };
      const chaos = { inject: platform.chaos.inject, faults: platform.chaos.faults, heal };
      return { ...platform, chaos };
    };
    const folder = join(cwd, 'lost');
    const args = `verify --seconds 4 --faults none --scale 0.25 --keep ${folder}`.split(' ');
    const verified = run(args, { cwd, startPlatform: losing });
    assert.equal(await verified.code, 1);
    assert.match(verified.out(), /BROKEN acknowledged-writes/);
    assert.match(verified.out(), /\d+ violations?: acknowledged-writes\n$/);
    assert.match(verified.out(), /History and logs: .*lost/);
  });

  test('told twice to end while it starts, it leaves no server', async () => {
    const args = [PROGRAM, 'verify', ...'--seconds 60 --faults none'.split(' ')];
    const child = spawn(process.execPath, args, {
      stdio: 'ignore',
      env: { ...process.env, TMPDIR: cwd },
    });
    const ended = once(child, 'exit');
    // Servers of another account cannot be below a folder of ours: then they are elsewhere, by another name.
    const before = new Set((await runningProcesses()).map(({ args }) => args));
    const servers = async (): Promise<readonly Running[]> =>
      (await runningProcesses()).filter(
        ({ args }) => / -D \S+\/data( |$)/.test(args) && !before.has(args),
      );
    const some = await waitUntil(
      systemClock,
      { what: 'servers', timeoutMs: START_MS },
      async () => {
        const all = (await servers()).filter(({ args }) => !args.includes('initdb'));
        return all.length > 3 ? all : undefined;
      },
    );
    // One that stands still does not stop in order.
    process.kill(present(some[0], 'a server').pid, 'SIGSTOP');
    child.kill('SIGINT');
    // One key pressed once may come twice.
    await systemClock.sleep(600);
    child.kill('SIGINT');
    assert.equal((await ended)[0], 130);
    await waitUntil(systemClock, { what: 'no server', timeoutMs: 5_000 }, async () =>
      (await servers()).length === 0 ? true : undefined,
    );
  });

  test('interrupted, it stops in order and leaves nothing', async () => {
    const before = await verifyFolders();
    const verified = run('verify --seconds 60 --faults none'.split(' '), { cwd, startPlatform });
    await waitUntil(systemClock, { what: 'load', timeoutMs: START_MS }, () =>
      verified.err().includes(' operations, 0 faults') ? true : undefined,
    );
    verified.interrupt();
    assert.equal(await verified.code, 130);
    assert.deepEqual(verified.exits, []);
    assert.deepEqual(await verifyFolders(), before);
  });
});
