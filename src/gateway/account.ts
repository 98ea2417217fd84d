/**
 * Which account does a request name? Pure.
 *
 * The answer only chooses the region that serves the request; what the request may touch is decided
 * by the database. Still, gateway and app server must read the same account, or a write would take a
 * detour: so a path is compared segment by segment, each decoded exactly once, and a path that some
 * app servers normalise and others do not (dot segments, backslashes) is refused instead of guessed.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { AccountId } from '../topology/routing.ts';
import type { AccountSource } from './options.ts';

export type AccountFinding =
  { readonly kind: 'account'; readonly id: AccountId } | typeof NONE | typeof INVALID;

const NONE = { kind: 'none' } as const;
const INVALID = { kind: 'invalid' } as const;

/** As the client library accepts them (client/directory.ts): printable ASCII without spaces. */
const ACCOUNT = /^[\x21-\x7e]{1,128}$/;

export interface NamingRequest {
  /** The path as received, still encoded, without scheme and authority; a query is ignored. */
  readonly path: string;
  /** Alternating names and values, as received (`IncomingMessage.rawHeaders`). */
  readonly rawHeaders: readonly string[];
}

export type AccountFinder = (request: NamingRequest) => AccountFinding;

/**
 * Prepares the declared sources once, so that each request is only compared. Throws
 * ERR_CONFIG_INVALID for a pattern that can never name an account.
 */
export function accountFinder(sources: readonly AccountSource[]): AccountFinder {
  const finders = sources.map((source, index) =>
    source.kind === 'path' ? pathFinder(source.pattern, index) : headerFinder(source.name, index),
  );
  return (request) => {
    for (const find of finders) {
      const finding = find(request);
      if (finding.kind !== 'none') return finding;
    }
    return NONE;
  };
}

function pathFinder(pattern: string, index: number): AccountFinder {
  const wanted = pattern.split('/').slice(1);
  const at = wanted.indexOf(':account');
  if (!pattern.startsWith('/') || at < 0 || wanted.lastIndexOf(':account') !== at) {
    throw new MeridianError(
      'ERR_CONFIG_INVALID',
      `gateway.account[${String(index)}].pattern is '${pattern}'; expected a path with one ` +
        `:account segment, such as '/accounts/:account'`,
    );
  }
  // Segments after :account are part of the pattern's meaning too: '/a/:account/b' is not '/a/x/c'.
  return ({ path }) => {
    const end = path.search(/[?#]/);
    const segments = (end < 0 ? path : path.slice(0, end)).split('/');
    if (segments.some(isAmbiguous)) return INVALID;
    for (const [position, literal] of wanted.entries()) {
      const segment = segments[position + 1];
      if (segment === undefined) return NONE;
      if (position !== at && decode(segment) !== literal) return NONE;
    }
    const raw = segments[at + 1];
    return raw === undefined || raw === '' ? NONE : checked(decode(raw));
  };
}

function headerFinder(name: string, index: number): AccountFinder {
  const wanted = name.toLowerCase();
  if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(wanted)) {
    throw new MeridianError(
      'ERR_CONFIG_INVALID',
      `gateway.account[${String(index)}].name is '${name}'; expected the name of an HTTP header`,
    );
  }
  return ({ rawHeaders }) => {
    let value: string | undefined;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (rawHeaders[i]?.toLowerCase() !== wanted) continue;
      // Two values: the app server might take the other one.
      if (value !== undefined) return INVALID;
      value = rawHeaders[i + 1] ?? '';
    }
    return value === undefined ? NONE : checked(value);
  };
}

function checked(id: string | undefined): AccountFinding {
  return id !== undefined && ACCOUNT.test(id) ? { kind: 'account', id } : INVALID;
}

/** Dot segments (encoded or not) and backslashes: URL parsers disagree about them. */
function isAmbiguous(segment: string): boolean {
  return segment.includes('\\') || /^(?:\.|%2e){1,2}$/i.test(segment);
}

function decode(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
