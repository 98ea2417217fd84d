/**
 * The parsers of outside bytes, each as a function of a seed. A parser may refuse with an error of
 * ours that says why; anything else it throws is a finding.
 */
import { createSecretKey, createHmac } from 'node:crypto';
import { configProblems } from '../../src/config/validate.ts';
import { parseActivity, parseSubscriber } from '../../src/control/control-request.ts';
import { parseFeedMessage } from '../../src/control/feed-message.ts';
import { accountFinder } from '../../src/gateway/account.ts';
import { bearerOf } from '../../src/gateway/bearer.ts';
import { believed, parseForwarded, parseForwardedFor } from '../../src/gateway/forwarded.ts';
import { acceptedRequestId, originForm, timeAllowedMs } from '../../src/gateway/headers.ts';
import { fixedKeys } from '../../src/gateway/key-set.ts';
import { addressMatcher, clientNetwork, networksOf } from '../../src/gateway/network.ts';
import { requestToken, responseToken } from '../../src/gateway/token.ts';
import { Verifier } from '../../src/gateway/verifier.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError, MeridianError } from '../../src/kernel/errors.ts';
import type { Random } from '../../src/kernel/random.ts';
import { isIdempotencyKey } from '../../src/topology/idempotency-key.ts';
import { formatToken, mergeTokens, parseToken } from '../../src/topology/position.ts';
import { bend, pick } from './bend.ts';

export interface ParserTarget {
  readonly name: string;
  readonly run: (random: Random) => unknown;
}

const ALPHABET = [
  'a',
  '1',
  '.',
  ',',
  ';',
  '=',
  '"',
  ':',
  '[',
  ']',
  '/',
  '%',
  '\\',
  '\0',
  '\xff',
  '-',
  ' ',
];
const noise = (random: Random): string =>
  Array.from({ length: random.below(40) }, () => pick(random, ALPHABET)).join('');
/** A well-formed text, bent, or noise. */
const near = (random: Random, ...wellFormed: readonly string[]): string => {
  const kind = random.below(8);
  if (kind === 0) return noise(random);
  const text = pick(random, wellFormed);
  return kind === 1 ? text : bend(random, text);
};

const SECRET = createSecretKey(Buffer.from('a secret of the fuzzing harness, 32 bytes'));
const verifier = new Verifier({
  issuers: [
    {
      name: 'fuzz',
      options: { issuer: 'https://issuer.example', audience: ['app'], algorithms: ['HS256'] },
      keys: fixedKeys(() => Promise.resolve(SECRET)),
    },
  ],
  clockToleranceMs: 0,
  verifiedMax: 100,
  clock: systemClock,
});

function signedToken(random: Random): string {
  const encode = (value: string): string => Buffer.from(value).toString('base64url');
  const header = near(random, '{"alg":"HS256"}', '{"alg":"none"}', '{"alg":"HS256","kid":1}');
  const claims = near(random, '{"iss":"https://issuer.example","aud":"app","exp":99999999999}');
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = createHmac('sha256', SECRET).update(signed).digest('base64url');
  return random.below(3) === 0 ? bend(random, `${signed}.${signature}`) : `${signed}.${signature}`;
}

const findAccount = accountFinder([
  { kind: 'header', name: 'x-account' },
  { kind: 'host', pattern: ':account.example.com' },
  { kind: 'path', pattern: '/accounts/:account' },
  { kind: 'claim', name: 'account_id', binding: 'when-present' },
]);
const trusted = addressMatcher(['loopback', 'private']);

const DECLARATION = JSON.stringify({
  regions: { 'us-east': { zones: ['a', 'b', 'c'] }, 'eu-west': {} },
  primaryRegion: 'us-east',
  survive: 'zone',
  latency: { betweenRegionsMs: { 'us-east|eu-west': 80 }, scale: 1 },
  tables: { orders: { kind: 'regional', by: 'account_id' }, currencies: { kind: 'global' } },
  app: { command: ['node', 'x.js'], env: { A: 'b' } },
  gateway: {
    account: [{ kind: 'path', pattern: '/accounts/:account' }],
    ports: { 'us-east': 1 },
    trustedProxies: ['10.0.0.0/8', 'loopback'],
    rateLimits: { perClient: { ratePerSecond: 1, burst: 2 } },
  },
});
const FEED = [
  '{"kind":"hello","installation":"x","supervisorStart":1,"engine":"e","regions":[],"primaryRegion":"r"}',
  '{"kind":"view","view":{"version":1,"primaryGroup":"g","groups":{},"ranges":{},"appServers":[]}}',
  '{"kind":"ping"}',
];
const positions = [{ group: 'us-1', epoch: 3, log: 77n }];

