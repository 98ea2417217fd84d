/** Builds the verifier from the declaration: opens each issuer's keys, and owns what fetches them. */
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, importSPKI, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Scope } from '../kernel/scope.ts';
import { jwksFetcher, parseKeySet } from './jwks.ts';
import { FetchedKeys, fixedKeys, type KeySet } from './key-set.ts';
import type { AuthenticationOptions, IssuerOptions } from './options.ts';
import { Verifier } from './verifier.ts';

/** RFC 7518 §3.2: a key as long as the hash, at least. */
const SECRET_BYTES_MIN = 32;

export interface IssuersOptions {
  readonly authentication: AuthenticationOptions;
  /** Values of the environment variables that the declaration names. */
  readonly secrets: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  /** Owns the fetching of keys. */
  readonly scope: Scope;
}

/**
 * Throws ERR_CONFIG_INVALID for a key or secret that cannot be read. An issuer that cannot be reached
 * is no reason not to start: its tokens are refused as retryable until it can.
 */
export async function openVerifier(options: IssuersOptions): Promise<Verifier> {
  const { authentication, clock } = options;
  const issuers: ConstructorParameters<typeof Verifier>[0]['issuers'][number][] = [];
  for (const [name, issuer] of Object.entries(authentication.issuers)) {
    const keys = await openKeys(name, issuer, options);
    options.scope.push(`keys of issuer ${name}`, () => keys.close());
    issuers.push({ name, options: issuer, keys });
  }
  const { clockToleranceMs, verifiedMax } = authentication;
  return new Verifier({ issuers, clockToleranceMs, verifiedMax, clock });
}

async function openKeys(
  name: string,
  issuer: IssuerOptions,
  options: IssuersOptions,
): Promise<KeySet> {
  const { keys } = issuer;
  const at = `gateway.authentication.issuers.${name}`;
  switch (keys.kind) {
    case 'inline':
      return fixedKeys(localKeys({ keys: [...keys.keys] }));
    case 'file':
      return fixedKeys(await publicKeys(await read(keys.file, `${at}.keysFile`), issuer, at));
    case 'secret-file':
      return fixedKeys(secretKey(await read(keys.file, `${at}.secretFile`), `${at}.secretFile`));
    case 'secret-environment': {
      const secret = options.secrets[keys.variable] ?? '';
      return fixedKeys(secretKey(secret, `${at}.secretVariable`));
    }
    case 'url': {
      const { fetch, destroy } = jwksFetcher(keys.url);
      const { authentication: timing, clock, log, scope } = options;
      scope.push(`connections to issuer ${name}`, destroy);
      return new FetchedKeys({ name, fetch, timing, clock, log });
    }
  }
}

/** A JWKS document or one PEM public key. */
async function publicKeys(
  text: string,
  issuer: IssuerOptions,
  at: string,
): Promise<JWTVerifyGetKey> {
  try {
    if (!text.includes('-----BEGIN')) return localKeys(parseKeySet(text));
    const key = await importSPKI(text, issuer.algorithms[0] ?? '');
    return () => key;
  } catch (cause) {
    throw new MeridianError('ERR_CONFIG_INVALID', `${at}.keysFile: ${messageOf(cause)}`, {
      cause,
      remedy: 'Name a JWKS document, or a PEM public key (SPKI) with its one algorithm.',
    });
  }
}

function localKeys(set: JSONWebKeySet): JWTVerifyGetKey {
  return createLocalJWKSet(parseKeySet(JSON.stringify(set)));
}

function secretKey(text: string, key: string): JWTVerifyGetKey {
  const secret = Buffer.from(text.trim(), 'utf8');
  if (secret.length < SECRET_BYTES_MIN) {
    throw new MeridianError(
      'ERR_CONFIG_INVALID',
      `${key} gives a secret of ${String(secret.length)} bytes; expected at least ` +
        String(SECRET_BYTES_MIN),
    );
  }
  return () => secret;
}

async function read(file: string, key: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new MeridianError('ERR_CONFIG_INVALID', `${key}: ${messageOf(cause)}`, { cause });
  }
}
