/** Durations as people write them: 500ms, 30s, 5m, 1h. Pure. */
import { MeridianError } from '../kernel/errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** The longest a timer of Node can wait is 24.8 days. */
const DURATION_MS_MAX = 480 * 3_600_000;

/** Milliseconds. Throws ERR_USAGE for anything else. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text.trim());
  const ms = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ''] ?? Number.NaN);
  if (!(ms > 0) || ms > DURATION_MS_MAX) {
    throw new MeridianError(
      'ERR_USAGE',
      `expected a duration such as 30s, 5m, 500ms or 1h, at most 480h; found ${JSON.stringify(text.slice(0, 40))}`,
      { remedy: 'Write a number and its unit.' },
    );
  }
  return Math.round(ms);
}

/** For people: 850 ms, 6.2 s, 1 min 30 s. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${String(Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const rest = seconds % 60;
  return `${String(Math.floor(seconds / 60))} min${rest === 0 ? '' : ` ${String(rest)} s`}`;
}
