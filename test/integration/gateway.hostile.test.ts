/**
 * Hostile bytes: what the gateway answers, and that exactly the intended bytes reach the app server,
 * which here records what it gets instead of parsing it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, raw, startRig, type Rig } from '../support/gateway-rig.ts';
import { startRawUpstream, type RawUpstream } from '../support/raw-upstream.ts';

let rig: Rig;
let upstream: RawUpstream;

before(async () => {
  upstream = await startRawUpstream();
  rig = await startRig({
    servers: {},
    options: {
      account: [{ kind: 'header', name: 'x-account' }],
      headersMax: 50,
      urlBytesMax: 1_000,
      headerBytesMax: 4_096,
      bodyLimitBytes: 10_000,
      requestTimeoutMs: 1_000,
    },
    homes: { alice: 'eu' },
  });
  const address = { host: '127.0.0.1', port: upstream.port };
  const locality = { region: 'eu', zone: 'a' };
  rig.control.show([
    { name: 'eu.0', instance: 'eu.0#1', roundTripMs: 0, locality, address, ready: true },
  ]);
});

after(async () => {
  await rig[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

interface Forwarded {
  readonly line: string;
  readonly headers: readonly string[];
  readonly body: string;
}

/** Sends the bytes, and gives every status answered and all that was forwarded. */
async function send(bytes: string): Promise<{ statuses: string[]; forwarded: Forwarded[] }> {
  upstream.forget();
  const answered = await raw(rig.gateway.port, bytes);
  const statuses = [...answered.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => match[1] ?? '');
  await eventually('nothing is in flight', () => rig.gateway.counters().inFlight === 0);
  return { statuses, forwarded: split(upstream.bytes()) };
}

/** Every request starts with a method; the bodies of these tests contain none. */
function split(bytes: string): Forwarded[] {
  return bytes
    .split(/(?=(?:GET|POST|PUT) \/[^\r\n]* HTTP\/1\.1\r\n)/)
    .filter((text) => text !== '')
    .map((text) => {
      const [head = '', ...body] = text.split('\r\n\r\n');
      const [line = '', ...headers] = head.split('\r\n');
      return { line, headers, body: body.join('\r\n\r\n') };
    });
}

const get = (...lines: string[]): string =>
  ['GET /x HTTP/1.1', 'Host: h', 'Connection: close', ...lines, '', ''].join('\r\n');
const post = (body: string, ...lines: string[]): string =>
  ['POST /x HTTP/1.1', 'Host: h', ...lines, '', body].join('\r\n');
const CHUNKED = 'Transfer-Encoding: chunked';
/** What would be a request of its own, if the one before it ended early. */
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n';

