/** A real issuer of tokens on loopback: a key set over HTTP, keys that come and go, and bad days. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from 'jose';
import type { AuthenticationOptions } from '../../src/gateway/options.ts';
import type { Handler } from './gateway-rig.ts';

export const ISSUER = 'https://login.example';
export const AUDIENCE = 'https://api.example';

export interface Signing {
  readonly kid?: string;
  readonly lifeS?: number;
}

/** Undefined leaves a claim out that would be there. */
export type Claims = Readonly<Record<string, unknown>>;

export interface TestIssuer extends AsyncDisposable {
  readonly url: string;
  /** Times that the key set was asked for. */
  readonly asked: number;
  /** Answers in place of the key set; undefined again serves it. */
  answer: Handler | undefined;
  addKey(kid: string): Promise<void>;
  removeKey(kid: string): void;
  /** As published. */
  publicKey(kid: string): JWK;
  /** Signed with the key (also one that was removed), for five minutes unless told otherwise. */
  token(claims?: Claims, signing?: Signing): Promise<string>;
}

export async function startIssuer(): Promise<TestIssuer> {
  const published = new Map<string, JWK>();
  const privateKeys = new Map<string, CryptoKey>();
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    if (issuer.answer !== undefined) issuer.answer(request, response);
    else response.end(JSON.stringify({ keys: [...published.values()] }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${String(port)}/jwks`,
    get asked() {
      return asked;
    },
    answer: undefined,
    addKey: async (kid) => {
      const pair = await generateKeyPair('ES256', { extractable: true });
      privateKeys.set(kid, pair.privateKey);
      published.set(kid, { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' });
    },
    removeKey: (kid) => void published.delete(kid),
    publicKey: (kid) => published.get(kid) ?? {},
    token: (claims = {}, { kid = 'first', lifeS = 300 } = {}) => {
      const payload: JWTPayload = {
        ...{ iss: ISSUER, aud: AUDIENCE, sub: 'user-1' },
        exp: Math.floor(Date.now() / 1_000) + lifeS,
        ...claims,
      };
      const key = privateKeys.get(kid);
      if (key === undefined) throw new Error(`no key ${kid}`);
      return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid }).sign(key);
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
  await issuer.addKey('first');
  return issuer;
}

/** Accepts the issuer's tokens, with times short enough for a test. */
export function accepting(
  issuer: TestIssuer,
  options: Partial<AuthenticationOptions> = {},
): AuthenticationOptions {
  return {
    issuers: {
      login: {
        issuer: ISSUER,
        audience: [AUDIENCE],
        algorithms: ['ES256', 'RS256'],
        keys: { kind: 'url', url: issuer.url },
      },
    },
    ...{ required: true, publicPaths: [], passPreflights: false },
    ...{ clockToleranceMs: 0, verifiedMax: 100 },
    ...{ keyRefreshMs: 60_000, keyCooldownMs: 20, keyTimeoutMs: 500, keyAgeMaxMs: 120_000 },
    ...options,
  };
}

export const bearer = (token: string): { readonly authorization: string } => ({
  authorization: `Bearer ${token}`,
});
