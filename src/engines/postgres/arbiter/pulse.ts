/**
 * What heartbeats tell about a leader, and when that is enough to act on. The judgement is pure.
 *
 * Two beats in a row must be missed: one may be the machine's own pause. A beat that was late because
 * this process stood still counts for nothing. A leader that answers while none of its voting standbys
 * streams from it can acknowledge nothing; if they are well and it is not for them to come back, it is
 * as good as gone.
 */

/** Longest wait for one beat. */
export const BEAT_TIMEOUT_MS = 1_200;
const MISSES_MAX = 2;
/** Standbys reconnect within a second or two after anything that is none of the leader's doing. */
const ALONE_MAX_MS = 4_000;
/** A timer that comes this much too late tells of our own stall, not of the leader's. */
export const STALL_MS = 400;

export interface Pulse {
  misses: number;
  /** Monotonic; since when no voting standby has streamed from the leader. */
  aloneSinceMs: number | undefined;
}

export function newPulse(): Pulse {
  return { misses: 0, aloneSinceMs: undefined };
}

export type PulseJudgement = 'well' | 'silent' | 'isolated';

export function judgePulse(
  pulse: Readonly<Pulse>,
  facts: {
    readonly nowMs: number;
    /** Every other voter that counts runs and can be reached, so that they could elect one of them. */
    readonly othersWell: boolean;
  },
): PulseJudgement {
  if (pulse.misses >= MISSES_MAX) return 'silent';
  const alone = pulse.aloneSinceMs !== undefined && facts.nowMs - pulse.aloneSinceMs > ALONE_MAX_MS;
  return alone && facts.othersWell ? 'isolated' : 'well';
}
