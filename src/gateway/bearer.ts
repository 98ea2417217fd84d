/**
 * Finds the bearer token of a request: in `Authorization` (RFC 6750 §2.1) or in a declared cookie. Pure.
 *
 * The header counts before the cookie. Another scheme than Bearer is the app server's own business and
 * counts as no token.
 */
import { MeridianError } from '../kernel/errors.ts';

export interface Bearer {
  readonly text: string;
  /** A wrong cookie may be a leftover, and the browser cannot leave it out. */
  readonly from: 'header' | 'cookie';
}

const AUTHORIZATION = 'authorization';
const SCHEME = 'bearer ';

/**
 * Throws ERR_GATEWAY_REQUEST_INVALID when the header comes twice: the app server might read the other
 * one. `rawHeaders` are alternating names and values.
 */
export function bearerOf(
  rawHeaders: readonly string[],
  cookieName: string | undefined,
): Bearer | undefined {
  let authorization: string | undefined;
  let cookies: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) {
      if (authorization !== undefined) {
        throw new MeridianError(
          'ERR_GATEWAY_REQUEST_INVALID',
          'the request has more than one Authorization header',
        );
      }
      authorization = rawHeaders[i + 1] ?? '';
    } else if (cookieName !== undefined && name.length === 6 && name.toLowerCase() === 'cookie') {
      const value = rawHeaders[i + 1] ?? '';
      cookies = cookies === undefined ? value : `${cookies};${value}`;
    }
  }
  if (authorization !== undefined) {
    const scheme = authorization.slice(0, SCHEME.length).toLowerCase();
    if (scheme === SCHEME)
      return { text: authorization.slice(SCHEME.length).trim(), from: 'header' };
    if (scheme === SCHEME.trim()) return { text: '', from: 'header' };
  }
  if (cookies === undefined || cookieName === undefined) return undefined;
  const text = cookieValue(cookies, cookieName);
  return text === undefined || text === '' ? undefined : { text, from: 'cookie' };
}

/** The first of that name, as servers usually take it. */
function cookieValue(cookies: string, wanted: string): string | undefined {
  for (const pair of cookies.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === wanted) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
