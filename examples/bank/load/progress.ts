/** A line each second while the load runs: rewritten in place on a terminal, one after another else. */
import type { LoadProgress } from './run.ts';
import type { RecentPart, Tally } from './tally.ts';

export interface ProgressFacts {
  readonly seconds: number;
  readonly recent: RecentPart;
  readonly inFlight: number;
  readonly errors: number;
}

/** Returns what ends it. */
export function showProgress(
  out: NodeJS.WriteStream,
  tally: Tally,
  progress: LoadProgress,
): () => void {
  const startMs = performance.now();
  const terminal = out.isTTY;
  const timer = setInterval(() => {
    const line = formatProgress({
      seconds: (performance.now() - startMs) / 1_000,
      recent: tally.takeRecent(),
      inFlight: progress.inFlight,
      errors: tally.errors,
    });
    out.write(terminal ? `\r${line}\u001b[K` : `${line}\n`);
  }, 1_000);
  return () => {
    clearInterval(timer);
    if (terminal) out.write('\r\u001b[K');
  };
}

export function formatProgress({ seconds, recent, inFlight, errors }: ProgressFacts): string {
  const ms = (value: number | null): string =>
    value === null ? '     - ms' : `${value.toFixed(1).padStart(6)} ms`;
  return [
    `${String(Math.round(seconds)).padStart(4)} s`,
    `${String(recent.answered).padStart(5)} req/s`,
    `p50 ${ms(recent.p50)}`,
    `p99 ${ms(recent.p99)}`,
    `in flight ${String(inFlight).padStart(4)}`,
    `errors ${String(errors)}`,
  ].join('  ');
}
