/** The bank's driver as a process of its own, under way: what it says each second, and its summary. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Summary } from '../../examples/bank/load/report.ts';
import type { Platform } from '../../src/platform.ts';

const DRIVER = join(import.meta.dirname, '..', '..', 'examples', 'bank', 'drive.js');

/** One second of the driver's own count. */
export interface Second {
  readonly atMs: number;
  readonly answered: number;
  readonly p99Ms: number;
  /** Since the beginning. */
  readonly errors: number;
}

export interface Load {
  readonly summary: Promise<Summary>;
  readonly seconds: Second[];
  /** Resolves when requests at the full rate are being answered. */
  readonly begun: Promise<void>;
  end(): void;
}

/** The driver's progress lines, as load/progress.ts writes them. */
function parseSecond(line: string): Omit<Second, 'atMs'> | undefined {
  const found = /^\s*\d+ s\s+(\d+) req\/s\s+p50\s+\S+ ms\s+p99\s+(\S+) ms.*errors (\d+)/.exec(line);
  if (found === null) return undefined;
  return { answered: Number(found[1]), p99Ms: Number(found[2]), errors: Number(found[3]) };
}

export function startLoad(
  platform: Platform,
  args: readonly string[],
  onLine: (line: string) => void,
): Load {
  const gateways = JSON.stringify(platform.gateways);
  const child = spawn(process.execPath, [DRIVER, ...args, '--json'], {
    env: { ...process.env, ...platform.env, MERIDIAN_GATEWAYS: gateways },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seconds: Second[] = [];
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  createInterface({ input: child.stderr }).on('line', (line) => {
    const second = parseSecond(line);
    if (second === undefined) {
      onLine(line);
      return;
    }
    if (second.errors > (seconds.at(-1)?.errors ?? 0)) onLine(line);
    seconds.push({ atMs: performance.now(), ...second });
    begin();
  });
  let last = '';
  createInterface({ input: child.stdout }).on('line', (line) => (last = line));
  const summary = new Promise<Summary>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      begin();
      try {
        resolve(JSON.parse(last) as Summary);
      } catch (cause) {
        reject(new Error(`the driver ended with ${String(code)} and said: ${last}`, { cause }));
      }
    });
  });
  return { summary, seconds, begun, end: () => child.kill('SIGINT') };
}
