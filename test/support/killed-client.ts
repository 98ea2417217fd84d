/** A client process that is killed in the middle of transfers, each at a step of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Phase } from '../../src/client/cross-group.ts';
import type { TestPlatform } from './cluster.ts';

const CHILD = join(import.meta.dirname, 'cross-group-child.js');

export type Step = Phase | 'paid' | 'half paid' | 'half finished';

export interface StoppedTransfer {
  readonly from: string;
  readonly to: string;
  /** A third account, in a group of its own. */
  readonly also?: string;
  /** An idempotency key, kept with the account `keyOf`; the answer is `answerOf` the process. */
  readonly key?: string;
  readonly keyOf?: string;
  /** Undefined: transfers again and again, and is killed wherever it is. */
  readonly stopAt?: Step;
}

/** Tells which process ran it. */
export function answerOf(from: string, pid: number | undefined): string {
  return `${from} by ${String(pid)}`;
}

/** The accounts, the one that has the key first. */
export function idsOf({ from, to, also, keyOf }: StoppedTransfer): string[] {
  const ids = [from, to, ...(also === undefined ? [] : [also])];
  return keyOf === undefined ? ids : [keyOf, ...ids.filter((id) => id !== keyOf)];
}

/** Kills it once each transfer has come to its step; gives its process id. */
export async function killAt(
  cluster: TestPlatform,
  transfers: readonly StoppedTransfer[],
): Promise<number | undefined> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(transfers)], {
    env: { ...process.env, ...cluster.platform.env, MERIDIAN_REGION: 'us-east' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const stopped = new Set<string>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const id of text.split('\n')) if (id !== '') stopped.add(id);
  });
  const wanted = transfers.filter(({ stopAt }) => stopAt !== undefined).length;
  const deadline = performance.now() + 30_000;
  while (stopped.size < wanted && child.exitCode === null && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  const missing = transfers.filter((one) => one.stopAt !== undefined && !stopped.has(one.from));
  assert.deepEqual(missing, [], 'each came to its step');
  return child.pid;
}
