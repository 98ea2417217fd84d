/**
 * What heartbeats tell about a leader, and when that is enough to act on. The judgement is pure.
 *
 * Two beats in a row must be missed: one may be the machine's own pause. A beat that was late because
 * this process stood still counts for nothing. A leader that answers while none of its voting standbys
 * streams from it can acknowledge nothing; if they are well and it is not for them to come back, it is
 * as good as gone.
 */

/**
 * Longest wait for one beat: some multiple of what beats took lately, within these bounds. On a machine
 * with time to spare a beat takes some milliseconds, and one that takes the lower bound is missed; where
 * all are slow, one that is slow says nothing. (TCP judges its peer's silence the same way: RFC 6298.)
 */
const TIMEOUT_MIN_MS = 700;
const TIMEOUT_MAX_MS = 2_000;
const TIMEOUT_FACTOR = 4;
const MISSES_MAX = 2;
/** Standbys reconnect within a second or two after anything that is none of the leader's doing. */
const ALONE_MAX_MS = 4_000;
/** A timer that comes this much too late tells of our own stall, not of the leader's. */
export const STALL_MS = 400;

export interface Pulse {
  misses: number;
  /** Monotonic; since when no voting standby has streamed from the leader. */
  aloneSinceMs: number | undefined;
  /** What beats took lately, with their deviation from it; of this leader or of another. */
  usual: Usual | undefined;
}

export interface Usual {
  readonly tookMs: number;
  readonly deviationMs: number;
}

export function newPulse(): Pulse {
  return { misses: 0, aloneSinceMs: undefined, usual: undefined };
}

/** With another beat that was answered. */
export function usualWith(usual: Usual | undefined, tookMs: number): Usual {
  if (usual === undefined) return { tookMs, deviationMs: tookMs / 2 };
  const off = Math.abs(usual.tookMs - tookMs);
  return {
    tookMs: usual.tookMs + (tookMs - usual.tookMs) / 8,
    deviationMs: usual.deviationMs + (off - usual.deviationMs) / 4,
  };
}

export function beatTimeoutMs({ usual }: Pick<Pulse, 'usual'>): number {
  if (usual === undefined) return TIMEOUT_MAX_MS;
  const wantedMs = TIMEOUT_FACTOR * (usual.tookMs + 4 * usual.deviationMs);
  return Math.min(Math.max(wantedMs, TIMEOUT_MIN_MS), TIMEOUT_MAX_MS);
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
