/**
 * Reads the bodies of POST /v1/chaos and /v1/chaos/heal, and refuses what they cannot mean with
 * ERR_CONTROL_REQUEST. Whether a target exists is asked later: here a name is any short text.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { ChaosOptions, ChaosPlace, ChaosRequest, ChaosTarget } from './chaos.ts';

const NAME_LENGTH_MAX = 128;
/** Longer than any deadline or lease that a drill is about. */
export const ADDED_MS_MAX = 60_000;
export const SKEW_MS_MAX = 24 * 3_600_000;

type Fields = Readonly<Record<string, unknown>>;

export function parseChaos(body: string): { request: ChaosRequest; options: ChaosOptions } {
  const { force, ...asked } = fieldsOf(parsed(body));
  if (force !== undefined && typeof force !== 'boolean') throw wrong('force is true or false');
  return { request: requestOf(asked), options: { force } };
}

/** The fault to undo; undefined: all. */
export function parseHeal(body: string): string | undefined {
  const { id } = fieldsOf(body === '' ? {} : parsed(body));
  return id === undefined ? undefined : nameOf(id, 'id');
}

function requestOf(asked: Fields): ChaosRequest {
  const target = targetOf(fieldsOf(asked['target']));
  const { action } = asked;
  switch (action) {
    case 'kill':
    case 'stop':
    case 'restart':
    case 'partition':
    case 'fill-disk':
      return { action, target };
    case 'slow': {
      const addMs = numberOf(asked['addMs'], 'addMs', ADDED_MS_MAX);
      if (addMs <= 0) throw wrong('addMs is above 0');
      return { action, target, addMs };
    }
    case 'skew':
      return { action, target, offsetMs: numberOf(asked['offsetMs'], 'offsetMs', SKEW_MS_MAX) };
    default:
      throw wrong('the action is kill, stop, restart, partition, slow, skew or fill-disk');
  }
}

function targetOf(asked: Fields): ChaosTarget {
  const { kind } = asked;
  switch (kind) {
    case 'process':
    case 'node':
      return { kind, name: nameOf(asked['name'], 'name') };
    case 'place':
      return { kind, place: placeOf(asked['place']) };
    case 'link': {
      const { from, to, oneWay } = asked;
      if (oneWay !== undefined && typeof oneWay !== 'boolean') {
        throw wrong('oneWay is true or false');
      }
      return { kind, from: placeOf(from), to: to === undefined ? to : placeOf(to), oneWay };
    }
    default:
      throw wrong('a target is a process, a node, a place or a link');
  }
}

function placeOf(value: unknown): ChaosPlace {
  const { region, zone } = fieldsOf(value);
  return {
    region: nameOf(region, 'region'),
    ...(zone === undefined ? {} : { zone: nameOf(zone, 'zone') }),
  };
}

function nameOf(value: unknown, what: string): string {
  const plain = typeof value === 'string' && /^[\x20-\x7e]+$/.test(value);
  if (plain && value.length <= NAME_LENGTH_MAX) return value;
  throw wrong(`${what} is a short, plain name`);
}

function numberOf(value: unknown, what: string, most: number): number {
  if (typeof value === 'number' && Math.abs(value) <= most) return value;
  throw wrong(`${what} is a number of milliseconds, at most ${String(most)}`);
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw wrong('the body is JSON');
  }
}

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong('the request and its target are objects');
}

function wrong(expected: string): MeridianError {
  return new MeridianError('ERR_CONTROL_REQUEST', `not a request for a fault: ${expected}`);
}
