/** No read, however fresh it was asked for, returns what a failed operation wrote, or what nobody did. */
import type { Checker, Violation } from '../history.ts';
import { indexOf, registersOf, type RegisterLog } from '../registers.ts';

export const dirtyReads: Checker = {
  name: 'dirty-reads',
  claims: 'no read returns a value of a failed write, of nobody, or of the future',
  check: (history) => {
    const logs = registersOf(history);
    return {
      checker: dirtyReads.name,
      violations: logs.flatMap(judge),
      covered: {
        reads: logs.reduce((sum, { reads }) => sum + reads.filter((r) => r.operation).length, 0),
      },
    };
  },
};

function judge(log: RegisterLog): Violation[] {
  const writes = new Map(log.writes.map((write) => [write.value, write]));
  const undone = new Map(log.undone.map((write) => [write.value, write]));
  return log.reads.flatMap((read): Violation[] => {
    if (read.value === null) return [];
    const write = writes.get(read.value);
    const said = `a ${read.asked.kind} read of ${log.register} returned ${read.value}`;
    if (write !== undefined) {
      if (write.startMs <= read.endMs) return [];
      return [{ what: `${said} before it was written`, operations: indexOf(read, write) }];
    }
    const failed = undone.get(read.value);
    if (failed === undefined) {
      return [{ what: `${said}, which nobody wrote`, operations: indexOf(read) }];
    }
    return [{ what: `${said}, whose write failed`, operations: indexOf(failed, read) }];
  });
}
