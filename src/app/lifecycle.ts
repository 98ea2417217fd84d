/**
 * The life of an app server as a table: every state with every event. Pure.
 *
 * Invariant: only 'ready' gets requests, and 'draining' is never left but by the process's end; so a
 * server that is told to stop never becomes ready again by a health check that was under way.
 */
import type { ProcessStatus } from '../control/status.ts';

export type AppState = ProcessStatus['state'];

export type AppEvent =
  /** Its process exists. */
  | 'spawned'
  /** It answered its health check. */
  | 'passed'
  /** It missed MISSES_UNHEALTHY checks in a row. */
  | 'failing'
  /** Its process ended. */
  | 'exited'
  /** It is asked to stop, in an orderly way. */
  | 'drain';

export const TRANSITIONS: Readonly<Record<AppState, Readonly<Record<AppEvent, AppState>>>> = {
  starting: {
    spawned: 'starting',
    passed: 'ready',
    failing: 'starting',
    exited: 'backing-off',
    drain: 'draining',
  },
  ready: {
    spawned: 'ready',
    passed: 'ready',
    failing: 'unhealthy',
    exited: 'backing-off',
    drain: 'draining',
  },
  unhealthy: {
    spawned: 'unhealthy',
    passed: 'ready',
    failing: 'unhealthy',
    exited: 'backing-off',
    drain: 'draining',
  },
  draining: {
    spawned: 'draining',
    passed: 'draining',
    failing: 'draining',
    exited: 'stopped',
    drain: 'draining',
  },
  'backing-off': {
    spawned: 'starting',
    passed: 'backing-off',
    failing: 'backing-off',
    exited: 'backing-off',
    drain: 'stopped',
  },
  stopped: {
    spawned: 'starting',
    passed: 'stopped',
    failing: 'stopped',
    exited: 'stopped',
    drain: 'stopped',
  },
};

export function nextState(state: AppState, event: AppEvent): AppState {
  return TRANSITIONS[state][event];
}

/** One lost check is a hiccup; this many in a row, and requests go elsewhere. */
export const MISSES_UNHEALTHY = 2;
/**
 * This many in a row, and the process is killed: it hangs. It costs little to wait, since nobody sends it
 * anything meanwhile, and much not to: on a machine that is short of processor time all servers miss their
 * checks, and the starts of their successors would take what is left of it.
 */
export const MISSES_HUNG = 15;

/** After it was unhealthy, so many answers in a row until it gets requests again. */
export const PASSES_RECOVERED = 2;

export interface Health {
  readonly misses: number;
  readonly verdict: 'passed' | 'missed' | 'failing' | 'hung';
}

/** Counts one check's result into the run of misses before it. */
export function judgeHealth(misses: number, passed: boolean): Health {
  if (passed) return { misses: 0, verdict: 'passed' };
  const now = misses + 1;
  if (now >= MISSES_HUNG) return { misses: now, verdict: 'hung' };
  return { misses: now, verdict: now >= MISSES_UNHEALTHY ? 'failing' : 'missed' };
}

/** Healthy for this long, and earlier crashes no longer count. */
export const FORGIVEN_AFTER_MS = 30_000;
/** Ended this often before it was ever ready: the first start fails instead of looping. */
export const FIRST_CRASHES_MAX = 3;
