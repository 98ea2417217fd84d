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
/** A leader that is suspected so soon after it took over is waited for twice as long from then on. */
const SETTLED_MS = 10_000;
const PATIENCE_MAX = 4;
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
  /** Monotonic; when clients were let in the last time, unless that was part of a planned change. */
  openedAtMs: number | undefined;
  /**
   * What the wait for a beat is multiplied by: 1, and more after suspicions in a row. On a machine that is
   * short of processor time, or with everybody who waited coming in at once, a leader may be as slow as it
   * was never before; a successor would be no faster, and cost a copy of its predecessor besides. (A timer
   * that was too short is doubled: RFC 6298 §5.5, and eventually perfect failure detectors.)
   */
  patience: number;
}

export interface Usual {
  readonly tookMs: number;
  readonly deviationMs: number;
}

export function newPulse(): Pulse {
  return {
    misses: 0,
    aloneSinceMs: undefined,
    usual: undefined,
    openedAtMs: undefined,
    patience: 1,
  };
}

/** How patient to be from now on with a leader, or its successor, that is suspected now. */
export function patienceAfter(
  { openedAtMs, patience }: Pick<Pulse, 'openedAtMs' | 'patience'>,
  nowMs: number,
): number {
  const soon = openedAtMs !== undefined && nowMs - openedAtMs < SETTLED_MS;
  return soon ? Math.min(2 * patience, PATIENCE_MAX) : 1;
}

/**
 * Once clients are let in. After a planned change the next suspicion is the first one: no server was slow
 * to answer, or the change would have been given up, and hardly anybody has waited.
 */
export function afterOpening(
  { patience }: Pick<Pulse, 'patience'>,
  { planned, nowMs }: { readonly planned: boolean; readonly nowMs: number },
): Pick<Pulse, 'openedAtMs' | 'patience'> {
  return planned ? { openedAtMs: undefined, patience: 1 } : { openedAtMs: nowMs, patience };
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

export function beatTimeoutMs({ usual, patience }: Pick<Pulse, 'usual' | 'patience'>): number {
  if (usual === undefined) return TIMEOUT_MAX_MS * patience;
  const wantedMs = TIMEOUT_FACTOR * (usual.tookMs + 4 * usual.deviationMs);
  return Math.min(Math.max(wantedMs, TIMEOUT_MIN_MS), TIMEOUT_MAX_MS) * patience;
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
  const aloneMs = pulse.aloneSinceMs === undefined ? 0 : facts.nowMs - pulse.aloneSinceMs;
  const alone = aloneMs > ALONE_MAX_MS * pulse.patience;
  return alone && facts.othersWell ? 'isolated' : 'well';
}
