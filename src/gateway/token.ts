/**
 * The consistency token's way through the gateway. Pure.
 *
 * A client may hold tokens in a header (programs) and in a cookie (browsers); what it has seen is both
 * together. A header that is not a token is the caller's mistake and is refused; a cookie that is not
 * one may be a leftover of another installation and is dropped.
 */
import { mergeTokens, TOKEN_LENGTH_MAX, type Token } from '../topology/position.ts';

export const TOKEN_HEADER = 'meridian-token';
const TOKEN_COOKIE = 'meridian_token';
const COOKIE_MAX_AGE_S = 3_600;

export interface RequestToken {
  /** Everything the client has seen; '' for nothing. */
  readonly seen: Token;
  /** What its cookie says, normalised; '' for nothing. */
  readonly cookie: Token;
}

const NOTHING: RequestToken = { seen: '', cookie: '' };

/** Throws ERR_TOKEN_INVALID for a header that is not a token. */
export function requestToken(
  header: string | undefined,
  cookies: string | undefined,
): RequestToken {
  if (header === undefined && cookies === undefined) return NOTHING;
  const cookie = cookies === undefined ? '' : cookieToken(cookies);
  if (header === undefined || header === '') return { seen: cookie, cookie };
  return { seen: bounded(mergeTokens(header, cookie), header), cookie };
}

export interface ResponseToken {
  readonly header: Token;
  /** Undefined when the client's cookie says the same already. */
  readonly setCookie: string | undefined;
}

/** Undefined when the app server's answer carries no valid token. */
export function responseToken(
  request: RequestToken,
  answered: string | undefined,
): ResponseToken | undefined {
  if (answered === undefined || answered === '') return undefined;
  let header: Token;
  try {
    header = bounded(mergeTokens(request.seen, answered), answered);
  } catch {
    return undefined;
  }
  return { header, setCookie: header === request.cookie ? undefined : setCookie(header) };
}

function setCookie(token: Token): string {
  const maxAge = String(COOKIE_MAX_AGE_S);
  return `${TOKEN_COOKIE}=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAge}`;
}

/** A merged token too long to be accepted back would lock its bearer out: keep the newer part. */
function bounded(merged: Token, newest: Token): Token {
  return merged.length > TOKEN_LENGTH_MAX ? newest : merged;
}

function cookieToken(cookies: string): Token {
  for (const pair of cookies.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== TOKEN_COOKIE) continue;
    try {
      return mergeTokens(pair.slice(equals + 1).trim());
    } catch {
      return '';
    }
  }
  return '';
}
