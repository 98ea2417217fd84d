/**
 * Checks the shape of what came over the feed before anything routes by it. Only what the readers rely
 * on is checked, by hand: this runs in every app process, and unknown keys of a newer supervisor must
 * pass through. Pure.
 */
import { MeridianError } from '../kernel/errors.ts';
import { parseToken } from '../topology/position.ts';
import type { FeedMessage } from './protocol.ts';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown, path: string) => void;

/** Undefined for a kind that this version does not know. Throws ERR_CONTROL_UNAVAILABLE on nonsense. */
export function parseFeedMessage(line: string): FeedMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    throw wrong('message', 'JSON');
  }
  fields({ kind: text })(message, 'message');
  const check = CHECKS[(message as { kind: string }).kind];
  if (check === undefined) return undefined;
  check(message, 'message');
  return message as FeedMessage;
}

function wrong(path: string, expected: string): MeridianError {
  return new MeridianError('ERR_CONTROL_UNAVAILABLE', `the feed's ${path} is not ${expected}`);
}

const text: Check = (value, path) => {
  if (typeof value !== 'string') throw wrong(path, 'a string');
};
const flag: Check = (value, path) => {
  if (typeof value !== 'boolean') throw wrong(path, 'a boolean');
};
const amount: Check = (value, path) => {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw wrong(path, 'a number of at least 0');
  }
};
const count: Check = (value, path) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(path, 'a whole number');
};
const optional =
  (check: Check): Check =>
  (value, path) => {
    if (value !== undefined && value !== null) check(value, path);
  };
const oneOf =
  (...allowed: readonly string[]): Check =>
  (value, path) => {
    if (!allowed.includes(value as string)) throw wrong(path, allowed.join(' or '));
  };
const object: Check = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(path, 'an object');
  }
};
const fields =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    object(value, path);
    for (const [key, check] of Object.entries(checks)) {
      check((value as Fields)[key], `${path}.${key}`);
    }
  };
const list =
  (check: Check): Check =>
  (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, 'a list');
    for (const [index, item] of value.entries()) check(item, `${path}[${String(index)}]`);
  };
const record =
  (check: Check): Check =>
  (value, path) => {
    object(value, path);
    for (const [key, item] of Object.entries(value as Fields)) check(item, `${path}.${key}`);
  };

/** Whoever reads it merges it with others, and must not fail then. */
const token: Check = (value, path) => {
  text(value, path);
  try {
    parseToken(value as string);
  } catch {
    throw wrong(path, 'a consistency token');
  }
};
const locality = fields({ region: text, zone: text });
const port: Check = (value, path) => {
  count(value, path);
  if ((value as number) < 1 || (value as number) > 65_535) throw wrong(path, 'a TCP port');
};
const address = fields({ host: text, port });
const node = fields({
  name: text,
  kind: oneOf('voter', 'non-voter'),
  locality,
  address,
  roundTripMs: amount,
});
const group = fields({
  name: text,
  homeRegion: text,
  epoch: count,
  leader: optional(text),
  nodes: list(node),
  residency: optional(text),
});

const CHECKS: Readonly<Record<string, Check | undefined>> = {
  ping: () => {},
  hello: fields({
    installation: text,
    supervisorStart: amount,
    engine: text,
    regions: list(fields({ name: text, zones: list(text) })),
    primaryRegion: text,
    latency: fields({ betweenRegionsMs: record(amount), betweenZonesMs: amount }),
    database: fields({ database: text, user: text, password: text }),
  }),
  view: fields({
    view: fields({
      version: count,
      primaryGroup: text,
      groups: record(group),
      ranges: record(
        fields({
          name: text,
          group: text,
          epoch: count,
          origins: optional(token),
          made: optional(flag),
          goingTo: optional(text),
        }),
      ),
      directory: optional(count),
      appServers: list(
        fields({
          ...{ name: text, instance: text, locality, address, ready: flag },
          roundTripMs: amount,
        }),
      ),
    }),
  }),
};
