/** What `meridian up` says: to people when it is ready, to machines at the end. Pure. */
import { relative } from 'node:path';
import type { ResolvedConfig } from '../config/resolved.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Platform } from '../platform-api.ts';
import { formatDuration } from './duration.ts';

export function logsDirectory(config: ResolvedConfig): string {
  return `${config.dataDirectory}/logs`;
}

/** Shorter from here when it is below here. */
function shorten(path: string, cwd: string): string {
  const shorter = relative(cwd, path);
  return shorter === '' || shorter.startsWith('..') ? path : shorter;
}

export function readyText(
  config: ResolvedConfig,
  platform: Pick<Platform, 'readyMs' | 'fresh' | 'gateways'>,
  cwd: string,
): string {
  const start = platform.fresh ? 'with new data' : 'with the data of the last run';
  const gateways = Object.entries(platform.gateways);
  const width = Math.max(0, ...gateways.map(([region]) => region.length));
  const [first] = gateways;
  const file = shorten(config.configFile, cwd);
  const lines = [
    '',
    `Ready in ${formatDuration(platform.readyMs)}, ${start}.`,
    '',
    ...gateways.map(([region, url]) => `  ${region.padEnd(width)}  ${url}`),
    '',
    `  status  npx meridian status --config ${file}`,
    `  logs    ${shorten(logsDirectory(config), cwd)}`,
    ...(first === undefined ? [] : [`  try     curl -i ${first[1]}/readyz`]),
    '',
    'Ctrl-C stops everything and keeps the data.',
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/** One JSON line, once requests are served. */
export function readyJson(platform: Pick<Platform, 'readyMs' | 'fresh' | 'gateways'>): string {
  const { gateways, ...timing } = { ...timings(platform), gateways: platform.gateways };
  return `${JSON.stringify({ ready: { ...timing, gateways } })}\n`;
}

function timings(platform: Pick<Platform, 'readyMs' | 'fresh'>): {
  readyMs: number;
  coldStart: boolean;
} {
  return { readyMs: Math.round(platform.readyMs), coldStart: platform.fresh };
}

/** The traffic program's summary with the start's own figures. Throws ERR_PROCESS_FAILED without one. */
export function summaryJson(
  platform: Pick<Platform, 'readyMs' | 'fresh'>,
  trafficLine: string | undefined,
): string {
  if (trafficLine === undefined) return `${JSON.stringify(timings(platform))}\n`;
  let summary: unknown;
  try {
    summary = JSON.parse(trafficLine);
  } catch {
    summary = undefined;
  }
  if (typeof summary !== 'object' || summary === null || Array.isArray(summary)) {
    throw new MeridianError(
      'ERR_PROCESS_FAILED',
      'the traffic program did not end with a JSON summary',
      { remedy: 'With --json, its last line on standard output must be one JSON object.' },
    );
  }
  return `${JSON.stringify({ ...summary, ...timings(platform) })}\n`;
}
