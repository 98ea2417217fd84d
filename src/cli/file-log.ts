/**
 * Appends log lines to a file, opening it for each: the folder may be discarded by `--fresh` while we
 * run, and a log must never be the reason that something fails.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../kernel/clock.ts';
import { createLog, type Log, type LogLevel } from '../kernel/log.ts';

export function createFileLog(options: {
  readonly file: string;
  readonly level: LogLevel;
  readonly clock: Clock;
}): Log {
  const append = (line: string): void => {
    appendFileSync(options.file, line, { mode: 0o600 });
  };
  return createLog({
    clock: options.clock,
    level: options.level,
    write: (line) => {
      try {
        append(line);
      } catch {
        try {
          mkdirSync(dirname(options.file), { recursive: true });
          append(line);
        } catch {
          // The platform itself tells of a folder it cannot write to.
        }
      }
    },
  });
}
