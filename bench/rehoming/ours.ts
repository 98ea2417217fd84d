/** The code that runs on a cluster, fed with a trace. */
import type { Distances } from '../../src/placement/preference.ts';
import { planRehoming } from '../../src/placement/rehoming-plan.ts';
import type { RehomingPolicy } from '../../src/placement/rehoming-policy.ts';
import { Traffic } from '../../src/placement/traffic.ts';
import { Spent } from './spent.ts';
import type { Chooser } from './replay.ts';
import type { Trace } from './traces.ts';

const HOURS = 24;
/** Decisions look back on so many days. */
const CYCLES = 3;

export function ours(trace: Trace, distances: Distances, policy: RehomingPolicy): Chooser {
  const { accounts, regions } = trace;
  const shape = { regions, intervalsPerCycle: HOURS, cycles: CYCLES };
  const seen = accounts.map(() => new Traffic(shape, 0));
  const movedAt = new Map<number, number>();
  const spent = new Spent();
  const totalBytes = accounts.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    watch: (hour) => {
      accounts.forEach(({ accesses }, account) => {
        const traffic = seen[account];
        for (let region = 0; region < regions; region += 1) {
          traffic?.add(region, accesses[hour * regions + region] ?? 0);
        }
        traffic?.advance(hour + 1);
      });
    },
    after: (hour, homes) => {
      const facts = accounts.map(({ bytes }, account) => {
        const moved = movedAt.get(account);
        return [
          account,
          {
            ...{ home: homes[account] ?? 0, bytes, allowed: undefined },
            traffic: seen[account] ?? new Traffic(shape, hour + 1),
            movedAgo: moved === undefined ? undefined : hour - moved,
          },
        ] as const;
      });
      const moved = spent.lately(hour);
      const { moves } = planRehoming({ accounts: facts, distances, totalBytes, moved }, policy);
      for (const { account, bytes } of moves) {
        movedAt.set(account, hour);
        spent.add(hour, bytes);
      }
      return moves;
    },
  };
}
