/**
 * Reads key sets: over HTTP from an issuer, and from bytes. What is accepted is narrow: a JSON object
 * with a bounded list of public keys, of which only the members that verification needs are kept.
 */
import type { JSONWebKeySet, JWK } from 'jose';
import { Agent, request } from 'undici';
import { MeridianError } from '../kernel/errors.ts';
import type { FetchKeys } from './key-set.ts';

const BYTES_MAX = 256 * 1024;
const KEYS_MAX = 64;
const PUBLIC_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);
const TEXTS = ['kty', 'kid', 'alg', 'use', 'crv', 'n', 'e', 'x', 'y'] as const;

/** `destroy` cuts a fetch that is under way. Redirects are not followed. */
export function jwksFetcher(url: string): {
  readonly fetch: FetchKeys;
  readonly destroy: () => Promise<void>;
} {
  const agent = new Agent({ connections: 1, keepAliveTimeout: 1_000 });
  const fetch: FetchKeys = async (signal) => {
    const answer = await request(url, {
      dispatcher: agent,
      signal,
      headers: { accept: 'application/jwk-set+json, application/json' },
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    // Leaving the loop destroys the body, and its connection.
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > BYTES_MAX) throw unreadable(`is longer than ${String(BYTES_MAX)} bytes`);
      chunks.push(chunk);
    }
    if (answer.statusCode !== 200) throw unreadable(`has status ${String(answer.statusCode)}`);
    return parseKeySet(Buffer.concat(chunks).toString('utf8'));
  };
  return { fetch, destroy: () => agent.destroy() };
}

/** Throws ERR_GATEWAY_KEYS_UNAVAILABLE for what is no key set. Keys that cannot verify are left out. */
export function parseKeySet(text: string): JSONWebKeySet {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw unreadable('is not JSON');
  }
  const keys = (read as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys)) throw unreadable('has no list of keys');
  if (keys.length > KEYS_MAX) throw unreadable(`has more than ${String(KEYS_MAX)} keys`);
  return { keys: keys.flatMap((key: unknown) => publicKey(key) ?? []) };
}

function publicKey(key: unknown): JWK | undefined {
  if (typeof key !== 'object' || key === null) return undefined;
  const given = key as Record<string, unknown>;
  if (!PUBLIC_TYPES.has(given['kty'])) return undefined;
  const kept: Record<string, unknown> = {};
  for (const name of TEXTS) {
    if (typeof given[name] === 'string') kept[name] = given[name];
  }
  const operations = given['key_ops'];
  if (Array.isArray(operations)) kept['key_ops'] = operations.filter((one) => one === 'verify');
  return kept;
}

function unreadable(how: string): MeridianError {
  return new MeridianError('ERR_GATEWAY_KEYS_UNAVAILABLE', `the key set ${how}`);
}
