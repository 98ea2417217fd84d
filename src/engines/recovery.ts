/**
 * Recovery of transactions over several groups that lost their caller. `toRecover` decides which and
 * where, from one look at every group; `recover` asks their coordinators and finishes them. The
 * supervisor and every client run the same, each with its own way of reaching a leader: any number at
 * once is safe, since the coordinator's group orders them.
 */
import { isMeridianError } from '../kernel/errors.ts';
import type { GroupName } from '../topology/position.ts';
import { coordinatorOf, type Decision, type PreparedTransaction } from './two-phase.ts';

export interface Recoverable {
  readonly gid: string;
  readonly coordinator: GroupName;
  /** Where it is prepared, as far as was seen. */
  readonly groups: readonly GroupName[];
}

export interface RecoveryPort {
  /** Of one group's leader; rejects when it cannot be asked. */
  prepared(group: GroupName): Promise<readonly PreparedTransaction[]>;
  settle(group: GroupName, gid: string): Promise<Decision>;
  finish(group: GroupName, gid: string, decision: Decision): Promise<void>;
}

export interface Recovered {
  readonly gid: string;
  readonly decision: Decision;
}

/** Finished at once by one recoverer; more wait for its next look. */
const RECOVERED_AT_ONCE_MAX = 64;

/**
 * Those prepared for longer than `olderThanMs`, oldest first, with every group that shows them, so that
 * one decision serves all. What is not ours, or names a group that does not exist, is left alone.
 */
export function toRecover(
  seen: ReadonlyMap<GroupName, readonly PreparedTransaction[]>,
  facts: { readonly known: ReadonlySet<GroupName>; readonly olderThanMs: number },
): Recoverable[] {
  const found = new Map<string, { ageMs: number; coordinator: GroupName; groups: GroupName[] }>();
  for (const [group, transactions] of seen) {
    for (const { gid, ageMs } of transactions) {
      const coordinator = coordinatorOf(gid);
      if (coordinator === undefined || !facts.known.has(coordinator)) continue;
      const one = found.get(gid) ?? { ageMs, coordinator, groups: [] };
      one.ageMs = Math.max(one.ageMs, ageMs);
      one.groups.push(group);
      found.set(gid, one);
    }
  }
  return [...found]
    .filter(([, one]) => one.ageMs > facts.olderThanMs)
    .sort(([, a], [, b]) => b.ageMs - a.ageMs)
    .map(([gid, { coordinator, groups }]) => ({ gid, coordinator, groups }));
}

/** One round. A group that cannot be asked keeps its own waiting until the next one. */
export async function recover(
  port: RecoveryPort,
  options: {
    /** To be looked at. */
    readonly groups: readonly GroupName[];
    /** All there are: a coordinator may be one that is not looked at. */
    readonly known: ReadonlySet<GroupName>;
    readonly olderThanMs: number;
  },
): Promise<Recovered[]> {
  const seen = new Map<GroupName, readonly PreparedTransaction[]>();
  await Promise.all(
    options.groups.map(async (group) => {
      const prepared = await port.prepared(group).catch(() => []);
      seen.set(group, prepared);
    }),
  );
  const recoverable = toRecover(seen, options).slice(0, RECOVERED_AT_ONCE_MAX);
  const recovered = await Promise.all(recoverable.map((one) => recoverOne(port, one)));
  return recovered.filter((one) => one !== undefined);
}

async function recoverOne(
  port: RecoveryPort,
  { gid, coordinator, groups }: Recoverable,
): Promise<Recovered | undefined> {
  try {
    const decision = await port.settle(coordinator, gid);
    await Promise.all(groups.map((group) => port.finish(group, gid, decision)));
    return { gid, decision };
  } catch (error) {
    // Not reachable now: the next round tries again. Anything else is a fault of ours.
    if (isMeridianError(error)) return undefined;
    throw error;
  }
}
