/** How `meridian chaos` reads what a person writes, and shows what is in force. Pure. */
import type { ChaosFault, ChaosPlace, ChaosRequest, ChaosTarget } from '../control/chaos.ts';
import { ADDED_MS_MAX, SKEW_MS_MAX } from '../control/chaos-request.ts';
import { MeridianError } from '../kernel/errors.ts';
import { formatDuration } from './duration.ts';
import { formatTable } from './output.ts';

export const TARGET_FORMS =
  'process:NAME, node:NAME, zone:REGION/ZONE, region:REGION, link:PLACE..PLACE or link:PLACE';

export interface ChaosFlags {
  readonly to?: string | undefined;
  readonly oneWay?: boolean | undefined;
  readonly ms?: string | undefined;
}

/** Throws ERR_USAGE. */
export function requestOf(action: string, target: string, flags: ChaosFlags): ChaosRequest {
  const known = action as ChaosRequest['action'];
  const aim = { target: targetOf(target, flags) };
  if (flags.ms !== undefined && known !== 'slow' && known !== 'skew') {
    throw usage('--ms is for slow and skew', 'Leave it out; --for says how long a fault lasts.');
  }
  switch (known) {
    case 'slow':
      return { action: known, ...aim, addMs: milliseconds(flags.ms, ADDED_MS_MAX) };
    case 'skew':
      return { action: known, ...aim, offsetMs: milliseconds(flags.ms, SKEW_MS_MAX) };
    case 'kill':
    case 'stop':
    case 'restart':
    case 'partition':
    case 'fill-disk':
      return { action: known, ...aim };
    default:
      throw usage(
        `there is no fault "${action}"`,
        'There are kill, stop, restart, partition, slow, skew and fill-disk; and list and heal.',
      );
  }
}

/** Throws ERR_USAGE. A place with a way or another place to go to is a link. */
export function targetOf(text: string, { to, oneWay }: ChaosFlags): ChaosTarget {
  const [, kind, rest = ''] = /^([a-z]+):(.+)$/.exec(text) ?? [];
  const isLink = to !== undefined || oneWay === true;
  switch (kind) {
    case 'process':
    case 'node':
      if (isLink) throw usage('--to and --one-way are for places', `Name ${TARGET_FORMS}.`);
      return { kind, name: rest };
    case 'zone':
    case 'region': {
      const place = placeOf(rest);
      if ((place.zone === undefined) === (kind === 'zone')) throw unclear(text);
      if (!isLink) return { kind: 'place', place };
      return { kind: 'link', from: place, to: to === undefined ? to : placeOf(to), oneWay };
    }
    case 'link': {
      const [from = '', end = to, ...more] = rest.split('..');
      if (more.length > 0 || (to !== undefined && end !== to)) throw unclear(text);
      const other = end === undefined ? undefined : placeOf(end);
      return { kind, from: placeOf(from), to: other, oneWay };
    }
    default:
      throw unclear(text);
  }
}

function placeOf(text: string): ChaosPlace {
  const [region = '', zone, ...more] = text.replace(/^(zone|region):/, '').split('/');
  if (region === '' || zone === '' || more.length > 0) throw unclear(text);
  return zone === undefined ? { region } : { region, zone };
}

function milliseconds(text: string | undefined, most: number): number {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  if (Math.abs(value) <= most) return value;
  throw usage(`it needs --ms with a number, at most ${String(most)}`, 'For example: --ms 250.');
}

export function faultsText(faults: readonly ChaosFault[], nowMs: number): string {
  if (faults.length === 0) return 'No faults are in force.\n';
  const lines = formatTable(faults, [
    { title: 'FAULT', text: (fault) => fault.id },
    { title: 'WHAT', text: (fault) => fault.summary },
    { title: 'FOR', text: (fault) => formatDuration(Math.max(0, nowMs - fault.sinceMs)) },
  ]);
  return `${lines.join('\n')}\n`;
}

function unclear(text: string): MeridianError {
  return usage(`"${text}" names no target`, `Write ${TARGET_FORMS}.`);
}

function usage(message: string, remedy: string): MeridianError {
  return new MeridianError('ERR_USAGE', message, { remedy });
}
