/** Programmer errors: conditions that only a bug can break. They are thrown, never handled. */
import { MeridianError } from './errors.ts';

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new MeridianError('ERR_INTERNAL', `assertion failed: ${message}`);
}

/** The value, which a bug alone could have made absent. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) {
    throw new MeridianError('ERR_INTERNAL', `assertion failed: ${what} is missing`);
  }
  return value;
}

/** Closes a switch over a union: the compiler refuses a forgotten member. */
export function unreachable(value: never): never {
  throw new MeridianError('ERR_INTERNAL', `assertion failed: unexpected ${String(value)}`);
}
