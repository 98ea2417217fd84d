/** Processes of an earlier run: ours are ended, a stranger that was given the number is spared. */
import { describe, test, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostedProcess } from '../../src/kernel/host.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';
import { endStrays, forgetProcesses, recordedHost } from '../../src/orchestrate/strays.ts';

const STUBBORN = `process.on('SIGTERM', () => {}); `;

interface Rig {
  readonly file: string;
  start(name: string, program?: string): Promise<HostedProcess>;
  end(how?: (name: string) => NodeJS.Signals | 'keep', graceFactor?: number): Promise<number>;
}

async function rig(context: TestContext): Promise<Rig> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-strays-'));
  const file = join(directory, 'processes.jsonl');
  const host = recordedHost(createLocalHost(seededRandom(1)), file);
  const started: HostedProcess[] = [];
  context.after(async () => {
    for (const process of started) process.signal('SIGKILL');
    await Promise.all(started.map((process) => process.exited));
    await rm(directory, { recursive: true });
  });
  return {
    file,
    start: async (name, program = '') => {
      const ready = join(directory, `${name}.ready`);
      const process = await host.spawn({
        ...{ name, command: globalThis.process.execPath, env: {}, logFile: join(directory, 'log') },
        args: [
          '-e',
          `${program} require('node:fs').writeFileSync(process.argv[1], ''); setInterval(() => {}, 1e6)`,
          ready,
        ],
      });
      started.push(process);
      const deadline = Date.now() + 10_000;
      for (let there = false; !there && Date.now() < deadline;) {
        there = await readFile(ready).then(
          () => true,
          () => false,
        );
      }
      return process;
    },
    end: (how = () => 'SIGTERM', graceFactor = 1) =>
      endStrays(file, {
        ...{ how, log: silentLog },
        clock: {
          ...systemClock,
          monotonicMs: () => systemClock.monotonicMs() * graceFactor,
        },
      }),
  };
}

/** Changes the record of the only process in it. */
async function rewrite(file: string, change: object): Promise<void> {
  const line = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, `${JSON.stringify({ ...line, ...change })}\n`);
}

describe('processes of an earlier run', { skip: process.platform !== 'linux' }, () => {
  test('that a fault left standing still go on, and then obey', async (context) => {
    const { start, end } = await rig(context);
    const [stray, kept] = [await start('gateway'), await start('database')];
    for (const one of [stray, kept]) one.signalTree('SIGSTOP');
    await end((name) => (name === 'database' ? 'keep' : 'SIGTERM'));
    assert.equal((await stray.exited).signal, 'SIGTERM');
    kept.signal('SIGTERM');
    assert.equal((await kept.exited).signal, 'SIGTERM');
  });

  test('that are still the same are asked to end, and are gone afterwards', async (context) => {
    const { file, start, end } = await rig(context);
    const stray = await start('gateway');
    assert.equal(await end(), 1);
    assert.deepEqual(await stray.exited, { code: null, signal: 'SIGTERM' });
    assert.equal(await readFile(file, 'utf8'), '', 'the record is empty');
    assert.equal(await end(), 0);
  });

  test('whose number another process has now are spared', async (context) => {
    const { file, start, end } = await rig(context);
    const stranger = await start('gateway');
    await rewrite(file, { started: '1@another-boot' });
    assert.equal(await end(), 0);
    assert.equal(stranger.exit, undefined);
  });

  test('of which only the number is known are spared: it proves nothing', async (context) => {
    const { file, start, end } = await rig(context);
    const stranger = await start('gateway');
    await rewrite(file, { started: undefined });
    assert.equal(await end(), 0);
    assert.equal(stranger.exit, undefined);
  });

  test('that do not listen are killed, and waited for', async (context) => {
    const { start, end } = await rig(context);
    const stray = await start('gateway', STUBBORN);
    assert.equal(await end(() => 'SIGTERM', 10), 1);
    assert.equal((await stray.exited).signal, 'SIGKILL');
  });

  test('that another part ends itself are left to it', async (context) => {
    const { start, end } = await rig(context);
    const [database, gateway] = [await start('us-east-1.a'), await start('gateway')];
    assert.equal(await end((name) => (name === 'gateway' ? 'SIGTERM' : 'keep')), 1);
    assert.equal((await gateway.exited).signal, 'SIGTERM');
    assert.equal(database.exit, undefined);
  });

  test('are found behind a line that a crash cut short; a missing record names none', async (context) => {
    const { file, start, end } = await rig(context);
    const stray = await start('gateway');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, `null\n{"pid":1,"name":"init","started":"x"}\n${whole}{"name":"wan","pi`);
    assert.equal(await end(), 1);
    await stray.exited;
    await forgetProcesses(file);
    await forgetProcesses(file);
    assert.equal(await end(), 0);
  });
});
