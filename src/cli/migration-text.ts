/** What `meridian migrate` prints for people. Pure text. */
import type { MigrationWarning, PendingWork } from '../control/migration.ts';

/** Ranges that need the same files are told together. */
export function pendingText(pending: readonly PendingWork[], only: boolean): string {
  if (pending.length === 0) return only ? 'Nothing is pending.\n' : '';
  const places = new Map<string, string[]>();
  for (const { where, files } of pending) {
    const list = files
      .map(({ path, statements }) => `  ${path} (${counted(statements, 'statement')})\n`)
      .join('');
    places.set(list, [...(places.get(list) ?? []), where]);
  }
  return [...places].map(([list, wheres]) => `${wheres.join(', ')}:\n${list}`).join('');
}

export function warningText({ file, line, warning }: MigrationWarning): string {
  return `warning: ${file}:${String(line)}: ${warning.what}. ${warning.remedy}\n`;
}

function counted(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}
