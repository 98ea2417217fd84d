/** What takes turns in `bench -- gateway`, and the request each of them gets. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { GatewayOptions } from '../../src/gateway/options.ts';

export type Variant = { readonly name: string; readonly request: string } & (
  | { readonly kind: 'nginx'; readonly accessLog: boolean }
  | { readonly kind: 'gateway'; readonly options: Partial<GatewayOptions> }
);

/** About what a browser's fetch sends. */
const COMMON = [
  'host: app.example',
  'user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'accept: application/json',
  'accept-language: en-US,en;q=0.5',
  'accept-encoding: gzip, deflate, br',
  'cookie: session=4f1d0c6f9d8e4b7aa2c3',
];

const get = (...more: string[]): string =>
  ['GET /accounts/alice/orders?limit=20 HTTP/1.1', ...COMMON, ...more, '', ''].join('\r\n');

const post = (body: string): string =>
  [
    'POST /accounts/alice/orders HTTP/1.1',
    ...COMMON,
    'content-type: application/json',
    `content-length: ${String(body.length)}`,
    '',
    body,
  ].join('\r\n');

const ORDER = JSON.stringify({ item: 'book', quantity: 2, note: 'x'.repeat(180) });

/** Never reached: limits are counted, and refuse nothing. */
const UNREACHED = { ratePerSecond: 1e9, burst: 1e9 };
const ISSUER = 'https://login.example';
const AUDIENCE = 'https://api.example';

interface Guarded {
  readonly options: Partial<GatewayOptions>;
  /** A header with a token that it accepts. */
  readonly authorization: string;
}

/** Bearer tokens verified against a key, and requests counted per account and client. */
async function guarded(): Promise<Guarded> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const key = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' };
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'user-1', scope: 'orders:read orders:write' };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: 'bench' })
    .setExpirationTime('1h')
    .sign(privateKey);
  const authentication: NonNullable<GatewayOptions['authentication']> = {
    issuers: {
      login: {
        issuer: ISSUER,
        audience: [AUDIENCE],
        algorithms: ['ES256'],
        keys: { kind: 'inline', keys: [key] },
      },
    },
    ...{ required: true, publicPaths: [], passPreflights: false },
    ...{ clockToleranceMs: 30_000, verifiedMax: 10_000 },
    ...{ keyRefreshMs: 600_000, keyCooldownMs: 30_000, keyTimeoutMs: 5_000 },
    keyAgeMaxMs: 86_400_000,
  };
  const rateLimits = { perAccount: UNREACHED, perClient: UNREACHED, keysMax: 10_000 };
  return {
    options: { authentication, rateLimits },
    authorization: `authorization: Bearer ${token}`,
  };
}

/** `folder` is for what they write. */
export async function variants(folder: string): Promise<readonly Variant[]> {
  const { options, authorization } = await guarded();
  const request = get(authorization, 'idempotency-key: 9a1b7c52-40a8-4f57-8d4c-2f7f6f6c9b11');
  const accessLog: NonNullable<GatewayOptions['accessLog']> = {
    ...{ directory: folder, account: true, clientAddress: 'truncated' },
    ...{ fileBytesMax: 256 * 1024 * 1024, filesMax: 2 },
  };
  return [
    { name: 'nginx', kind: 'nginx', accessLog: false, request: get() },
    { name: 'nginx, access log', kind: 'nginx', accessLog: true, request: get() },
    { name: 'gateway', kind: 'gateway', options: {}, request: get() },
    { name: 'gateway, POST', kind: 'gateway', options: {}, request: post(ORDER) },
    { name: 'gateway, tokens and limits', kind: 'gateway', options, request },
    {
      name: 'gateway, all and access log',
      ...{ kind: 'gateway', options: { ...options, accessLog }, request },
    },
  ];
}
