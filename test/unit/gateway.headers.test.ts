/** What passes the gateway and what it writes anew; tokens in headers and cookies. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  acceptedRequestId,
  answeredHeaders,
  originForm,
  requestHeaders,
  timeAllowedMs,
  withTimeLeft,
} from '../../src/gateway/headers.ts';
import { requestToken, responseToken } from '../../src/gateway/token.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { formatToken, mergeTokens } from '../../src/topology/position.ts';

function pairs(flat: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < flat.length; i += 2) lines.push(`${flat[i] ?? ''}: ${flat[i + 1] ?? ''}`);
  return lines;
}

function sent(rawHeaders: string[], connection?: string): string[] {
  const headers = requestHeaders({
    rawHeaders,
    connection,
    host: 'shop.example',
    client: { address: '203.0.113.7', protocol: 'http', host: 'shop.example' },
    account: undefined,
    identity: undefined,
    requestId: 'r-1',
    region: 'eu',
    token: '',
    contentLength: undefined,
  });
  return pairs(withTimeLeft(headers, 123.9));
}

describe('request headers', () => {
  test('the gateway is the edge: what describes the connection is written anew', () => {
    const received = [
      ...['Host', 'evil', 'X-Forwarded-For', '1.1.1.1', 'x-forwarded-host', 'evil'],
      ...['X-Real-IP', '1.1.1.1', 'Forwarded', 'for=1.1.1.1', 'Meridian-Region', 'us'],
      ...['Meridian-Claims', 'eyJ9', 'MERIDIAN_CLAIMS', 'eyJ9', 'meridian_account', 'mallory'],
      ...['X_Forwarded_For', '1.1.1.1', 'x_real_ip', '1.1.1.1', 'meridian-account', 'mallory'],
      ...['meridian-token', 'x', 'Expect', '100-continue', 'Content-Length', '5'],
      ...['X-Own', 'kept', 'x-own', 'twice', 'Authorization', 'Bearer t'],
    ];
    assert.deepEqual(sent(received), [
      'X-Own: kept',
      'x-own: twice',
      'Authorization: Bearer t',
      'host: shop.example',
      'x-forwarded-for: 203.0.113.7',
      'x-forwarded-proto: http',
      'x-forwarded-host: shop.example',
      'meridian-request-id: r-1',
      'meridian-region: eu',
      'meridian-hop: eu',
      'meridian-timeout-ms: 123',
    ]);
  });

  test('hop-by-hop headers go, those named in Connection too, ours stay', () => {
    const hops = [
      'Keep-Alive',
      'TE',
      'Trailer',
      'Transfer-Encoding',
      'Upgrade',
      'Proxy-Connection',
    ];
    const received = ['Connection', 'close, X-Secret, Host, x-forwarded-for', 'X-Secret', '1'];
    for (const name of hops) received.push(name, 'x');
    const out = sent(received, 'close, X-Secret, Host, x-forwarded-for');
    assert.equal(out.length, 8);
    assert.ok(out.includes('host: shop.example'));
    assert.ok(out.includes('x-forwarded-for: 203.0.113.7'));
  });
});

test('response headers: bytes unchanged, repeated ones kept, hop-by-hop and ours taken out', () => {
  const received = [
    ...[
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'X-Name',
      'M\xc3\xbcller',
      'Connection',
      'X-Gone',
    ],
    ...['X-Gone', '1', 'Keep-Alive', 'timeout=5', 'Transfer-Encoding', 'chunked'],
    ...['Meridian-Token', 'abc', 'meridian-stale-route', '1', 'meridian-request-id', 'forged'],
  ];
  const answered = answeredHeaders(received.map((text) => Buffer.from(text, 'latin1')));
  assert.deepEqual(pairs(answered.passed), [
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'X-Name: M\xc3\xbcller',
  ]);
  assert.equal(answered.token, 'abc');
  assert.equal(answered.staleRoute, true);
});

test('request ids, time allowed and request targets', () => {
  assert.equal(acceptedRequestId('Abc_-9'), 'Abc_-9');
  for (const bad of ['', 'a b', 'a'.repeat(65), 'a\r\nb', undefined, ['a', 'b']]) {
    assert.equal(acceptedRequestId(bad), undefined);
  }
  assert.equal(timeAllowedMs(undefined, 500), 500);
  assert.equal(timeAllowedMs('20', 500), 20);
  assert.equal(timeAllowedMs('20000', 500), 500);
  assert.equal(timeAllowedMs('0', 500), 0);
  for (const bad of ['', '-1', '1.5', '1e3', 'x', '20, 30']) {
    assert.equal(timeAllowedMs(bad, 500), undefined);
  }
  assert.deepEqual(originForm('/a?b'), { path: '/a?b', authority: undefined });
  assert.deepEqual(originForm('HTTP://h:1/a?b'), { path: '/a?b', authority: 'h:1' });
  assert.deepEqual(originForm('http://h?b'), { path: '/?b', authority: 'h' });
  for (const bad of ['*', 'h:443', 'ftp://h/', 'http://', '']) {
    assert.equal(originForm(bad), undefined);
  }
});

describe('tokens', () => {
  const at = (group: string, log: bigint) => formatToken([{ group, epoch: 1, log }]);

  test('header and cookie are merged', () => {
    const both = requestToken(at('us-1', 5n), `a=b; meridian_token=${at('eu-1', 7n)}; c=d`);
    assert.equal(both.seen, mergeTokens(at('us-1', 5n), at('eu-1', 7n)));
    assert.equal(both.cookie, at('eu-1', 7n));
    assert.deepEqual(requestToken(undefined, undefined), { seen: '', cookie: '' });
  });

  test('a bad cookie is dropped, a bad header refused', () => {
    assert.equal(requestToken(undefined, 'meridian_token=!!').seen, '');
    assert.equal(requestToken(undefined, 'xmeridian_token=abc').seen, '');
    assert.throws(
      () => requestToken('nonsense', undefined),
      (error) => isMeridianError(error, 'ERR_TOKEN_INVALID'),
    );
  });

  test('the answer never goes back, and the cookie is set only when it changes', () => {
    const request = requestToken(undefined, `meridian_token=${at('us-1', 9n)}`);
    const older = responseToken(request, at('us-1', 3n));
    assert.deepEqual(older, { header: at('us-1', 9n), setCookie: undefined });
    const newer = responseToken(request, at('us-1', 12n));
    assert.equal(newer?.header, at('us-1', 12n));
    assert.equal(
      newer?.setCookie,
      `meridian_token=${at('us-1', 12n)}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600`,
    );
    const byHeader = requestToken(at('us-1', 9n), undefined);
    assert.notEqual(responseToken(byHeader, at('us-1', 3n))?.setCookie, undefined);
    assert.equal(responseToken(request, undefined), undefined);
    assert.equal(responseToken(request, 'not a token'), undefined);
  });

  test('a merged token too long to be taken back gives way to the newest part', () => {
    const many = (prefix: string) =>
      formatToken(
        Array.from({ length: 30 }, (_, i) => ({
          ...{ group: `${prefix}-${String(i)}-with-a-long-name`, epoch: 1, log: 2n ** 60n },
        })),
      );
    const merged = responseToken(requestToken(many('a'), undefined), many('b'));
    assert.equal(merged?.header, many('b'));
  });
});
