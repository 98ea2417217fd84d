/** The last lines a process wrote, for the message that says why it could not be started. */
import { open, stat } from 'node:fs/promises';

const TAIL_BYTES = 4_096;
const LINES = 10;

/** The file's length now: what is written later belongs to the next process. */
export async function logLength(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

/** What was written after `from`, at most ten lines of it; '' when that cannot be read. */
export async function logTail(file: string, from: number): Promise<string> {
  let handle;
  try {
    handle = await open(file, 'r');
    const { size } = await handle.stat();
    const start = Math.max(from, size - TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read({
      buffer: Buffer.alloc(Math.max(0, size - start)),
      position: start,
    });
    const text = buffer.toString('utf8', 0, bytesRead).trimEnd();
    return text.split('\n').slice(-LINES).join('\n');
  } catch {
    return '';
  } finally {
    await handle?.close();
  }
}
