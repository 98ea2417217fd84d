/**
 * Plays a plan: each move when its time has come and its lanes are free. A move that fails is told, and
 * the next one goes on: what could not be injected is a matter of coverage.
 */
import { messageOf } from '../../kernel/errors.ts';
import { isWhole } from '../settle.ts';
import { Moving } from './moving.ts';
import type { PlannedMove } from './plan.ts';
import type { Stage } from './stage.ts';

const WHOLE_INTERVAL_MS = 400;

export interface Pace {
  /** A group that is not whole again by then is struck as it is. */
  readonly wholeTimeoutMs: number;
  /** Nothing happens to it for so long after that, even when the plan is late. */
  readonly restMs: number;
}

/** As much as fits into a run of a minute. */
export const BRISK: Pace = { wholeTimeoutMs: 12_000, restMs: 0 };

export interface Played {
  /** Moves that ended as planned. */
  readonly played: number;
  /** "us-east-1: kill the leader's node: …" */
  readonly failed: readonly string[];
}

export async function playPlan(
  stage: Stage,
  moves: readonly PlannedMove[],
  { pace, onMove }: { readonly pace: Pace; readonly onMove: (move: PlannedMove) => void },
): Promise<Played> {
  const startMs = stage.clock.monotonicMs();
  const lanes = new Map<string, Promise<unknown>>(
    moves.flatMap((move) => move.lanes.map((name) => [name, Promise.resolve()] as const)),
  );
  const failed: string[] = [];
  let played = 0;
  const play = async (move: PlannedMove, before: Promise<unknown>): Promise<void> => {
    await before;
    try {
      await stage.clock.sleep(
        Math.max(0, startMs + move.atMs - stage.clock.monotonicMs()),
        stage.signal,
      );
      if (!move.hasty) {
        await wholeAgain(stage, move.lanes, pace.wholeTimeoutMs);
        if (pace.restMs > 0) await stage.clock.sleep(pace.restMs, stage.signal);
      }
      onMove(move);
      await new Moving(stage, move).play();
      played += 1;
    } catch (error) {
      if (stage.signal.aborted) return;
      failed.push(`${move.lanes[0] ?? ''}: ${move.name}: ${messageOf(error)}`);
    }
  };
  for (const move of moves) {
    const before = Promise.all(move.lanes.map((name) => lanes.get(name) ?? Promise.resolve()));
    const playing = play(move, before);
    for (const name of move.lanes) lanes.set(name, playing);
  }
  await Promise.all(lanes.values());
  return { played, failed };
}

async function wholeAgain(
  stage: Stage,
  groups: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const { clock, platform, signal } = stage;
  const endMs = clock.monotonicMs() + timeoutMs;
  while (clock.monotonicMs() < endMs) {
    if (isWhole(await platform.status(), groups)) return;
    await clock.sleep(WHOLE_INTERVAL_MS, signal);
  }
}
