/** Machines that are down or frozen, and processes that hang: on real processes that only sleep. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { faultHost, type FaultHost, type Machines } from '../../src/chaos/host.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import type { HostedProcess } from '../../src/kernel/host.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';

const well: Machines = { down: new Map(), frozen: new Map() };
const down: Machines = { ...well, down: new Map([['one', 'f1']]) };
const frozen: Machines = { ...well, frozen: new Map([['one', 'f1']]) };

describe('a host with faults', { skip: process.platform !== 'linux' }, () => {
  let directory: string;
  let host: FaultHost;
  let started: HostedProcess[];
  let children: number[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'meridian-faults-'));
    host = faultHost(createLocalHost(seededRandom(1)), systemClock);
    started = [];
    children = [];
  });
  afterEach(async () => {
    host.releaseAll();
    for (const one of started) one.signalTree('SIGKILL');
    for (const pid of children) end(pid);
    await Promise.all(started.map((one) => one.exited));
    await rm(directory, { recursive: true, force: true });
  });

  /** A shell with a child in a session of its own, as PostgreSQL's backends are. */
  const start = async (name = 'one'): Promise<{ process: HostedProcess; pids: number[] }> => {
    const process = await host.spawn({
      name,
      command: '/bin/sh',
      args: ['-c', 'setsid sleep 600 & wait'],
      env: { PATH: '/usr/bin:/bin' },
      logFile: join(directory, 'log'),
    });
    started.push(process);
    const child = await waitUntil(
      systemClock,
      { what: 'its child', timeoutMs: 5_000 },
      async () => {
        const path = `/proc/${String(process.pid)}/task/${String(process.pid)}/children`;
        const pid = Number((await readFile(path, 'utf8')).trim().split(' ')[0]);
        const name = await readFile(`/proc/${String(pid)}/comm`, 'utf8').catch(() => '');
        return name.trim() === 'sleep' ? pid : undefined;
      },
    );
    children.push(child);
    return { process, pids: [process.pid, child] };
  };
  const states = (pids: readonly number[]): Promise<(string | undefined)[]> =>
    Promise.all(pids.map(stateOf));
  /** The kernel stops a process when it next runs; on a busy machine that takes a moment. */
  const stand = (pids: readonly number[]): Promise<true> =>
    waitUntil(systemClock, { what: 'them to stand still', timeoutMs: 5_000 }, async () => {
      return (await states(pids)).every((state) => state === 'T') || undefined;
    });
  const gone = (pids: readonly number[]): Promise<true> =>
    waitUntil(systemClock, { what: 'their end', timeoutMs: 5_000 }, async () => {
      return (await states(pids)).every((state) => state === undefined) || undefined;
    });

  test('down: all of it is killed and nothing starts, until it is well; others live', async () => {
    const { process, pids } = await start();
    const other = await start('other');
    await host.machinesAre(down);
    assert.equal(process.exit?.signal, 'SIGKILL');
    await gone(pids);
    assert.ok((await states(other.pids)).every((state) => state !== undefined));
    await assert.rejects(start(), { code: 'ERR_HOST_DOWN', message: /fault f1/ });
    await host.machinesAre(well);
    await start();
  });

  test('frozen: all of it stands still, obeys nobody, and obeys late when it goes on', async () => {
    const { process, pids } = await start();
    await host.machinesAre(frozen);
    await stand(pids);
    await assert.rejects(start(), { code: 'ERR_HOST_DOWN' });
    process.signalTree('SIGKILL');
    process.signal('SIGKILL');
    assert.equal(process.signalGroup('SIGKILL'), true, 'whoever asks learns nothing');
    await sleep(100);
    assert.deepEqual(await states(pids), ['T', 'T']);
    await host.machinesAre(well);
    assert.ok((await states(pids)).every((state) => state === 'S' || state === 'R'));
    await process.exited;
    await gone(pids);
  });

  test('hung: it stands still, and can be killed with all that hangs with it', async () => {
    const { process, pids } = await start();
    assert.equal(host.hang('one'), true);
    await stand(pids);
    const successor = await start();
    assert.ok((await states(successor.pids)).every((state) => state !== 'T'));
    process.signal('SIGKILL');
    await process.exited;
    await gone(pids);
    assert.equal(host.hangs('one'), false);
    assert.equal(host.hang('nobody'), false);
  });

  test('a process that hangs on a frozen machine goes on when both are undone', async () => {
    const { pids } = await start();
    host.hang('one');
    await stand(pids);
    await host.machinesAre(frozen);
    host.release('one');
    assert.deepEqual(await states(pids), ['T', 'T']);
    host.hang('one');
    await host.machinesAre(well);
    assert.deepEqual(await states(pids), ['T', 'T']);
    host.release('one');
    assert.ok(!(await states(pids)).includes('T'));
  });

  test('is asked in order unless it stands still', async () => {
    const { process } = await start();
    await host.machinesAre(frozen);
    assert.equal(host.ask('one', 'SIGTERM'), false);
    await host.machinesAre(well);
    assert.equal(host.ask('one', 'SIGTERM'), true);
    assert.equal((await process.exited).signal, 'SIGTERM');
  });

  test('lets everything go at once when all is about to end', async () => {
    const { process, pids } = await start();
    await host.machinesAre(frozen);
    host.releaseAll();
    assert.ok(!(await states(pids)).includes('T'));
    process.signalTree('SIGKILL');
    await process.exited;
  });
});

async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
  const state = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
  return state === '' || state === 'Z' || state === 'X' ? undefined : state;
}

/** One whose parent was ended without it. */
function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
