/** How commands speak: aligned tables for people, one JSON line for machines. Pure text. */
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { CliIo } from './io.ts';

export interface Column<Item> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly text: (item: Item) => string;
}

/** Aligned columns, two spaces apart, no space at line ends. */
export function formatTable<Item>(
  items: readonly Item[],
  columns: readonly Column<Item>[],
): string[] {
  const cells = [
    columns.map((column) => column.title),
    ...items.map((item) => columns.map((column) => column.text(item))),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((row) => (row[index] ?? '').length)),
  );
  return cells.map((row) =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** 1536 → "1.5 KiB"; a dash for what is not known. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(Math.round(value)) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

export function formatMs(ms: number | null): string {
  return ms === null ? '-' : `${String(Math.round(ms))} ms`;
}

/** Failures that arrived together count one by one. */
function single(error: unknown): readonly unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(single) : [error];
}

function withFullStop(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** For a person: what happened and what to do. A bug of ours shows where it happened, too. */
export function errorText(error: unknown): string {
  return single(error)
    .map((item) => {
      if (!isMeridianError(item)) {
        const stack = item instanceof Error ? item.stack : undefined;
        return `unexpected error: ${stack ?? messageOf(item)}`;
      }
      const lines = item.message.includes('\n')
        ? [item.message, item.remedy]
        : [`${withFullStop(item.message)} ${item.remedy}`];
      return [...lines].join('\n');
    })
    .join('\n');
}

/** For a machine. */
export function errorJson(error: unknown): string {
  const all = single(error).map((item) =>
    isMeridianError(item)
      ? item
      : new MeridianError('ERR_INTERNAL', messageOf(item), { cause: item }),
  );
  const [first, ...others] = all.map((item) => item.toJSON());
  return JSON.stringify({ error: first, ...(others.length > 0 ? { others } : {}) });
}

/** Tells a failure: the sentence on stderr always, the JSON line on stdout when asked for. */
export function reportError(io: CliIo, error: unknown, json: boolean): void {
  io.stderr.write(`meridian: ${errorText(error)}\n`);
  if (json) io.stdout.write(`${errorJson(error)}\n`);
}
