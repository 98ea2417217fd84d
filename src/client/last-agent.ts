/**
 * Who decides a transaction over several groups, and what its commit takes. Pure.
 *
 * The participants that are prepared cost two round trips each (PREPARE, COMMIT PREPARED), all at the
 * same time; the one that decides costs one, in between. Of two, the farther one should decide; of more,
 * a near one may, when there are several far ones anyway.
 */
export interface Participant {
  readonly group: string;
  readonly roundTripMs: number;
}

/** Index of the one whose decision makes the commit shortest; of equal ones the first account's group. */
export function lastAgent(participants: readonly Participant[]): number {
  const costs = participants.map((_, index) => roundTripsMs(participants, index));
  return costs.indexOf(Math.min(...costs));
}

function roundTripsMs(participants: readonly Participant[], last: number): number {
  const others = participants.filter((_, index) => index !== last);
  const farthest = Math.max(0, ...others.map((one) => one.roundTripMs));
  return 2 * farthest + (participants[last]?.roundTripMs ?? 0);
}

/** Flushes and scheduling at the servers, above the round trips. */
const COMMIT_SLACK_MS = 20;

/** What the three phases take on a good day. */
export function commitTakesMs(participants: readonly Participant[]): number {
  return roundTripsMs(participants, lastAgent(participants)) + COMMIT_SLACK_MS;
}

const LOCK_WAIT_MIN_MS = 500;

/**
 * How long a statement waits for a row. Two transactions that wait for each other in different groups
 * are a deadlock that no server sees: one of them must give up. It waits for what another commit takes,
 * and by a random part longer, so that not both give up at once.
 */
export function lockWaitMs(participants: readonly Participant[], random: number): number {
  return (LOCK_WAIT_MIN_MS + 2 * commitTakesMs(participants)) * (1 + random);
}