/** What a key is, said another way: 1 to 255 visible characters of ASCII. */
function plainKey(text: string): boolean {
  const visible = [...text].every((one) => one > ' ' && one < '\x7f');
  return visible && text.length > 0 && text.length <= 255;
}

export const PARSERS: readonly ParserTarget[] = [
  {
    name: 'consistency token',
    run: (random: Random): unknown => {
      const token = near(random, formatToken(positions), 'a', '');
      const request = requestToken(token, near(random, `meridian_token=${token}`, 'a=b; c'));
      responseToken(request, near(random, formatToken(positions)));
      return mergeTokens(formatToken(parseToken(token)), token);
    },
  },
  {
    name: 'configuration',
    run: (random: Random): unknown => {
      const text = near(random, DECLARATION);
      try {
        return configProblems(JSON.parse(text));
      } catch (error) {
        if (error instanceof SyntaxError) return configProblems(text);
        throw error;
      }
    },
  },
  {
    name: 'account',
    run: (random: Random): unknown => {
      const host = near(random, 'alice.example.com', 'example.com:80', '[::1]:8080');
      const claims = { account_id: pick(random, ['alice', '', 1, null, ['a', 'b'], {}, [[]]]) };
      return findAccount({
        path: near(random, '/accounts/alice', '/accounts/%61lice/x?y', '/accounts/..'),
        host,
        rawHeaders: random.below(2) === 0 ? [] : ['X-Account', near(random, 'alice', 'a b')],
        claims: random.below(2) === 0 ? undefined : claims,
        open: random.below(2) === 0,
      });
    },
  },
  {
    name: 'bearer token',
    run: async (random: Random): Promise<unknown> => {
      const text = signedToken(random);
      bearerOf(
        ['Authorization', near(random, `Bearer ${text}`), 'cookie', noise(random)],
        'session',
      );
      return verifier.verify(text, verifier.keyOf(text));
    },
  },
  {
    name: 'forwarded headers',
    run: (random: Random): unknown => {
      const list = near(
        random,
        'for=1.2.3.4;proto=https;host=h, for="[::1]:80"',
        'for=_x;by="a,b"',
      );
      believed('127.0.0.1', parseForwarded(list), trusted);
      const hops = parseForwardedFor(near(random, '1.2.3.4, 10.0.0.1', '::1', '[::1]:80'));
      const address = believed('127.0.0.1', hops, trusted);
      networksOf(near(random, '10.0.0.0/8', '::/0', 'fe80::1%eth0/64'));
      return clientNetwork(near(random, '1.2.3.4', '::ffff:1.2.3.4') + String(address.address));
    },
  },
  {
    name: 'request line and headers',
    run: (random: Random): unknown => [
      originForm(near(random, '/x?y', 'http://h/x', 'https://h?q', '*')),
      acceptedRequestId(near(random, 'a-1')),
      timeAllowedMs(near(random, '200'), 1_000),
    ],
  },
  {
    name: 'idempotency key',
    run: (random: Random): unknown => {
      const text = near(random, '"4f1d0c6f9d8e4b7a"', 'a-1', 'k'.repeat(255));
      const accepted = isIdempotencyKey(text);
      if (accepted !== plainKey(text)) throw new Error(`misjudged: ${JSON.stringify(text)}`);
      if (!accepted) throw new MeridianError('ERR_IDEMPOTENCY_KEY_INVALID', 'refused');
      return text;
    },
  },
  {
    name: 'control feed',
    run: (random: Random): unknown => parseFeedMessage(near(random, ...FEED)),
  },
  {
    name: 'control requests',
    run: (random: Random): unknown => {
      parseSubscriber(new URLSearchParams(near(random, 'process=x&region=us&zone=a&pid=7')));
      return parseActivity(near(random, '{"boundedReads":3}'));
    },
  },
];

/** Throws what a parser threw that is no refusal. */
export async function runParser(
  target: ParserTarget,
  random: Random,
): Promise<'taken' | 'refused'> {
  try {
    await target.run(random);
    return 'taken';
  } catch (error) {
    if (isMeridianError(error) && error.code !== 'ERR_INTERNAL') return 'refused';
    throw error;
  }
}
