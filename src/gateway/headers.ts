/**
 * Which headers pass the gateway, each way. Pure.
 *
 * The gateway is the edge: what describes the connection (RFC 9110 §7.6.1), the client's address or a
 * Meridian decision is taken out of what the client sent and written anew; everything else passes
 * unchanged, byte for byte and in order.
 */
import type { RegionName } from '../topology/region.ts';
import type { AccountId } from '../topology/routing.ts';
import type { ClientFacts } from './client-facts.ts';
import { TOKEN_HEADER } from './token.ts';
import type { Identity } from './verifier.ts';

export const REQUEST_ID_HEADER = 'meridian-request-id';
export const HOP_HEADER = 'meridian-hop';
export const REGION_HEADER = 'meridian-region';
export const TIMEOUT_HEADER = 'meridian-timeout-ms';
export const OUTCOME_HEADER = 'meridian-outcome';
/** On an app server's 421: the account has moved, the route was old. */
export const STALE_ROUTE_HEADER = 'meridian-stale-route';
/** The account that the gateway found, for app servers that must read the same one. */
export const ACCOUNT_HEADER = 'meridian-account';
/** Claims of the verified bearer token: base64url of their JSON. Absent without one. */
export const CLAIMS_HEADER = 'meridian-claims';
/** Which declared issuer's token it was. */
export const ISSUER_HEADER = 'meridian-issuer';
/** Which app server answered. */
export const SERVED_BY_HEADER = 'meridian-served-by';

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Set anew below or by the HTTP client; `expect` was answered by this server already. */
const REPLACED_IN_REQUEST: ReadonlySet<string> = new Set([
  'content-length',
  'expect',
  'forwarded',
  'host',
]);

export interface RequestFacts {
  /** Alternating names and values, as received. */
  readonly rawHeaders: readonly string[];
  readonly connection: string | undefined;
  /** As asked of this gateway. */
  readonly host: string;
  readonly client: ClientFacts;
  readonly account: AccountId | undefined;
  readonly identity: Pick<Identity, 'issuer' | 'payload'> | undefined;
  readonly requestId: string;
  readonly region: RegionName;
  readonly token: string;
  /** Of a body that is streamed with a declared length. */
  readonly contentLength: number | undefined;
}

/**
 * The app server's request headers, alternating names and values. The last value is the time left,
 * to be filled in for each attempt (`withTimeLeft`).
 */
export function requestHeaders(facts: RequestFacts): string[] {
  const named = namedByConnection(facts.connection);
  const out: string[] = [];
  for (let i = 0; i < facts.rawHeaders.length; i += 2) {
    const name = facts.rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || REPLACED_IN_REQUEST.has(lower) || named?.has(lower) === true) {
      continue;
    }
    if (isOurs(lower)) continue;
    out.push(name, facts.rawHeaders[i + 1] ?? '');
  }
  out.push('host', facts.host);
  out.push('x-forwarded-for', facts.client.address);
  out.push('x-forwarded-proto', facts.client.protocol);
  out.push('x-forwarded-host', facts.client.host);
  out.push(REQUEST_ID_HEADER, facts.requestId);
  out.push(REGION_HEADER, facts.region);
  out.push(HOP_HEADER, facts.region);
  if (facts.account !== undefined) out.push(ACCOUNT_HEADER, facts.account);
  if (facts.identity !== undefined) {
    out.push(ISSUER_HEADER, facts.identity.issuer, CLAIMS_HEADER, facts.identity.payload);
  }
  if (facts.token !== '') out.push(TOKEN_HEADER, facts.token);
  if (facts.contentLength !== undefined) out.push('content-length', String(facts.contentLength));
  out.push(TIMEOUT_HEADER, '');
  return out;
}

/**
 * Names that only a gateway may write. Also with underscores: servers that put headers into variables
 * read `meridian_claims` as `meridian-claims`.
 */
function isOurs(lower: string): boolean {
  switch (lower[0]) {
    case 'm':
      return /^meridian[-_]/.test(lower);
    case 'x':
      return /^x[-_](?:forwarded[-_]|real[-_]ip$)/.test(lower);
    default:
      return false;
  }
}

/** Fills in the milliseconds left, at least 1, and returns the same array. */
export function withTimeLeft(headers: string[], leftMs: number): string[] {
  headers[headers.length - 1] = String(Math.max(1, Math.floor(leftMs)));
  return headers;
}

export interface AnsweredHeaders {
  /** To pass on, alternating names and values. */
  readonly passed: string[];
  readonly token: string | undefined;
  readonly staleRoute: boolean;
}

/** What passes of an app server's response headers, and what they tell the gateway. */
export function answeredHeaders(raw: readonly (string | Buffer)[]): AnsweredHeaders {
  const text = (at: number): string => {
    const value = raw[at] ?? '';
    return typeof value === 'string' ? value : value.toString('latin1');
  };
  let connection: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.length === 10 && text(i).toLowerCase() === 'connection') {
      connection = connection === undefined ? text(i + 1) : `${connection},${text(i + 1)}`;
    }
  }
  const named = namedByConnection(connection);
  const passed: string[] = [];
  let token: string | undefined;
  let staleRoute = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(i);
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || named?.has(lower) === true) continue;
    if (lower === TOKEN_HEADER) token = text(i + 1);
    else if (lower === STALE_ROUTE_HEADER) staleRoute = text(i + 1) === '1';
    else if (lower !== REQUEST_ID_HEADER && lower !== SERVED_BY_HEADER) {
      passed.push(name, text(i + 1));
    }
  }
  return { passed, token, staleRoute };
}

/** Header names listed in Connection, beyond the usual one or two; undefined when there are none. */
function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined) return undefined;
  const lower = connection.toLowerCase();
  if (lower === 'keep-alive' || lower === 'close') return undefined;
  return new Set(lower.split(',').map((name) => name.trim()));
}

/** The client's own request id when it is well formed. */
export function acceptedRequestId(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value) ? value : undefined;
}

/**
 * The time a request has: the client may shorten the gateway's, never extend it. Undefined for a
 * header that is not a number of milliseconds.
 */
export function timeAllowedMs(
  value: string | string[] | undefined,
  limitMs: number,
): number | undefined {
  if (value === undefined) return limitMs;
  if (typeof value !== 'string' || !/^\d{1,12}$/.test(value)) return undefined;
  return Math.min(limitMs, Number(value));
}

/**
 * The request target in origin form, and the authority of an absolute one (RFC 9112 §3.2). Undefined
 * for targets that a gateway does not serve ('*', 'host:port').
 */
export function originForm(
  target: string,
): { readonly path: string; readonly authority: string | undefined } | undefined {
  if (target.startsWith('/')) return { path: target, authority: undefined };
  const absolute = /^https?:\/\/([^/?#]+)(.*)$/i.exec(target);
  if (absolute === null) return undefined;
  const rest = absolute[2] ?? '';
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority: absolute[1] };
}
