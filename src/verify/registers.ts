/**
 * A history cut by register: what was written, what was read, and what certainly did nothing. Values
 * are unique within a register, so that a value names its write; a register where they are not is
 * marked, and no checker pretends to have judged it.
 */
import type { Asked, History, Operation } from './history.ts';

/** A write, or a swap that changed the register, or one that may have. */
export interface Write {
  readonly operation: Operation;
  readonly value: number;
  /** What a swap found; a plain write has none. */
  readonly expected: number | null | undefined;
  readonly startMs: number;
  /** Infinite while the outcome is unknown: it may take effect at any time, or never. */
  readonly endMs: number;
}

export interface Read {
  /** None for the last read of all, after the load. */
  readonly operation: Operation | undefined;
  readonly asked: Asked;
  readonly value: number | null;
  readonly startMs: number;
  readonly endMs: number;
}

/** A swap that was answered with "not swapped": the register held something else than `expected`. */
export interface Refusal {
  readonly operation: Operation;
  readonly expected: number | null;
  readonly startMs: number;
  readonly endMs: number;
}

export interface RegisterLog {
  readonly register: string;
  readonly operations: readonly Operation[];
  readonly writes: readonly Write[];
  /** Attempts that certainly wrote nothing. */
  readonly undone: readonly Write[];
  readonly reads: readonly Read[];
  readonly refusals: readonly Refusal[];
  /** No two attempts wrote the same value. */
  readonly unique: boolean;
}

const STRONG: Asked = { kind: 'strong' };

export function isStrong(read: Read): boolean {
  return read.asked.kind === 'strong';
}

/** Every register that was used or is there at the end. */
export function registersOf(history: History): RegisterLog[] {
  const byRegister = new Map<string, Operation[]>(
    Object.keys(history.final.registers).map((register) => [register, []]),
  );
  for (const operation of history.operations) {
    if (!('register' in operation.action)) continue;
    const { register } = operation.action;
    const known = byRegister.get(register);
    if (known === undefined) byRegister.set(register, [operation]);
    else known.push(operation);
  }
  return [...byRegister].map(([register, operations]) =>
    registerLog(register, operations, history.final.registers[register] ?? null),
  );
}

/** `last` is the value at the end, or undefined to leave that read out. */
export function registerLog(
  register: string,
  operations: readonly Operation[],
  last: number | null | undefined,
): RegisterLog {
  const writes: Write[] = [];
  const undone: Write[] = [];
  const reads: Read[] = [];
  const refusals: Refusal[] = [];
  for (const operation of operations) {
    const { action, outcome, startedAtMs: startMs, endedAtMs: endMs } = operation;
    if (action.kind === 'register-read') {
      if (outcome !== 'ok' || action.value === undefined) continue;
      reads.push({ operation, asked: action.asked, value: action.value, startMs, endMs });
    } else if (action.kind === 'register-write' || action.kind === 'register-swap') {
      const swap = action.kind === 'register-swap' ? action : undefined;
      const refused = outcome === 'ok' && swap?.swapped === false;
      // An answered swap that does not say what it did is as good as unknown.
      const sure = outcome === 'ok' && (swap === undefined || swap.swapped === true);
      const write: Write = {
        operation,
        value: action.value,
        expected: swap?.expected,
        startMs,
        endMs: sure ? endMs : Infinity,
      };
      if (refused && swap !== undefined) {
        refusals.push({ operation, expected: swap.expected, startMs, endMs });
      }
      (refused || outcome === 'failed' ? undone : writes).push(write);
    }
  }
  if (last !== undefined) {
    const end = { startMs: Infinity, endMs: Infinity };
    reads.push({ operation: undefined, asked: STRONG, value: last, ...end });
  }
  const attempted = [...writes, ...undone].map(({ value }) => value);
  const unique = new Set(attempted).size === attempted.length;
  return { register, operations, writes, undone, reads, refusals, unique };
}

/** The operation's index as a list, which is empty for the last read. */
export function indexOf(...of: readonly { readonly operation: Operation | undefined }[]): number[] {
  return of.flatMap(({ operation }) => (operation === undefined ? [] : [operation.index]));
}
