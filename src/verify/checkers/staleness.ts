/**
 * A bounded read is never older than it asked for: if a newer version was certainly in effect longer
 * ago than the bound, counted back from when the read began, then the value returned is too old. All
 * times are the driver's own, of one monotonic clock on one machine; no clock of a server is believed.
 */
import type { Checker, Violation } from '../history.ts';
import { indexOf, registersOf, type RegisterLog } from '../registers.ts';
import { certainlyBefore, versionsOf } from '../versions.ts';

/**
 * Server and driver count milliseconds with timers of one machine, each rounded: a heartbeat's age and
 * an answer's time can be off by a few. More than this is a lie.
 */
export const SLACK_MS = 5;

export const staleness: Checker = {
  name: 'staleness',
  claims: 'a bounded read returns nothing that was replaced longer ago than its bound',
  check: (history) => {
    const results = registersOf(history)
      .filter(({ unique }) => unique)
      .map(judge);
    return {
      checker: staleness.name,
      violations: results.flatMap(({ violations }) => violations),
      covered: {
        reads: results.reduce((sum, { reads }) => sum + reads, 0),
        compared: results.reduce((sum, { compared }) => sum + compared, 0),
      },
    };
  },
};

function judge(log: RegisterLog): { violations: Violation[]; reads: number; compared: number } {
  const versions = versionsOf(log, 'any');
  const byTime = versions.chains
    .flatMap((chain) => chain.versions)
    .filter(({ write, inEffectByMs }) => write !== undefined && inEffectByMs < Infinity)
    .sort((a, b) => b.inEffectByMs - a.inEffectByMs);
  const violations: Violation[] = [];
  let [reads, compared] = [0, 0];
  for (const read of log.reads) {
    if (read.asked.kind !== 'bounded') continue;
    reads += 1;
    const { maxStalenessMs } = read.asked;
    const latest = read.startMs - maxStalenessMs - SLACK_MS;
    const due = byTime.filter(({ inEffectByMs }) => inEffectByMs < latest);
    if (due.length > 0) compared += 1;
    const newer = due.find(({ value }) => certainlyBefore(versions, read.value, value));
    if (newer?.write === undefined) continue;
    const ageMs = (read.startMs - newer.inEffectByMs).toFixed(0);
    const what = `a read of ${log.register}, at most ${maxStalenessMs} ms old, returned ${String(read.value)}, replaced by ${String(newer.value)} ${ageMs} ms before it began`;
    violations.push({ what, operations: indexOf(newer.write, read) });
  }
  return { violations, reads, compared };
}
