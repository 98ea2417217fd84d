/** Answers of an app server from a seed: honest, with one thing wrong, or wild. Latin1 text. */
import type { Random } from '../../src/kernel/random.ts';
import { bend, chance, pick } from './bend.ts';

/** Not 500: that is the gateway's own failure. */
const STATUSES = ['200 OK', '200 OK', '201 Created', '204 No Content', '304 Not Modified', '404 -'];
const ODD_LINES = [
  ...['HTTP/1.1 099 x', 'HTTP/1.1 1000 x', 'HTTP/1.0 200 OK', 'HTTP/2.0 200 OK', 'ICY 200 OK', ''],
  ...['HTTP/1.1 101 x', 'HTTP/1.1 200', 'HTTP/1.1 200 \x00', 'HTTP/1.1 421 x', 'HTTP/1.1 -1 x'],
  ...['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK', 'HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK'],
];
const ODD_HEADERS = [
  ...['Content-Length: 3', 'Content-Length: -1', 'Content-Length: 1e3', 'Content-Length: 3, 3'],
  ...['Transfer-Encoding: gzip', 'Transfer-Encoding: chunked', 'Transfer-Encoding: \x0bchunked'],
  ...['Connection: close', 'Connection: content-length', 'Connection: upgrade', ' folded: x'],
  ...[
    'Trailer: x',
    'Upgrade: websocket',
    ': nameless',
    'X\x00: y',
    'X: \x01',
    'X: a\rb',
    'nocolon',
  ],
  ...['Meridian-Token: %%', 'Meridian-Token: a,a', 'Meridian-Stale-Route: 1', 'Set-Cookie: \x80'],
  ...[
    'Meridian-Request-Id: other',
    'Meridian-Served-By: other',
    'Content-Length: 99999999999999999',
  ],
  ...['Keep-Alive: timeout=-1', 'Keep-Alive: timeout=99999999999999', 'Date: x', 'Via:'],
];

export function answerBytes(random: Random): string {
  const kind = random.below(4);
  const wrong = kind > 0;
  const status = pick(random, STATUSES);
  const bare = status.startsWith('204') || status.startsWith('304');
  const body = bare || chance(random, 4) ? '' : 'y'.repeat(random.below(2_000));
  const lines = [`HTTP/1.1 ${status}`, 'Content-Type: text/plain'];
  const chunked = body !== '' && chance(random, 3);
  if (chunked) lines.push('Transfer-Encoding: chunked');
  else if (!bare) lines.push(`Content-Length: ${String(body.length)}`);
  if (wrong && chance(random, 3)) lines[0] = pick(random, ODD_LINES);
  if (wrong && chance(random, 2)) lines.push(pick(random, ODD_HEADERS));
  if (wrong && chance(random, 8)) lines.splice(2, 1);
  if (wrong && chance(random, 20)) lines.push(`X-Long: ${'b'.repeat(random.below(40_000))}`);
  const framed = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
  const bytes = [...lines, '', framed].join('\r\n');
  // A second answer that nobody asked for: the next request on the connection must not get it.
  const extra =
    wrong && chance(random, 6) ? 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen' : '';
  return (kind >= 2 ? bend(random, bytes) : bytes) + extra;
}
