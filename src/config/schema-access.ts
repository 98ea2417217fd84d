/** The shape of what the gateway lets in: issuers of bearer tokens, rate limits, trusted proxies; and its log. */
import { z } from 'zod';
import { networksOf } from '../gateway/network.ts';
import { flag, integer, number, oneOf, path, text, timeout } from './schema-values.ts';

export const PUBLIC_KEY_ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
] as const;
export const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const;

const AUDIENCE = "the audience of your tokens, such as 'https://api.example.com', or several";
const PUBLIC_PATH = 'a path such as /login, without :, ? or a slash at its end';

const issuer = z.strictObject(
  {
    issuer: text("the issuer as in the token's iss claim"),
    audience: z.union([text(AUDIENCE), z.array(text(AUDIENCE)).min(1, { error: AUDIENCE })], {
      error: AUDIENCE,
    }),
    algorithms: z
      .array(oneOf([...PUBLIC_KEY_ALGORITHMS, ...SECRET_ALGORITHMS]), { error: 'an array' })
      .min(1, { error: 'at least one algorithm' })
      .optional(),
    jwksUrl: z.string({ error: 'an address' }).optional(),
    keysFile: path.optional(),
    keys: z
      .array(z.record(z.string(), z.unknown(), { error: 'a public key as JWK' }), {
        error: 'an array of public keys as JWK',
      })
      .min(1, { error: 'at least one key' })
      .max(64, { error: 'at most 64 keys' })
      .optional(),
    secretFile: path.optional(),
    secretVariable: z
      .string({ error: "an environment variable's name" })
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "an environment variable's name" })
      .optional(),
  },
  { error: 'an object with issuer, audience and one source of keys' },
);

export const authentication = z.strictObject(
  {
    issuers: z.record(z.string(), issuer, { error: 'an object of issuers by name' }),
    required: flag.optional(),
    publicPaths: z
      .array(
        z.string({ error: PUBLIC_PATH }).regex(/^(?:\/[A-Za-z0-9._~-]+)+$/, { error: PUBLIC_PATH }),
        { error: 'an array of paths' },
      )
      .optional(),
    passPreflights: flag.optional(),
    cookie: z
      .string({ error: "a cookie's name" })
      .regex(/^[A-Za-z0-9_.-]{1,64}$/, { error: "a cookie's name" })
      .optional(),
    clockToleranceMs: integer(0, 300_000).optional(),
    verifiedMax: integer(1, 1_000_000).optional(),
    keyRefreshMs: integer(1_000, 86_400_000).optional(),
    keyCooldownMs: timeout.optional(),
    keyTimeoutMs: integer(1, 60_000).optional(),
    keyAgeMaxMs: integer(1_000, 604_800_000).optional(),
  },
  { error: 'an object with issuers' },
);

const rateLimit = z.strictObject(
  { ratePerSecond: number(0.001, 1_000_000), burst: integer(1, 1_000_000).optional() },
  { error: 'an object with ratePerSecond' },
);

export const rateLimits = z.strictObject(
  {
    perAccount: rateLimit.optional(),
    perClient: rateLimit.optional(),
    keysMax: integer(2, 10_000_000).optional(),
  },
  { error: 'an object with perAccount or perClient' },
);

const PROXY = "an address, a network such as '10.0.0.0/8', 'loopback' or 'private'";

export const proxy = z
  .string({ error: PROXY })
  .refine((entry) => networksOf(entry) !== undefined, { error: PROXY });

export const accessLog = z.union(
  [
    z.literal(false),
    z.strictObject({
      directory: path.optional(),
      account: flag.optional(),
      clientAddress: oneOf(['full', 'truncated', 'none']).optional(),
      fileBytesMax: integer(65_536, 68_719_476_736).optional(),
      filesMax: integer(0, 100).optional(),
    }),
  ],
  { error: 'false, or an object; {} takes every default' },
);
