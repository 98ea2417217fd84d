/** Who gets through a gateway: bearer tokens, accounts, rate limits, the log. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { base64url, SignJWT, UnsecuredJWT } from 'jose';
import { accountFromClaim, accountFromPath } from '../../src/config/parts.ts';
import type { AuthenticationOptions } from '../../src/gateway/options.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import {
  raw,
  said,
  saying,
  startRig,
  type Answer,
  type Rig,
  type RigOptions,
} from '../support/gateway-rig.ts';
import { accepting, AUDIENCE, bearer, ISSUER, startIssuer } from '../support/issuer.ts';

type Options = NonNullable<RigOptions['options']>;

const rigWith = (options: Options): Promise<Rig> =>
  startRig({ servers: { 'eu.0': saying('eu.0') }, homes: { alice: 'eu', bob: 'eu' }, options });

const told = (answer: Answer): readonly [number, string | undefined] => [
  answer.status,
  answer.error.code,
];
const INVALID = [401, 'ERR_GATEWAY_BEARER_INVALID'];

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-access-'));
});
after(() => rm(folder, { recursive: true, force: true }));

describe('bearer tokens', () => {
  test('a good one passes, its claims reach the app server, and forged ones do not', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({ authentication: accepting(issuer) });
    const token = await issuer.token({ role: 'clerk' });
    const headers = {
      ...bearer(token),
      'meridian-claims': base64url.encode('{"role":"admin"}'),
      meridian_issuer: 'forged',
      'meridian-account': 'bob',
    };
    for (let i = 0; i < 3; i += 1) {
      const answer = await rig.ask('/accounts/alice', { headers });
      assert.equal(answer.status, 200, answer.text);
      const got = said(answer).headers;
      const claims = Buffer.from(got['meridian-claims'] ?? '', 'base64url').toString();
      assert.equal((JSON.parse(claims) as { role: string }).role, 'clerk');
      assert.equal(got['meridian-issuer'], 'login');
      assert.equal(got['meridian_issuer'], undefined);
      assert.equal(got['meridian-account'], 'alice');
      assert.equal(got['authorization'], `Bearer ${token}`);
    }
    assert.equal(issuer.asked, 1);
  });

  test('everything else is refused, and says why', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({ authentication: accepting(issuer) });
    const good = await issuer.token();
    const [head = '', , signature = ''] = good.split('.');
    const payload = { iss: ISSUER, aud: AUDIENCE, sub: 'user-1', exp: 9_999_999_999 };
    // The public key as if it were a shared secret.
    const pem = createPublicKey({ key: issuer.publicKey('first'), format: 'jwk' }).export({
      type: 'spki',
      format: 'pem',
    });
    const confused = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: 'first' })
      .sign(Buffer.from(pem));
    await issuer.addKey('hidden');
    const hidden = await issuer.token({}, { kid: 'hidden' });
    issuer.removeKey('hidden');
    const altered = base64url.encode(JSON.stringify({ ...payload, sub: 'root' }));
    const refused: readonly (readonly [string, string, RegExp])[] = [
      ['unsigned', new UnsecuredJWT(payload).encode(), /not a signed|algorithm/],
      ['signed with the public key', confused, /algorithm/],
      ['altered', `${head}.${altered}.${signature}`, /signature/],
      ['of an unknown key', hidden, /key is unknown/],
      ['expired', await issuer.token({}, { lifeS: -1 }), /expired/],
      ['without an end', await issuer.token({ exp: undefined }), /when it expires/],
      ['not valid yet', await issuer.token({ nbf: 9_999_999_999 }), /not valid yet/],
      ['for others', await issuer.token({ aud: 'https://other.example' }), /audience/],
      ['for nobody', await issuer.token({ aud: undefined }), /audience/],
      ['of others', await issuer.token({ iss: 'https://evil.example' }), /issuer/],
      ['no token', 'abc', /not a signed/],
      ['empty', '', /not a signed/],
      ['too long', await issuer.token({ pad: 'x'.repeat(8_192) }), /too long/],
    ];
    for (const [what, token, why] of refused) {
      const answer = await rig.ask('/accounts/alice', { headers: bearer(token) });
      assert.deepEqual(told(answer), INVALID, what);
      assert.match(String(answer.error['message']), why, what);
      assert.match(String(answer.headers['www-authenticate']), /^Bearer error="invalid_token"/);
      if (token !== '') assert.equal(answer.text.includes(token), false);
    }
    for (const headers of [{}, { authorization: 'Basic YTpi' }]) {
      const answer = await rig.ask('/accounts/alice', { headers });
      assert.deepEqual(told(answer), [401, 'ERR_GATEWAY_UNAUTHENTICATED']);
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
    }
    const twice = `GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${good}\r\nauthorization: Bearer x\r\nconnection: close\r\n\r\n`;
    assert.match(
      await raw(rig.gateway.port, twice),
      /^HTTP\/1.1 400 .*ERR_GATEWAY_REQUEST_INVALID/s,
    );
    const answer = await rig.ask('/accounts/alice', { headers: bearer(good) });
    assert.equal(answer.status, 200, 'and the good one still passes');
  });

  test('public paths, preflights and leftover cookies', async () => {
    await using issuer = await startIssuer();
    const options = { publicPaths: ['/login'], passPreflights: true, cookie: 'session' };
    await using rig = await rigWith({ authentication: accepting(issuer, options) });
    const status = async (path: string, asking: Parameters<Rig['ask']>[1]): Promise<number> =>
      (await rig.ask(path, asking)).status;
    const expired = { cookie: `session=${await issuer.token({}, { lifeS: -1 })}` };
    const fresh = { cookie: `a=b; session=${await issuer.token()}` };
    assert.equal(await status('/login', {}), 200);
    assert.equal(await status('/login/%2e%2e/x', {}), 401);
    assert.equal(await status('/login', { headers: expired }), 200);
    assert.equal(await status('/login', { headers: bearer('wrong') }), 401);
    assert.equal(await status('/x', { headers: expired }), 401);
    assert.equal(await status('/x', { headers: fresh }), 200);
    const preflight = { 'access-control-request-method': 'POST' };
    assert.equal(await status('/x', { method: 'OPTIONS', headers: preflight }), 200);
    assert.equal(await status('/x', { method: 'OPTIONS' }), 401);
    assert.equal(await status('/x', { method: 'POST', headers: preflight }), 401);
  });

  test('a token that was verified is not good beyond its end', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({ authentication: accepting(issuer) });
    const exp = Math.ceil(Date.now() / 1_000) + 1;
    const headers = bearer(await issuer.token({ exp }));
    assert.equal((await rig.ask('/x', { headers })).status, 200);
    while (Date.now() < exp * 1_000 - 100) {
      await systemClock.sleep(50);
      const leftMs = exp * 1_000 - Date.now();
      const answer = await rig.ask('/x', { headers });
      if (leftMs > 100) assert.equal(answer.status, 200);
    }
    await systemClock.sleep(exp * 1_000 - Date.now() + 5);
    assert.deepEqual(told(await rig.ask('/x', { headers })), INVALID);
  });

  test('keys from a file, and shared secrets; what cannot be read is told at the start', async () => {
    await using issuer = await startIssuer();
    const keysFile = join(folder, 'keys.json');
    await writeFile(keysFile, JSON.stringify({ keys: [issuer.publicKey('first')] }));
    const pemFile = join(folder, 'key.pem');
    const key = createPublicKey({ key: issuer.publicKey('first'), format: 'jwk' });
    await writeFile(pemFile, key.export({ type: 'spki', format: 'pem' }));
    const secretFile = join(folder, 'secret');
    const secret = 'a shared secret of more than 32 bytes';
    await writeFile(secretFile, `${secret}\n`);
    const withKeys = (
      keys: AuthenticationOptions['issuers'][string]['keys'],
      algorithms: string[],
    ): Promise<Rig> =>
      rigWith({
        authentication: accepting(issuer, {
          issuers: { own: { issuer: ISSUER, audience: [AUDIENCE], algorithms, keys } },
        }),
      });
    const shared = await new SignJWT({ iss: ISSUER, aud: AUDIENCE, exp: 9_999_999_999 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(secret));
    const signed = await issuer.token();
    const statusOf = async (rig: Rig, token: string): Promise<number> =>
      (await rig.ask('/x', { headers: bearer(token) })).status;
    for (const file of [keysFile, pemFile]) {
      await using rig = await withKeys({ kind: 'file', file }, ['ES256']);
      assert.equal(await statusOf(rig, signed), 200, file);
      assert.equal(await statusOf(rig, shared), 401, file);
    }
    await using rig = await withKeys({ kind: 'secret-file', file: secretFile }, ['HS256']);
    assert.equal(await statusOf(rig, shared), 200);
    assert.equal(await statusOf(rig, signed), 401);
    assert.equal(issuer.asked, 0);
    await writeFile(join(folder, 'short'), 'short');
    for (const file of ['absent', 'short']) {
      await assert.rejects(
        withKeys({ kind: 'secret-file', file: join(folder, file) }, ['HS256']),
        (error) => isMeridianError(error, 'ERR_CONFIG_INVALID') && !/short'/.test(error.message),
      );
    }
  });
});

describe('accounts and limits', () => {
  test('a claim binds the account', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({
      authentication: accepting(issuer),
      account: [accountFromPath('/accounts/:account'), accountFromClaim('account_id')],
    });
    const headers = bearer(await issuer.token({ account_id: 'alice' }));
    assert.equal((await rig.ask('/accounts/alice', { headers })).status, 200);
    assert.equal(said(await rig.ask('/orders', { headers })).headers['meridian-account'], 'alice');
    const answer = await rig.ask('/accounts/bob', { headers });
    assert.deepEqual(told(answer), [403, 'ERR_GATEWAY_FORBIDDEN']);
    assert.match(String(answer.headers['www-authenticate']), /insufficient_scope/);
    const write = await rig.ask('/accounts/bob', { headers, method: 'POST', body: 'x' });
    assert.deepEqual(told(write), [403, 'ERR_GATEWAY_FORBIDDEN']);
    assert.deepEqual(rig.located, []);
  });

  test('without a token, and with wrong ones, nobody uses up the limit of an account', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({
      authentication: accepting(issuer, { required: false }),
      rateLimits: { perAccount: { ratePerSecond: 0.001, burst: 2 }, keysMax: 100 },
    });
    const codes: unknown[] = [];
    for (let i = 0; i < 3; i += 1) codes.push((await rig.ask('/accounts/alice')).status);
    assert.deepEqual(codes, [200, 200, 429]);
    for (let i = 0; i < 3; i += 1) {
      const answer = await rig.ask('/accounts/alice', { headers: bearer('wrong') });
      assert.deepEqual(told(answer), INVALID);
    }
    const headers = bearer(await issuer.token());
    for (const expected of [200, 200, 429]) {
      assert.equal((await rig.ask('/accounts/alice', { headers })).status, expected);
    }
    assert.equal((await rig.ask('/accounts/bob', { headers })).status, 200);
    const answer = await rig.ask('/accounts/alice', { headers });
    assert.deepEqual(told(answer), [429, 'ERR_GATEWAY_RATE_LIMITED']);
    assert.ok(Number(answer.headers['retry-after']) > 900);
    assert.equal(answer.headers['ratelimit-policy'], '"account";q=2;w=2000');
    assert.match(String(answer.headers['ratelimit']), /^"account";r=0;t=\d+$/);
  });

  test('wrong tokens use up the limit of their address, not that of known subjects', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({
      authentication: accepting(issuer),
      rateLimits: { perClient: { ratePerSecond: 0.001, burst: 5 }, keysMax: 100 },
    });
    const headers = bearer(await issuer.token());
    assert.equal((await rig.ask('/x', { headers })).status, 200);
    const statuses: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      statuses.push((await rig.ask('/x', { headers: bearer(`wrong-${String(i)}`) })).status);
    }
    assert.deepEqual(statuses, [401, 401, 401, 401, 429, 429]);
    for (const expected of [200, 200, 200, 200, 429]) {
      assert.equal((await rig.ask('/x', { headers })).status, expected);
    }
  });

  test('an address is counted as the trusted proxy tells it, not as the client does', async () => {
    const rateLimits = { perClient: { ratePerSecond: 0.001, burst: 1 }, keysMax: 100 };
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
    {
      await using rig = await rigWith({ rateLimits, trustedProxies: ['loopback'] });
      const first = await rig.ask('/x', from('1.1.1.1, 203.0.113.7'));
      assert.equal(said(first).headers['x-forwarded-for'], '203.0.113.7');
      assert.equal((await rig.ask('/x', from('2.2.2.2, 203.0.113.7'))).status, 429);
      assert.equal((await rig.ask('/x', from('203.0.113.8'))).status, 200);
      assert.equal((await rig.ask('/x', from('2001:db8::1'))).status, 200);
      assert.equal((await rig.ask('/x', from('2001:db8::2'))).status, 429);
    }
    await using rig = await rigWith({ rateLimits });
    assert.equal(
      said(await rig.ask('/x', from('203.0.113.7'))).headers['x-forwarded-for'],
      '127.0.0.1',
    );
    assert.equal((await rig.ask('/x', from('203.0.113.8'))).status, 429);
  });
});

describe('the access log', () => {
  test('has one line for each request, and no secret in any', async () => {
    await using issuer = await startIssuer();
    const directory = join(folder, 'logs');
    const token = await issuer.token({ email: 'secret@example.com' });
    {
      await using rig = await rigWith({
        authentication: accepting(issuer, { cookie: 'session' }),
        accessLog: {
          ...{ directory, account: true, clientAddress: 'truncated' },
          ...{ fileBytesMax: 1_000_000, filesMax: 1 },
        },
      });
      const headers = { ...bearer(token), cookie: 'a=secret-cookie', 'x-api-key': 'secret-key' };
      const body = 'secret-body';
      const post = { method: 'POST', headers, body };
      assert.equal((await rig.ask('/accounts/alice?key=secret-query', post)).status, 200);
      await rig.ask('/accounts/alice?key=secret-query', { headers: bearer(`secret-${token}`) });
      await rig.ask('/x', { headers: { cookie: `session=${token}` } });
      await rig.ask('/healthz');
    }
    const text = await readFile(join(directory, 'gateway.eu.access.log'), 'utf8');
    for (const secret of ['secret', ...token.split('.')])
      assert.equal(text.includes(secret), false);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map((line) => [line['method'], line['path'], line['status'], line['code'] ?? '']),
      [
        ['POST', '/accounts/alice', 200, ''],
        ['GET', '/accounts/alice', 401, 'ERR_GATEWAY_BEARER_INVALID'],
        ['GET', '/x', 200, ''],
      ],
    );
    const { time, requestId, durationMs, bytesOut, ...first } = lines[0] ?? {};
    assert.match(String(time), /Z$/);
    assert.ok(String(requestId).length >= 16 && Number(durationMs) > 0 && Number(bytesOut) > 100);
    assert.deepEqual(first, {
      ...{ method: 'POST', path: '/accounts/alice', status: 200 },
      ...{ route: 'local-write', server: 'eu.0', account: 'alice', issuer: 'login' },
      ...{ client: '127.0.0.0/24', bytesIn: 11 },
    });
  });
});
