/** The end of a process that starts others all the time leaves none of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { signalTree } from '../../src/orchestrate/drivers/process-tree.ts';

const ROUNDS = 8;

function running(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark);
    } catch {
      return false;
    }
  });
}

const linux = process.platform === 'linux';

for (let round = 1; round <= (linux ? ROUNDS : 0); round += 1) {
  test(`nothing is left, round ${String(round)} of ${String(ROUNDS)}`, async () => {
    // Bounded, so that a failure is not worse than what it shows.
    const mark = `97${String(process.pid)}${String(round)}`;
    const loop = `i=0; while [ $i -lt 400 ]; do sleep ${mark} & i=$((i+1)); done; wait`;
    const root = spawn('sh', ['-c', loop], { stdio: 'ignore' });
    const ended = once(root, 'exit');
    while (running(mark).length < 5) await new Promise((resolve) => setImmediate(resolve));
    signalTree(root.pid ?? 0, 'SIGKILL');
    await ended;
    const left = (): string[] => running(mark).filter((pid) => Number(pid) !== root.pid);
    for (let look = 0; look < 50 && left().length > 0; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const survivors = left();
    for (const pid of survivors) process.kill(Number(pid), 'SIGKILL');
    assert.deepEqual(survivors, []);
  });
}
