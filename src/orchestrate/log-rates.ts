/**
 * How much each replication group writes into its log: what every copy of it is sent. Measured from the start
 * of the supervisor on, by the positions of the leaders, which go on from leader to leader.
 */
import type { ClusterSnapshot } from '../engines/snapshot.ts';
import type { Clock } from '../kernel/clock.ts';
import type { GroupName } from '../topology/position.ts';

/** Before that, what a start writes itself would count for too much. */
const MEASURED_MIN_MS = 30_000;
const DAY_MS = 86_400_000;

export class LogRates {
  readonly #clock: Clock;
  readonly #since: ReadonlyMap<GroupName, bigint>;
  readonly #sinceMs: number;

  constructor(snapshot: ClusterSnapshot, clock: Clock) {
    this.#clock = clock;
    this.#since = positionsOf(snapshot);
    this.#sinceMs = clock.monotonicMs();
  }

  /**
   * Bytes a day, by group; none of a group without a leader now or then, or that has lost a part of its log.
   * Undefined: it is too early to say.
   */
  perDay(snapshot: ClusterSnapshot): Readonly<Record<GroupName, number>> | undefined {
    const tookMs = this.#clock.monotonicMs() - this.#sinceMs;
    if (tookMs < MEASURED_MIN_MS) return undefined;
    const rates: Record<GroupName, number> = {};
    for (const [group, position] of positionsOf(snapshot)) {
      const before = this.#since.get(group);
      if (before === undefined || position < before) continue;
      rates[group] = Math.round((Number(position - before) / tookMs) * DAY_MS);
    }
    return rates;
  }
}

function positionsOf({ nodes }: ClusterSnapshot): ReadonlyMap<GroupName, bigint> {
  return new Map(
    Object.values(nodes).flatMap(({ group, role, position }) =>
      role === 'leader' && position !== null ? [[group, position] as const] : [],
    ),
  );
}
