/** The statement that opens a transaction. Pure. */
import { unreachable } from '../../kernel/assert.ts';
import type { Access, StatementLimits } from '../connector.ts';

/** BEGIN with its limits, as one message: they hold for this transaction and leave nothing behind. */
export function beginText(access: Access, limits: StatementLimits): string {
  const { statementTimeoutMs } = limits;
  const lockTimeoutMs =
    limits.lockTimeoutMs ?? (access.kind === 'write' ? access.lockTimeoutMs : undefined);
  const statements =
    statementTimeoutMs === undefined
      ? ''
      : `; SET LOCAL statement_timeout = ${String(statementTimeoutMs)}`;
  const locks =
    lockTimeoutMs === undefined
      ? ''
      : `; SET LOCAL lock_timeout = ${String(Math.ceil(lockTimeoutMs))}`;
  return `${beginOf(access)}${statements}${locks}`;
}

function beginOf(access: Access): string {
  switch (access.kind) {
    case 'write':
      return 'BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE';
    case 'strong-read':
      return 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY';
    case 'replica-read':
      // Standbys refuse SERIALIZABLE.
      return 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
    default:
      return unreachable(access);
  }
}