const REFUSED: Readonly<Record<string, readonly [string, string]>> = {
  'length and coding': ['400', post(`0\r\n\r\n${HIDDEN}`, 'Content-Length: 3', CHUNKED)],
  'coding and length': ['400', post(`0\r\n\r\n${HIDDEN}`, CHUNKED, 'Content-Length: 40')],
  'two lengths': ['400', post('abc', 'Content-Length: 3', 'Content-Length: 5')],
  'the same length twice': ['400', post('abc', 'Content-Length: 3', 'Content-Length: 3')],
  'a list of lengths': ['400', post('abc', 'Content-Length: 3, 3')],
  'a length with a sign': ['400', post('abc', 'Content-Length: +3')],
  'a negative length': ['400', post('abc', 'Content-Length: -3')],
  'a length with a gap': ['400', post('abc', 'Content-Length: 3 0')],
  'a length in hex': ['400', post('abc', 'Content-Length: 0x3')],
  'an empty length': ['400', post('', 'Content-Length:')],
  'a length beyond all numbers': ['400', post('', `Content-Length: ${'9'.repeat(30)}`)],
  'a length over the limit': ['413', post('', 'Connection: close', 'Content-Length: 10001')],
  'chunked, identity': ['400', post('0\r\n\r\n', 'Transfer-Encoding: chunked, identity')],
  'identity, chunked': ['400', post('0\r\n\r\n', 'Transfer-Encoding: identity, chunked')],
  'two codings': ['400', post('0\r\n\r\n', 'Transfer-Encoding: identity', CHUNKED)],
  'chunked twice': ['400', post('0\r\n\r\n', CHUNKED, CHUNKED)],
  xchunked: ['400', post('0\r\n\r\n', 'Transfer-Encoding: xchunked')],
  'quoted chunked': ['400', post('0\r\n\r\n', 'Transfer-Encoding: "chunked"')],
  'an empty coding': ['400', post('', 'Transfer-Encoding:')],
  identity: ['400', post('', 'Transfer-Encoding: identity')],
  'a vertical tab before chunked': ['400', post('0\r\n\r\n', 'Transfer-Encoding: \x0bchunked')],
  'a space before the colon': ['400', post('0\r\n\r\n', 'Transfer-Encoding : chunked')],
  'a folded coding': ['400', post('0\r\n\r\n', 'Transfer-Encoding:\r\n chunked')],
  'a folded length': ['400', post('abc', 'X: a\r\n Content-Length: 3')],
  'a folded header': ['400', get('X: a\r\n b')],
  'a space before the first header': ['400', 'GET /x HTTP/1.1\r\n Host: h\r\n\r\n'],
  'bare LF': ['400', 'GET /x HTTP/1.1\nHost: h\n\n'],
  'a bare LF in the head': ['400', get('X: a\nY: b')],
  'a bare CR in the head': ['400', get('X: a\rY: b')],
  'NUL in a value': ['400', get('X: a\0b')],
  'NUL in a name': ['400', get('X\0: a')],
  'NUL in the target': ['400', 'GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n'],
  'a control character in a value': ['400', get('X: a\x01b')],
  'a header without name': ['400', get(': a')],
  'a header without colon': ['400', get('X')],
  'brackets in a name': ['400', get('X(): a')],
  'no Host': ['400', 'GET /x HTTP/1.1\r\nConnection: close\r\n\r\n'],
  'two Hosts': ['400', get('Host: i')],
  'an empty Host': ['400', 'GET /x HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'],
  'a Host with a path': ['400', 'GET /x HTTP/1.1\r\nHost: h/x\r\nConnection: close\r\n\r\n'],
  'a Host with a user': ['400', 'GET /x HTTP/1.1\r\nHost: u@h\r\nConnection: close\r\n\r\n'],
  'a list of Hosts': ['400', 'GET /x HTTP/1.1\r\nHost: h, i\r\nConnection: close\r\n\r\n'],
  'a user in the target': ['400', get().replace('/x', 'http://u:p@h/x')],
  'another scheme': ['400', get().replace('/x', 'ftp://h/x')],
  'a fragment': ['400', get().replace('/x', '/x#y')],
  'a space in the target': ['400', get().replace('/x', '/x y')],
  'a tab in the target': ['400', get().replace('/x', '/x\ty')],
  'bytes beyond ASCII in the target': ['400', get().replace('/x', '/\xff')],
  'an unknown method': ['400', get().replace('GET', 'FOO')],
  'a method in lower case': ['400', get().replace('GET', 'get')],
  'HTTP/0.9': ['400', 'GET /x\r\n\r\n'],
  'HTTP/1.2': ['400', get().replace('HTTP/1.1', 'HTTP/1.2')],
  'HTTP/2.0 in words': ['400', get().replace('HTTP/1.1', 'HTTP/2.0')],
  'the preface of HTTP/2': ['400', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  'TLS on a plain port': ['400', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  'chunks in HTTP/1.0': ['400', post('0\r\n\r\n', CHUNKED).replace('HTTP/1.1', 'HTTP/1.0')],
  'HTTP/1.0 without Host': ['400', 'GET /x HTTP/1.0\r\n\r\n'],
  'an unknown expectation': ['417', get('Expect: miracles')],
  'Connection names the account header': ['400', get('Connection: x-account', 'X-Account: alice')],
  'Connection names the bearer': ['400', get('Connection: close, Authorization')],
  'Connection names Host': ['400', get('Connection: close, host')],
  'Connection names a length': [
    '400',
    post('abc', 'Connection: content-length', 'Content-Length: 3'),
  ],
  'Connection names our own': ['400', get('Connection: meridian-token')],
  'too many headers': ['431', get(...Array.from({ length: 49 }, (_, i) => `X-${String(i)}: 1`))],
  'a head that is too long': ['431', get(`X: ${'a'.repeat(5_000)}`)],
  'a target that is too long': ['414', get().replace('/x', `/${'x'.repeat(1_000)}`)],
};

describe('refused, and nothing of it reaches an app server:', () => {
  for (const [name, [status, bytes]] of Object.entries(REFUSED)) {
    test(name, async () => {
      assert.deepEqual(await send(bytes), { statuses: [status], forwarded: [] });
    });
  }
});

/** Cut in the middle: an app server may have seen a beginning, but no end. */
const CUT: Readonly<Record<string, string>> = {
  'chunks that end in LF': post('3\nabc\n0\n\n', CHUNKED),
  'an extension that ends in LF': post('3;a=b\nabc\r\n0\r\n\r\n', CHUNKED),
  'a chunk longer than it says': post(`3\r\nabcXX0\r\n\r\n${HIDDEN}`, CHUNKED),
  'a chunk size beyond all numbers': post('fffffffffffffffff\r\nabc', CHUNKED),
  'a negative chunk size': post('-3\r\nabc', CHUNKED),
  'a chunk size in 0x': post('0x3\r\nabc\r\n0\r\n\r\n', CHUNKED),
  'a chunk size with a space': post('3 \r\nabc\r\n0\r\n\r\n', CHUNKED),
  'trailers with NUL': post('3\r\nabc\r\n0\r\nX: \0\r\n\r\n', CHUNKED),
  'extensions without end': post(`3;${'a'.repeat(40_000)}\r\nabc\r\n0\r\n\r\n`, CHUNKED),
  'more than the limit, in chunks': post('1000\r\n'.padEnd(4_104, 'x').repeat(9), CHUNKED),
};

describe('a body that goes wrong is refused or cut, and never ends well at an app server:', () => {
  for (const [name, bytes] of Object.entries(CUT)) {
    test(name, async () => {
      const { statuses, forwarded } = await send(bytes);
      assert.ok(statuses.length <= 1 && !statuses.includes('200'), statuses.join());
      assert.ok(forwarded.length <= 1);
      for (const { body } of forwarded) assert.ok(!body.endsWith('0\r\n\r\n'), body);
    });
  }

  test('a chunk of nearly endless size is given up at the deadline', async () => {
    const { statuses, forwarded } = await send(post('7fffffffffffffff\r\nabc', CHUNKED));
    assert.deepEqual(statuses, ['504']);
    assert.ok(forwarded.every(({ body }) => !body.endsWith('0\r\n\r\n')));
  });
});

describe('passed on as intended:', () => {
  const one = async (bytes: string): Promise<Forwarded> => {
    const { statuses, forwarded } = await send(bytes);
    assert.deepEqual(
      [statuses.filter((status) => status !== '100'), forwarded.length],
      [['200'], 1],
    );
    return forwarded[0] ?? { line: '', headers: [], body: '' };
  };
  const valuesOf = (headers: readonly string[], name: string): string[] =>
    headers
      .filter((header) => header.toLowerCase().startsWith(`${name}: `))
      .map((header) => header.slice(name.length + 2));
  const close = 'Connection: close';

  test('a request, with the headers of an edge and no others of theirs', async () => {
    const forged = ['X-Forwarded-For: 6.6.6.6', 'Forwarded: for=6.6.6.6', 'Meridian-Region: moon'];
    const { line, headers } = await one(get('X-Kept: a  b', ...forged, 'Keep-Alive: 5', 'TE: x'));
    assert.equal(line, 'GET /x HTTP/1.1');
    assert.deepEqual(valuesOf(headers, 'host'), ['h']);
    assert.deepEqual(valuesOf(headers, 'x-kept'), ['a  b']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-for'), ['127.0.0.1']);
    assert.deepEqual(valuesOf(headers, 'meridian-region'), ['eu']);
    for (const gone of ['forwarded', 'te', 'transfer-encoding']) {
      assert.deepEqual(valuesOf(headers, gone), [], gone);
    }
    assert.deepEqual(valuesOf(headers, 'connection'), ['keep-alive']);
  });

  test('a header that Connection may name is taken out', async () => {
    const { headers } = await one(get('Connection: X-Hop', 'X-Hop: 1', 'X-Stays: 1'));
    assert.deepEqual([valuesOf(headers, 'x-hop'), valuesOf(headers, 'x-stays')], [[], ['1']]);
  });

  test('an absolute target: its authority is the host, whatever Host says', async () => {
    const { line, headers } = await one(get().replace('/x', 'http://other.example/abs?q'));
    assert.equal(line, 'GET /abs?q HTTP/1.1');
    assert.deepEqual(valuesOf(headers, 'host'), ['other.example']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-host'), ['other.example']);
  });

  test('a body of declared length', async () => {
    const { headers, body } = await one(post('abc', close, 'Content-Length: 3'));
    assert.deepEqual(valuesOf(headers, 'content-length'), ['3']);
    assert.equal(body, 'abc');
  });

  test('chunks without their extensions and trailers', async () => {
    const chunks = '3;a=b;c="d"\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: x\r\nHost: evil\r\n\r\n';
    const { headers, body } = await one(post(chunks, close, 'Transfer-Encoding: CHUNKED'));
    assert.deepEqual(valuesOf(headers, 'content-length'), []);
    assert.deepEqual(valuesOf(headers, 'transfer-encoding'), ['chunked']);
    assert.match(body, /^(?:[1-5]\r\n[a-e]+\r\n)+0\r\n\r\n$/);
    assert.equal(body.replaceAll(/[\r\n\d]/g, ''), 'abcde');
    assert.doesNotMatch(headers.join() + body, /trailer|evil/i);
  });

  test('a tab before chunked, which RFC 9110 allows', async () => {
    const bytes = post('3\r\nabc\r\n0\r\n\r\n', close, 'Transfer-Encoding: \tchunked');
    assert.equal((await one(bytes)).body, '3\r\nabc\r\n0\r\n\r\n');
  });

  test('a GET with a body, whose body stays its body', async () => {
    const bytes = get(`Content-Length: ${String(HIDDEN.length)}`) + HIDDEN;
    upstream.forget();
    assert.match(await raw(rig.gateway.port, bytes), /^HTTP\/1\.1 200 /);
    assert.ok(upstream.bytes().endsWith(`\r\n\r\n${HIDDEN}`));
    assert.match(upstream.bytes(), new RegExp(`content-length: ${String(HIDDEN.length)}\r\n`, 'i'));
  });

  test('HTTP/1.0, which is answered and closed', async () => {
    const { line, headers } = await one('GET /x HTTP/1.0\r\nHost: h\r\n\r\n');
    assert.deepEqual([line, valuesOf(headers, 'host')], ['GET /x HTTP/1.1', ['h']]);
  });

  test('HTTP/1.0 that stays open, and pipelining, in order', async () => {
    const old = 'GET /0 HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n';
    const some = [1, 2, 3].map((i) => `GET /${String(i)} HTTP/1.1\r\nHost: h\r\n\r\n`).join('');
    const { statuses, forwarded } = await send(old + some + get());
    assert.deepEqual(statuses, ['200', '200', '200', '200', '200']);
    const lines = forwarded.map(({ line }) => line.split(' ')[1]).sort();
    assert.deepEqual(lines, ['/0', '/1', '/2', '/3', '/x']);
  });

  test('empty lines before a request', async () => {
    assert.equal((await one(`\r\n\r\n${get()}`)).line, 'GET /x HTTP/1.1');
  });

  test('garbage behind a whole request does not keep it from its answer', async () => {
    const { statuses, forwarded } = await send(`${post('abc', 'Content-Length: 3')}\0\0garbage`);
    assert.deepEqual([statuses, forwarded.map(({ body }) => body)], [['200'], ['abc']]);
    const behind = await send(get() + HIDDEN);
    assert.deepEqual(behind.statuses, ['200']);
    assert.deepEqual(
      behind.forwarded.map(({ line }) => line),
      ['GET /x HTTP/1.1'],
    );
  });

  test('the bytes of one request, however they are cut up', async () => {
    const bytes = post('3\r\nabc\r\n0\r\n\r\n', close, CHUNKED);
    for (const size of [1, 7]) {
      upstream.forget();
      const pieces = bytes.match(new RegExp(`[^]{1,${String(size)}}`, 'g')) ?? [];
      assert.match(await raw(rig.gateway.port, pieces), /^HTTP\/1\.1 200 /);
      assert.deepEqual(
        split(upstream.bytes()).map(({ line }) => line),
        ['POST /x HTTP/1.1'],
      );
    }
  });
});

describe('Expect: 100-continue', () => {
  const expecting = (...lines: string[]): string => post('', 'Expect: 100-continue', ...lines);

  test('is answered when the body is wanted, and not passed on', async () => {
    upstream.forget();
    const text = await raw(rig.gateway.port, [
      expecting('Connection: close', 'Content-Length: 3'),
      'abc',
    ]);
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    const [forwarded] = split(upstream.bytes());
    assert.equal(forwarded?.body, 'abc');
    assert.doesNotMatch(upstream.bytes(), /expect/i);
  });

  test('is refused without asking for the body, and the connection ends', async () => {
    const text = await raw(rig.gateway.port, expecting('Content-Length: 10001'));
    assert.match(text, /^HTTP\/1\.1 413 /);
    assert.match(text, /\r\nconnection: close\r\n/i);
  });
});

test('refusals by the parser say why, like every other, and are counted', async () => {
  const before = rig.gateway.counters().refused.ERR_GATEWAY_REQUEST_INVALID ?? 0;
  const text = await raw(rig.gateway.port, 'NONSENSE\r\n\r\n');
  const [head = '', body = ''] = text.split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\nconnection: close\r\n/);
  const { error } = JSON.parse(body) as { error: Record<string, unknown> };
  assert.deepEqual([error['code'], error['retry']], ['ERR_GATEWAY_REQUEST_INVALID', 'never']);
  assert.equal(rig.gateway.counters().refused.ERR_GATEWAY_REQUEST_INVALID, before + 1);
});
