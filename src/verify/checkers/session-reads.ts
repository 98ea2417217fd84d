/**
 * A read with a token sees what its bearer had written and read. Judged are pairs of one client's
 * operations on one register: the earlier was answered before the read began, with a token that the
 * read's own token includes; then the read returns nothing that is certainly older (versions.ts).
 */
import { reaches } from '../../topology/position.ts';
import type { Checker, Operation, Violation } from '../history.ts';
import { indexOf, registersOf, type Read, type RegisterLog } from '../registers.ts';
import { tokenReader, type ReadToken } from '../token-positions.ts';
import { certainlyBefore, versionsOf } from '../versions.ts';

export const sessionReads: Checker = {
  name: 'session-reads',
  claims: 'a read with a token returns nothing older than its bearer had written or read',
  check: (history) => {
    const judged = registersOf(history).filter(({ unique }) => unique);
    const positionsOf = tokenReader();
    const results = judged.map((log) => judge(log, positionsOf));
    return {
      checker: sessionReads.name,
      violations: results.flatMap(({ violations }) => violations),
      covered: {
        reads: results.reduce((sum, { reads }) => sum + reads, 0),
        compared: results.reduce((sum, { compared }) => sum + compared, 0),
      },
    };
  },
};

interface Met {
  readonly operation: Operation;
  readonly value: number | null;
}

function judge(
  log: RegisterLog,
  positionsOf: ReadToken,
): { violations: Violation[]; reads: number; compared: number } {
  const versions = versionsOf(log, 'any');
  const metBy = new Map<string, Met[]>();
  const meet = (operation: Operation | undefined, value: number | null): void => {
    if (operation?.outcome !== 'ok') return;
    const known = metBy.get(operation.client);
    if (known === undefined) metBy.set(operation.client, [{ operation, value }]);
    else known.push({ operation, value });
  };
  for (const { operation, value, endMs } of log.writes)
    if (endMs < Infinity) meet(operation, value);
  for (const { operation, value } of log.reads) meet(operation, value);
  const violations: Violation[] = [];
  let [reads, compared] = [0, 0];
  for (const read of log.reads) {
    const { asked, operation } = read;
    if (asked.kind !== 'token' || operation === undefined) continue;
    reads += 1;
    const before = (metBy.get(operation.client) ?? []).filter((met) =>
      isIncluded(met.operation, read, positionsOf),
    );
    compared += before.length;
    const newer = before.find(({ value }) => certainlyBefore(versions, read.value, value));
    if (newer === undefined) continue;
    const what = `${operation.client} read ${String(read.value)} of ${log.register} with a token, after it had seen ${String(newer.value)}`;
    violations.push({ what, operations: indexOf(newer, read) });
  }
  return { violations, reads, compared };
}

/** The read began after this was answered, and its token includes the answer's. */
function isIncluded(met: Operation, read: Read, positionsOf: ReadToken): boolean {
  if (met === read.operation || met.endedAtMs > read.startMs) return false;
  if (met.token === undefined || read.asked.kind !== 'token') return false;
  const [held, passed] = [positionsOf(met.token), positionsOf(read.asked.token)];
  if (held === undefined || passed === undefined || held.length === 0) return false;
  return held.every((position) =>
    passed.some((other) => other.group === position.group && reaches(other, position)),
  );
}
