/** Signals to a whole database node: its server and every process of it. */
import assert from 'node:assert/strict';
import { signalTree } from '../../src/orchestrate/drivers/process-tree.ts';
import type { TestPlatform } from './cluster.ts';

export async function pidOf({ platform }: TestPlatform, name: string): Promise<number> {
  const { nodes } = await platform.status();
  const pid = nodes.find((node) => node.name === name)?.pid;
  assert.ok(pid, `${name} runs`);
  return pid;
}

/** Stops it without a word to anybody, as a hung machine or a cut cable would; returns the way back. */
export async function freeze(cluster: TestPlatform, name: string): Promise<() => void> {
  const pid = await pidOf(cluster, name);
  signalTree(pid, 'SIGSTOP');
  let frozen = true;
  return () => {
    if (frozen) signalTree(pid, 'SIGCONT');
    frozen = false;
  };
}
