/**
 * Verifies bearer tokens (JWT, RFC 7519, as RFC 8725 advises) and remembers the verified ones.
 *
 * A token that is remembered costs a hash and a look-up: it is known by its SHA-256, so that no token
 * is kept. It counts as long as it has not expired and no key of its issuer has been taken out since;
 * then it is verified again. Everything that can be refused without a signature is, since a signature
 * is what costs; and signatures, and requests that wait for keys, are bounded.
 */
import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { Claims } from './account.ts';
import type { KeySet } from './key-set.ts';
import type { IssuerOptions } from './options.ts';

/** Whom a verified token speaks for. */
export interface Identity {
  /** The issuer's name in the configuration. */
  readonly issuer: string;
  readonly claims: Claims;
  /** The token's own payload: base64url of the claims' JSON. */
  readonly payload: string;
  /** The same for all tokens of a subject: what rate limits count. */
  readonly client: string;
}

export interface VerifierOptions {
  readonly issuers: readonly {
    readonly name: string;
    readonly options: Pick<IssuerOptions, 'issuer' | 'audience' | 'algorithms'>;
    readonly keys: KeySet;
  }[];
  readonly clockToleranceMs: number;
  readonly verifiedMax: number;
  readonly clock: Clock;
}

type Issuer = VerifierOptions['issuers'][number];

interface Remembered {
  readonly identity: Identity;
  readonly expiresAtMs: number;
  readonly keys: KeySet;
  readonly generation: number;
}

/** Longer ones are refused unread; the whole head of a request is bounded at 16 KiB. */
const TOKEN_LENGTH_MAX = 8_192;
/** Tokens being verified, those that wait for keys included. */
const PENDING_MAX = 1_024;
/** Of those, the ones that wait for keys: a flood of unknown keys leaves room for known ones. */
const WAITING_MAX = 512;
/** Keys tried for a token that does not say which is its own. */
const CANDIDATES_MAX = 8;

