/**
 * Which account does a request name? Pure.
 *
 * Unless a claim binds, the answer only chooses the region that serves the request; what the request
 * may touch is decided by app server and database. Still, gateway and app server must read the same
 * account, or a write would take a detour: so a path is compared segment by segment, each decoded
 * exactly once, and a path that some app servers normalise and others do not (dot segments,
 * backslashes) is refused instead of guessed.
 *
 * A binding claim (see `ClaimBinding`) turns the answer into a permission: every account that the
 * request names in any declared way, not only the one that counts, must be in the claim.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { AccountId } from '../topology/routing.ts';
import type { AccountSource, ClaimBinding } from './options.ts';

export type AccountFinding =
  | { readonly kind: 'account'; readonly id: AccountId }
  | typeof NONE
  | typeof INVALID
  /** The request names an account, and is not shown to have a right to it. */
  | typeof UNBOUND;

const NONE = { kind: 'none' } as const;
const INVALID = { kind: 'invalid' } as const;
const UNBOUND = { kind: 'unbound' } as const;

/** As the client library accepts them (client/directory.ts): printable ASCII without spaces. */
const ACCOUNT = /^[\x21-\x7e]{1,128}$/;

export type Claims = Readonly<Record<string, unknown>>;

export interface NamingRequest {
  /** The path as received, still encoded, without scheme and authority; a query is ignored. */
  readonly path: string;
  /** As asked by the client: with or without a port. */
  readonly host: string;
  /** Alternating names and values, as received (`IncomingMessage.rawHeaders`). */
  readonly rawHeaders: readonly string[];
  /** Of the verified bearer token; undefined without one. */
  readonly claims: Claims | undefined;
  /** Declared to be served to anybody: no claim binds it. */
  readonly open: boolean;
}

export type AccountFinder = (request: NamingRequest) => AccountFinding;

interface Claim {
  readonly name: string;
  readonly binding: ClaimBinding;
}

/**
 * Prepares the declared sources once, so that each request is only compared. Throws
 * ERR_CONFIG_INVALID for a pattern that can never name an account.
 */
export function accountFinder(sources: readonly AccountSource[]): AccountFinder {
  const finders = sources.map(finderOf);
  const claims = sources.filter((source) => source.kind === 'claim');
  const binding = claims.filter((claim) => claim.binding !== 'never');
  if (binding.length > 0) return boundFinder({ finders, claims, binding });
  return (request) => {
    for (const find of finders) {
      const finding = find(request);
      if (finding.kind !== 'none') return finding;
    }
    return NONE;
  };
}

function finderOf(source: AccountSource, index: number): AccountFinder {
  switch (source.kind) {
    case 'path':
      return pathFinder(source.pattern, index);
    case 'header':
      return headerFinder(source.name, index);
    case 'host':
      return hostFinder(source.pattern, index);
    case 'claim':
      return claimFinder(source.name);
  }
}

/** Asks every source, and lets pass only what each binding claim allows. */
function boundFinder(sources: {
  readonly finders: readonly AccountFinder[];
  readonly claims: readonly Claim[];
  readonly binding: readonly Claim[];
}): AccountFinder {
  return (request) => {
    let found: AccountFinding = NONE;
    for (const find of sources.finders) {
      const finding = find(request);
      if (finding.kind === 'none') continue;
      if (finding.kind !== 'account') return finding;
      if (!request.open) {
        for (const claim of sources.binding) {
          if (!allows(claim, request.claims, finding.id)) return UNBOUND;
        }
      }
      if (found.kind === 'none') found = finding;
    }
    return found;
  };
}

function allows(claim: Claim, claims: Claims | undefined, account: AccountId): boolean {
  const value = claims === undefined ? undefined : claimOf(claims, claim.name);
  // Without any token a claim cannot be present: leaving the token out must not widen what one may do.
  if (value === undefined) return claim.binding === 'when-present' && claims !== undefined;
  return Array.isArray(value) ? value.includes(account) : value === account;
}

/** Its own properties only: a claim may be called 'constructor'. */
function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** A list with one account names it; one with more leaves the choice to the other sources. */
function claimFinder(name: string): AccountFinder {
  return ({ claims }) => {
    if (claims === undefined) return NONE;
    const value = claimOf(claims, name);
    const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
    if (one === undefined || Array.isArray(one)) return NONE;
    return typeof one === 'string' ? checked(one) : INVALID;
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

function hostFinder(pattern: string, index: number): AccountFinder {
  const wanted = pattern.toLowerCase().split('.');
  const at = wanted.indexOf(':account');
  if (at < 0 || wanted.length < 2 || wanted.lastIndexOf(':account') !== at) {
    throw new MeridianError(
      'ERR_CONFIG_INVALID',
      `gateway.account[${String(index)}].pattern is '${pattern}'; expected a host name with one ` +
        `:account label, such as ':account.example.com'`,
    );
  }
  return ({ host }) => {
    const labels = hostName(host).split('.');
    if (labels.length !== wanted.length) return NONE;
    for (const [position, literal] of wanted.entries()) {
      if (position !== at && labels[position] !== literal) return NONE;
    }
    const label = labels[at] ?? '';
    return label === '' ? NONE : checked(label);
  };
}

/** Lower case, without port and the root's dot. */
function hostName(host: string): string {
  const colon = host.indexOf(':');
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function checked(id: string | undefined): AccountFinding {
  return id !== undefined && ACCOUNT.test(id) ? { kind: 'account', id } : INVALID;
}

/** Dot segments (encoded or not) and backslashes: URL parsers disagree about them. */
export function isAmbiguous(segment: string): boolean {
  return segment.includes('\\') || /^(?:\.|%2e){1,2}$/i.test(segment);
}

/** Undefined when it cannot be decoded. */
export function decode(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
