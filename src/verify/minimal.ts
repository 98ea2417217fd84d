/**
 * Cuts a history that shows a violation down to the few operations that show it, and prints those. The
 * effort is bounded: what is returned always shows the violation, and is the smallest that was found.
 */
import type { Action, History, ListStep, Operation } from './history.ts';

/** Does this part of the history still show it? Called with ascending indexes. */
export type Shows = (indexes: readonly number[]) => boolean;

/**
 * First the shortest prefix, by halving, then delta debugging: leave out ever smaller pieces until no
 * single operation can go. `indexes` itself must show the violation.
 */
export function shrink(
  indexes: readonly number[],
  shows: Shows,
  triesMax = 600,
): readonly number[] {
  let tries = 0;
  const attempt: Shows = (part) => {
    if (tries >= triesMax) return false;
    tries += 1;
    return shows(part);
  };
  let best = shortestPrefix(indexes, attempt);
  let size = Math.ceil(best.length / 2);
  while (size >= 1 && tries < triesMax) {
    const before = best.length;
    // From the end: what comes last depends on what came first, not the other way round.
    for (let end = best.length; end > 0; end -= size) {
      const rest = [...best.slice(0, Math.max(0, end - size)), ...best.slice(end)];
      if (attempt(rest)) best = rest;
    }
    if (size === 1 && best.length === before) break;
    size =
      size === 1 || best.length === before
        ? Math.floor(size / 2) || 1
        : Math.min(size, best.length);
  }
  return best;
}

function shortestPrefix(indexes: readonly number[], shows: Shows): readonly number[] {
  let [low, high] = [0, indexes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shows(indexes.slice(0, middle))) high = middle;
    else low = middle + 1;
  }
  return indexes.slice(0, high);
}

/** A table for the terminal, one line an operation; times count from the first of them. */
export function formatHistory(history: History, indexes: readonly number[]): string {
  const wanted = new Set(indexes);
  const operations = history.operations.filter(({ index }) => wanted.has(index));
  const origin = operations.reduce((least, op) => Math.min(least, op.startedAtMs), Infinity);
  const rows = operations.map((op) => [
    String(op.index),
    `${since(op.startedAtMs, origin)} – ${op.outcome === 'unknown' ? '?' : since(op.endedAtMs, origin)}`,
    op.client,
    formatAction(op.action),
    op.code === undefined ? op.outcome : `${op.outcome} ${op.code}`,
    op.node ?? '',
  ]);
  const table = [['#', 'ms', 'client', 'action', 'outcome', 'node'], ...rows];
  const widths = (table[0] ?? []).map((_, column) =>
    table.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  );
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const since = (atMs: number, originMs: number): string => (atMs - originMs).toFixed(1);

export function formatAction(action: Action): string {
  switch (action.kind) {
    case 'register-write':
      return `${action.register} := ${action.value}`;
    case 'register-read': {
      const { asked } = action;
      const how = asked.kind === 'bounded' ? `bounded ${asked.maxStalenessMs} ms` : asked.kind;
      return `${action.register} -> ${answer(action.value)} (${how})`;
    }
    case 'register-swap': {
      const said = action.swapped === undefined ? '?' : action.swapped ? 'swapped' : 'refused';
      return `${action.register}: ${answer(action.expected)} => ${action.value} ${said}`;
    }
    case 'list':
      return action.steps.map(formatStep).join(', ');
    case 'transfer': {
      const key = action.key === undefined ? '' : ` key ${action.key}`;
      return `${action.id}: ${action.amount} from ${action.from} to ${action.to}${key}`;
    }
    case 'balances': {
      const total = Object.values(action.balances ?? {}).reduce((sum, balance) => sum + balance, 0);
      return `balances of ${action.group}${action.balances === undefined ? '' : ` -> total ${total}`}`;
    }
    case 'insert':
      return `row ${action.id} for ${action.account}`;
  }
}

function formatStep(step: ListStep): string {
  if (step.kind === 'append') return `${step.key} += ${step.value}`;
  if (step.values === undefined) return `${step.key} -> ?`;
  const shown = step.values.slice(-8).join(' ');
  return `${step.key} -> [${step.values.length > 8 ? '… ' : ''}${shown}]`;
}

/** A value that was answered: null is "never written", undefined an answer that did not come. */
function answer(value: number | null | undefined): string {
  return value === undefined ? '?' : String(value);
}

/** The operations at these indexes, in their order. */
export function operationsAt(
  operations: readonly Operation[],
  indexes: readonly number[],
): Operation[] {
  const wanted = new Set(indexes);
  return operations.filter(({ index }) => wanted.has(index));
}