export class Verifier {
  readonly #options: VerifierOptions;
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #verified: LRUCache<string, Remembered>;
  readonly #pending = new Map<string, Promise<Identity>>();
  #waiting = 0;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#issuers = new Map(options.issuers.map((one) => [one.options.issuer, one]));
    this.#verified = new LRUCache({ max: options.verifiedMax });
  }

  /** What a token is known by; not the token. */
  keyOf(text: string): string {
    return hash('sha256', text, 'base64');
  }

  /** Whom a token verified before speaks for; undefined when it has to be verified (again). */
  recall(key: string): Identity | undefined {
    const known = this.#verified.get(key);
    if (known === undefined) return undefined;
    const { keys, generation, expiresAtMs, identity } = known;
    if (generation === keys.generation && keys.usable && this.#options.clock.now() < expiresAtMs) {
      return identity;
    }
    this.#verified.delete(key);
    return undefined;
  }

  /**
   * Rejects with ERR_GATEWAY_BEARER_INVALID, ERR_GATEWAY_KEYS_UNAVAILABLE, or ERR_GATEWAY_OVERLOADED
   * when too many are being verified. Equal tokens are verified once.
   */
  verify(text: string, key: string): Promise<Identity> {
    const running = this.#pending.get(key);
    if (running !== undefined) return running;
    if (this.#pending.size >= PENDING_MAX) return Promise.reject(overloaded());
    const verifying = this.#verify(text, key).finally(() => {
      this.#pending.delete(key);
    });
    this.#pending.set(key, verifying);
    return verifying;
  }

  async #verify(text: string, key: string): Promise<Identity> {
    const { issuer, kid } = this.#inspect(text);
    const { algorithms, audience } = issuer.options;
    const { clock, clockToleranceMs } = this.#options;
    const found = issuer.keys.keysFor(kid);
    const finder = found instanceof Promise ? await this.#awaitKeys(found) : found;
    const { generation } = issuer.keys;
    try {
      const { payload } = await verifyWithAny(text, finder, {
        algorithms: [...algorithms],
        audience: [...audience],
        issuer: issuer.options.issuer,
        requiredClaims: ['exp'],
        clockTolerance: clockToleranceMs / 1_000,
        currentDate: new Date(clock.now()),
      });
      const identity = identityOf(issuer.name, text, payload);
      const expiresAtMs = (payload.exp ?? 0) * 1_000 + clockToleranceMs;
      this.#verified.set(key, { identity, expiresAtMs, keys: issuer.keys, generation });
      return identity;
    } catch (error) {
      throw isMeridianError(error) ? error : invalid(reasonOf(error), error);
    }
  }

  /** Refuses what needs no key to be refused. */
  #inspect(text: string): { readonly issuer: Issuer; readonly kid: string | undefined } {
    if (text.length > TOKEN_LENGTH_MAX) throw invalid('it is too long');
    let header: ReturnType<typeof decodeProtectedHeader>;
    let claims: ReturnType<typeof decodeJwt>;
    try {
      header = decodeProtectedHeader(text);
      claims = decodeJwt(text);
    } catch (error) {
      throw invalid('it is not a signed JSON Web Token', error);
    }
    const issuer = typeof claims.iss === 'string' ? this.#issuers.get(claims.iss) : undefined;
    if (issuer === undefined) throw invalid('its issuer is not accepted');
    if (header.alg === undefined || !issuer.options.algorithms.includes(header.alg)) {
      throw invalid('its algorithm is not accepted');
    }
    const { clock, clockToleranceMs } = this.#options;
    const { exp } = claims;
    if (typeof exp !== 'number') throw invalid('it does not say when it expires');
    if (exp * 1_000 + clockToleranceMs <= clock.now()) throw invalid('it has expired');
    return { issuer, kid: typeof header.kid === 'string' ? header.kid : undefined };
  }

  async #awaitKeys(keys: Promise<JWTVerifyGetKey>): Promise<JWTVerifyGetKey> {
    if (this.#waiting >= WAITING_MAX) {
      keys.catch(() => {});
      throw overloaded();
    }
    this.#waiting += 1;
    try {
      return await keys;
    } finally {
      this.#waiting -= 1;
    }
  }
}

/** With the key that the token names; with each that may be meant when it names none. */
async function verifyWithAny(
  text: string,
  keys: JWTVerifyGetKey,
  options: Parameters<typeof jwtVerify>[2],
): Promise<{ readonly payload: Awaited<ReturnType<typeof jwtVerify>>['payload'] }> {
  try {
    return await jwtVerify(text, keys, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    for await (const key of error) {
      tried += 1;
      if (tried > CANDIDATES_MAX) break;
      try {
        return await jwtVerify(text, key, options);
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function identityOf(issuer: string, text: string, claims: Claims): Identity {
  const [, payload = ''] = text.split('.');
  const subject = typeof claims['sub'] === 'string' ? claims['sub'] : '';
  // Tokens of no subject, as machines have them, count together.
  return { issuer, claims, payload, client: `${issuer}\0${subject}` };
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf') return 'it is not valid yet';
    if (error.claim === 'aud') return 'it is meant for another audience';
    return `its claim ${error.claim} is missing or wrong`;
  }
  if (error instanceof errors.JWKSNoMatchingKey) return 'its key is unknown';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  return 'it cannot be verified';
}

function invalid(reason: string, cause?: unknown): MeridianError {
  return new MeridianError(
    'ERR_GATEWAY_BEARER_INVALID',
    `the bearer token is not accepted: ${reason}`,
    { details: { reason }, ...(cause === undefined ? {} : { cause }) },
  );
}

function overloaded(): MeridianError {
  return new MeridianError('ERR_GATEWAY_OVERLOADED', 'too many bearer tokens are being verified', {
    remedy: 'Try again shortly.',
  });
}
