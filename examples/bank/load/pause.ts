/** Lets a test act between load and verification: makes a file, and waits until it is removed. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MAX_MS = 600_000;
const POLL_MS = 50;

export async function pauseUntilRemoved(file: string): Promise<void> {
  await writeFile(file, '');
  const deadline = performance.now() + PAUSE_MAX_MS;
  while (existsSync(file)) {
    if (performance.now() > deadline) throw new Error(`${file} was not removed in time`);
    await sleep(POLL_MS);
  }
}
