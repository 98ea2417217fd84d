/**
 * Requests from a seed: honest ones, honest ones with one thing wrong, and wild ones. Most hostile
 * bytes differ little from honest ones, so that they get past the first line of the parser. Bytes are
 * latin1 text.
 */
import type { Random } from '../../src/kernel/random.ts';
import { bend, chance, pick } from './bend.ts';

export interface Sent {
  readonly bytes: string;
  /** Of its requests, as far as they are known. */
  readonly methods: readonly string[];
  /** Every request must be answered 200. */
  readonly honest: boolean;
}

const METHODS = ['GET', 'GET', 'POST', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'];
const TARGETS = ['/', '/x', '/accounts/alice', '/accounts/alice/orders?limit=20', 'http://h/x'];
const HEADERS = [
  ...['Accept: */*', 'User-Agent: fuzz', 'Cookie: a=b; meridian_token=x', 'X-Account: alice'],
  ...['Connection: keep-alive', 'TE: trailers', 'Meridian-Timeout-Ms: 60000', 'Meridian-Token:'],
  ...['X-Forwarded-For: 1.2.3.4, ::1', 'Forwarded: for="[::1]";proto=http', 'X-Real-IP: ::1'],
  ...['Meridian-Request-Id: a-1', 'Authorization: Basic eDp5', 'Content-Type: text/plain'],
  ...['Idempotency-Key: "4f1d0c6f9d8e4b7a"', `Authorization: Bearer ${'e30.'.repeat(3)}`],
];
const ODD_METHODS = ['TRACE', 'CONNECT', 'PRI', 'get', 'G\x00T', 'M-SEARCH', '', ' GET'];
const ODD_TARGETS = [
  ...['*', '//', '/..', '/accounts/%2e%2e/x', '/accounts/a%00', '/a\\b', '/accounts/%E0%A4%A'],
  ...['http://u@h/', 'https://[::1]:80/x', 'h:443', '/#f', '/\x80', '/a b', '/\t'],
  '/accounts/nobody',
];
const ODD_VERSIONS = ['HTTP/0.9', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.', ''];
const UPGRADE = 'Connection: upgrade\r\nUpgrade: websocket';
const ODD_HEADERS = [
  ...['Host: second', 'Host:', 'Host : h', 'Host: a,b', UPGRADE, 'Upgrade: websocket'],
  ...[`${UPGRADE}\r\nSec-WebSocket-Key: x`, 'Connection: close', 'Connection: host, x-account'],
  ...['Connection: ,,,', 'Meridian-Hop: eu', 'Meridian-Token: %%', 'Meridian-Timeout-Ms: -1'],
  ...['Meridian-Timeout-Ms: 1', 'Content-Length: 3', 'Content-Length: -1', 'Content-Length: 1e3'],
  ...['Content-Length: 99999999999', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip'],
  ...['Transfer-Encoding: \x0bchunked', 'Transfer-Encoding: identity', ' folded: x', ': nameless'],
  ...['Transfer-Encoding : chunked', 'Forwarded: for=";;,,"', 'X-Forwarded-For: ,,999.1.1.1,'],
  ...['Authorization: Bearer ..', 'X\x00: y', 'Expect: x', 'Expect: 100-continue', 'nocolon'],
  ...['Idempotency-Key: \x7f', 'Idempotency-Key: "a"\r\nIdempotency-Key: "b"', 'Idempotency-Key:'],
];

/** A request as it is put together; one with something wrong is an honest one that was changed. */
interface Draft {
  method: string;
  target: string;
  version: string;
  readonly headers: string[];
  body: string;
  eol: string;
}

function honest(random: Random): Draft {
  const body = chance(random, 3) ? 'x'.repeat(1 + random.below(300)) : '';
  const headers = ['Host: app.example'];
  const chunked = body !== '' && chance(random, 2);
  if (chunked) headers.push('Transfer-Encoding: chunked');
  else if (body !== '') headers.push(`Content-Length: ${String(body.length)}`);
  for (let left = random.below(4); left > 0; left -= 1) {
    const header = pick(random, HEADERS);
    if (!headers.includes(header)) headers.push(header);
  }
  return {
    ...{ method: pick(random, METHODS), target: pick(random, TARGETS), version: 'HTTP/1.1' },
    ...{ headers, body: chunked ? chunks(random, body) : body, eol: '\r\n' },
  };
}

const text = ({ method, target, version, headers, body, eol }: Draft): string =>
  [`${method} ${target} ${version}`, ...headers, '', body].join(eol);

const MISTAKES: readonly ((draft: Draft, random: Random) => void)[] = [
  (draft, random) => void (draft.method = pick(random, ODD_METHODS)),
  (draft, random) => void (draft.target = pick(random, ODD_TARGETS)),
  (draft, random) => void (draft.version = pick(random, ODD_VERSIONS)),
  (draft) => void (draft.eol = '\n'),
  (draft) => void draft.headers.shift(),
  (draft, random) => void (draft.body = bend(random, draft.body)),
  (draft, random) => void draft.headers.push(`X-Long: ${'a'.repeat(random.below(20_000))}`),
  (draft, random) => {
    for (let i = random.below(200); i > 0; i -= 1)
      draft.headers.push(`X-${String(i)}: ${String(i)}`);
  },
  ...Array.from({ length: 8 }, () => (draft: Draft, random: Random): void => {
    draft.headers.splice(random.below(draft.headers.length + 1), 0, pick(random, ODD_HEADERS));
  }),
];

function chunks(random: Random, body: string): string {
  let out = '';
  for (let at = 0; at < body.length;) {
    const size = 1 + random.below(body.length - at);
    const extension = chance(random, 6) ? `;e=${'v'.repeat(random.below(50))}` : '';
    out += `${size.toString(16)}${extension}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${out}0\r\n${chance(random, 5) ? 'X-Trailer: x\r\n' : ''}\r\n`;
}

/** What one connection sends: one to three requests, of which the last may be wrong. */
export function connectionBytes(random: Random): Sent {
  const drafts = Array.from({ length: 1 + random.below(3) }, () => honest(random));
  const methods = drafts.map((draft) => draft.method);
  const kind = random.below(4);
  const bent = drafts.at(-1);
  if (kind > 0 && bent !== undefined) {
    for (let left = kind === 3 ? 3 : 1; left > 0; left -= 1) pick(random, MISTAKES)(bent, random);
  }
  const bytes = drafts.map(text).join('');
  return { bytes: kind >= 2 ? bend(random, bytes) : bytes, methods, honest: kind === 0 };
}

/** The same bytes in up to eight packets. */
export function packets(random: Random, bytes: string): string[] {
  const cuts = Array.from({ length: random.below(8) }, () => random.below(bytes.length + 1));
  const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.slice(at[index], end));
}
