/** Requests through a real gateway: where they go, what they carry, what is tried again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMeridianError, MeridianError } from '../../src/kernel/errors.ts';
import { formatToken, mergeTokens } from '../../src/topology/position.ts';
import { raw, said, saying, startRig, type Handler } from '../support/gateway-rig.ts';

const BOTH = { 'us.0': saying('us.0'), 'eu.0': saying('eu.0') };
const at = (group: string, log: bigint) => formatToken([{ group, epoch: 1, log }]);

describe('where requests go', () => {
  test('reads stay local, writes go home, writes without an account stay', async () => {
    await using rig = await startRig({ servers: BOTH, homes: { alice: 'us', bob: 'eu' } });
    assert.equal(said(await rig.ask('/accounts/alice/balance?x=1')).name, 'eu.0');
    const asking = { method: 'POST', body: '{"amount":1}' };
    const written = said(await rig.ask('/accounts/alice/deposits', asking));
    assert.equal(written.name, 'us.0');
    assert.equal(written.body, '{"amount":1}');
    assert.equal(said(await rig.ask('/accounts/bob/deposits', asking)).name, 'eu.0');
    assert.equal(said(await rig.ask('/accounts', asking)).name, 'eu.0');
    assert.deepEqual(rig.located, ['alice', 'bob']);
    const { forwarded, requests } = rig.gateway.counters();
    assert.deepEqual(forwarded, {
      ...{ 'local-read': 1, 'local-write': 2, 'home-write': 1 },
      ...{ 'failover-read': 0, 'failover-write': 0 },
    });
    assert.equal(requests, 4);
  });

  test('without a ready server here, everything goes to the nearest region that has one, and back', async () => {
    const servers = { ...BOTH, 'zz.0': saying('zz.0') };
    await using rig = await startRig({ servers, homes: { alice: 'us', bob: 'eu' } });
    const served = async (path: string, asking = {}): Promise<string> =>
      said(await rig.ask(path, asking)).name;
    const writing = { method: 'POST', body: 'x' };
    const ready = async (): Promise<unknown[]> => {
      const answers = await Promise.all(['/readyz', '/readyz/local'].map((path) => rig.ask(path)));
      return answers.map(({ status, text }) => [
        status,
        (JSON.parse(text) as { status: string }).status,
      ]);
    };
    rig.setReady('eu.0', false);
    assert.deepEqual(await ready(), [
      [200, 'degraded'],
      [503, 'unavailable'],
    ]);
    assert.equal(await served('/accounts/alice'), 'us.0');
    assert.equal(await served('/currencies'), 'us.0');
    assert.equal(await served('/accounts/bob', writing), 'us.0');
    assert.equal(await served('/accounts', writing), 'us.0');
    // And the other direction: the home of the account is the one that is gone.
    rig.setReady('eu.0', true);
    rig.setReady('us.0', false);
    assert.equal(await served('/accounts/alice', writing), 'eu.0');
    rig.setReady('eu.0', false);
    assert.equal(await served('/accounts/alice', writing), 'zz.0');
    rig.setReady('us.0', true);
    rig.setReady('eu.0', true);
    assert.equal(await served('/accounts/alice', writing), 'us.0');
    assert.equal(await served('/accounts/alice'), 'eu.0');
    const { forwarded } = rig.gateway.counters();
    assert.deepEqual([forwarded['failover-read'], forwarded['failover-write']], [2, 4]);
  });

  test('servers that died before the view knows: the next region serves what they did not get', async () => {
    const servers = { ...BOTH, 'eu.1': saying('eu.1') };
    await using rig = await startRig({ servers, homes: { bob: 'eu' } });
    await rig.stop('eu.0');
    await rig.stop('eu.1');
    const writing = { method: 'POST', body: 'x' };
    assert.equal(said(await rig.ask('/accounts/bob', writing)).name, 'us.0');
    assert.equal(said(await rig.ask('/accounts/bob')).name, 'us.0');
  });

  test('without a ready server anywhere, requests are refused with a time to come back', async () => {
    await using rig = await startRig({ servers: BOTH, homes: { alice: 'us', bob: 'eu' } });
    rig.setReady('eu.0', false);
    rig.setReady('us.0', false);
    const refused = await rig.ask('/accounts/bob', { method: 'POST', body: 'x' });
    assert.equal(refused.status, 503);
    assert.equal(refused.error.code, 'ERR_GATEWAY_NO_APP_SERVER');
    assert.equal(refused.headers['retry-after'], '1');
    assert.match(String(refused.error['message']), /no app server of any region is ready/);
    assert.equal(refused.error['requestId'], refused.headers['meridian-request-id']);
  });

  test('an unknown account is 404, a directory that cannot answer 503 with Retry-After', async () => {
    await using rig = await startRig({ servers: BOTH });
    const asking = { method: 'POST', body: 'x' };
    const unknown = await rig.ask('/accounts/nobody', asking);
    assert.deepEqual([unknown.status, unknown.error.code], [404, 'ERR_ACCOUNT_NOT_FOUND']);
    await using down = await startRig({
      servers: BOTH,
      locate: () =>
        Promise.reject(
          new MeridianError('ERR_ENGINE_UNAVAILABLE', 'no node answers', { retryAfterMs: 2_500 }),
        ),
    });
    const later = await down.ask('/accounts/alice', asking);
    assert.deepEqual([later.status, later.headers['retry-after']], [503, '3']);
  });

  test('a request that has been through a gateway is refused', async () => {
    await using rig = await startRig({ servers: BOTH });
    const looped = await rig.ask('/x', { headers: { 'meridian-hop': 'us' } });
    assert.deepEqual([looped.status, looped.error.code], [421, 'ERR_GATEWAY_MISDIRECTED']);
  });

  test('requests to one server share connections', async () => {
    const sockets = new Set<unknown>();
    const counting: Handler = (request, response) => {
      sockets.add(request.socket);
      saying('eu.0')(request, response);
    };
    await using rig = await startRig({ servers: { 'eu.0': counting } });
    for (let i = 0; i < 20; i += 1) {
      const method = i % 2 === 0 ? 'GET' : 'POST';
      await rig.ask('/x', { method, ...(method === 'POST' ? { body: 'b' } : {}) });
    }
    assert.equal(sockets.size, 1);
  });
});

describe('what requests carry', () => {
  test('id, region, hop, client, host, time left', async () => {
    await using rig = await startRig({ servers: BOTH });
    const headers = {
      'meridian-request-id': 'my-id_1',
      'meridian-timeout-ms': '900',
      'x-forwarded-for': '9.9.9.9',
      'meridian-region': 'mars',
      host: 'shop.example',
    };
    const answer = await rig.ask('/x', { headers });
    const got = said(answer).headers;
    assert.equal(got['meridian-request-id'], 'my-id_1');
    assert.equal(answer.headers['meridian-request-id'], 'my-id_1');
    assert.equal(answer.headers['meridian-served-by'], 'eu.0');
    assert.equal(got['meridian-region'], 'eu');
    assert.equal(got['meridian-hop'], 'eu');
    assert.equal(got['x-forwarded-for'], '127.0.0.1');
    assert.equal(got['x-forwarded-proto'], 'http');
    assert.equal(got['x-forwarded-host'], 'shop.example');
    assert.equal(got['host'], 'shop.example');
    const left = Number(got['meridian-timeout-ms']);
    assert.ok(left > 500 && left <= 900, String(left));
    const forged = await rig.ask('/x', { headers: { 'meridian-request-id': 'no spaces' } });
    assert.match(String(forged.headers['meridian-request-id']), /^[0-9a-f-]{36}$/);
  });

  test('a token from header and cookie goes in merged, and comes back merged in both', async () => {
    const answering: Handler = (request, response) => {
      response.setHeader('x-got', request.headers['meridian-token'] ?? 'none');
      response.setHeader('meridian-token', at('us-1', 9n));
      response.setHeader('set-cookie', ['own=1']);
      response.end();
    };
    await using rig = await startRig({ servers: { 'eu.0': answering } });
    const headers = {
      'meridian-token': at('us-1', 5n),
      cookie: `meridian_token=${at('eu-1', 7n)}`,
    };
    const answer = await rig.ask('/x', { headers });
    assert.equal(answer.headers['x-got'], mergeTokens(at('us-1', 5n), at('eu-1', 7n)));
    const merged = mergeTokens(at('us-1', 9n), at('eu-1', 7n));
    assert.equal(answer.headers['meridian-token'], merged);
    assert.deepEqual(answer.headers['set-cookie'], [
      'own=1',
      `meridian_token=${merged}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600`,
    ]);
    const settled = await rig.ask('/x', { headers: { cookie: `meridian_token=${merged}` } });
    assert.equal(settled.headers['set-cookie'], 'own=1');
    const first = await rig.ask('/x', { headers: { cookie: 'meridian_token=rubbish' } });
    assert.equal(first.headers['x-got'], 'none');
    const refused = await rig.ask('/x', { headers: { 'meridian-token': 'rubbish' } });
    assert.deepEqual([refused.status, refused.error.code], [400, 'ERR_TOKEN_INVALID']);
  });

  test('hostile requests are refused or tamed, and never reach an app server as sent', async () => {
    const paths: string[] = [];
    const noting: Handler = (request, response) => {
      paths.push(`${request.method ?? ''} ${request.url ?? ''}`);
      saying('eu.0')(request, response);
    };
    await using rig = await startRig({ servers: { 'eu.0': noting } });
    const { port } = rig.gateway;
    const status = async (head: string): Promise<string> =>
      (await raw(port, `${head}\r\n`, '\r\n\r\n')).slice(9, 12);
    const h = 'Host: h\r\nConnection: close\r\n';
    assert.equal(await status(`GET /accounts/a/../b HTTP/1.1\r\n${h}`), '400');
    assert.equal(await status(`GET /accounts/a%00 HTTP/1.1\r\n${h}`), '400');
    assert.equal(await status(`TRACE / HTTP/1.1\r\n${h}`), '501');
    assert.equal(await status(`OPTIONS * HTTP/1.1\r\n${h}`), '400');
    assert.equal(await status(`GET / HTTP/1.1\r\n${h}meridian-timeout-ms: soon\r\n`), '400');
    const smuggle = `POST / HTTP/1.1\r\n${h}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n`;
    assert.equal(await status(smuggle), '400');
    assert.equal(
      await status(`POST / HTTP/1.1\r\n${h}Transfer-Encoding: gzip, chunked\r\n`),
      '400',
    );
    assert.equal(
      await status(`GET / HTTP/1.1\r\nConnection: Upgrade\r\nHost: h\r\nUpgrade: x\r\n`),
      '501',
    );
    assert.equal(await status(`CONNECT h:443 HTTP/1.1\r\n${h}`), '501');
    assert.equal(await status(`GET / HTTP/1.1\r\n${h}X: ${'a'.repeat(20_000)}\r\n`), '431');
    assert.deepEqual(paths, []);
    assert.equal(await status(`GET http://other/abs?q HTTP/1.1\r\n${h}`), '200');
    assert.equal(await status(`GET /x HTTP/1.1\r\n${h}X-Odd: \xff\xfe\r\n`), '200');
    assert.deepEqual(paths, ['GET /abs?q', 'GET /x']);
  });
});

describe('what is tried again', () => {
  const dying: Handler = (request, response) => {
    request.resume();
    request.on('end', () => response.socket?.destroy());
  };

  test('nothing was sent: a refused connection sends any method to the next server', async () => {
    const servers = { 'eu.0': saying('eu.0'), 'eu.1': saying('eu.1') };
    // The second is streamed. Each has a gateway that does not avoid the server yet.
    for (const body of ['small', 'x'.repeat(200_000)]) {
      await using rig = await startRig({ servers });
      await rig.stop('eu.0');
      for (let i = 0; i < 4; i += 1) {
        const answer = said(await rig.ask('/x', { method: 'POST', body }));
        assert.deepEqual([answer.name, answer.body], ['eu.1', body]);
      }
      assert.ok(rig.gateway.counters().retries >= 1);
    }
  });

  test('a read that lost its server is read from another; a post is answered unknown', async () => {
    let deaths = 0;
    const mortal: Handler = (request, response) => {
      deaths += 1;
      dying(request, response);
    };
    await using rig = await startRig({ servers: { 'eu.0': mortal, 'eu.1': saying('eu.1') } });
    for (let i = 0; i < 4; i += 1) assert.equal(said(await rig.ask('/x')).name, 'eu.1');
    assert.ok(deaths >= 1);
    rig.setReady('eu.1', false);
    deaths = 0;
    const post = await rig.ask('/x', { method: 'POST', body: 'pay' });
    assert.deepEqual([post.status, post.error.code], [503, 'ERR_GATEWAY_UPSTREAM']);
    assert.equal(post.headers['meridian-outcome'], 'unknown');
    assert.equal(post.error.outcome, 'unknown');
    assert.equal(deaths, 1);
    const read = await rig.ask('/x');
    assert.deepEqual([read.status, read.headers['meridian-outcome']], [503, undefined]);
    assert.equal(deaths, 4);
  });

  test('the refusal of a second server does not hide what the first may have done', async () => {
    let died = false;
    const mortal: Handler = (request, response) => {
      died = true;
      dying(request, response);
    };
    const refusing: Handler = (request, response) => {
      request.resume();
      response.writeHead(503, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { outcome: 'none' } }));
    };
    await using rig = await startRig({ servers: { 'eu.0': mortal, 'eu.1': refusing } });
    let hidden = 0;
    for (let i = 0; i < 6; i += 1) {
      died = false;
      const put = await rig.ask('/x', { method: 'PUT', body: 'x' });
      assert.equal(put.status, 503);
      if (died) hidden += 1;
      assert.equal(put.headers['meridian-outcome'], died ? 'unknown' : undefined);
    }
    assert.ok(hidden > 0);
  });

  test('a put is repeated when its body is still there, not when it was streamed away', async () => {
    await using rig = await startRig({ servers: { 'eu.0': dying, 'eu.1': saying('eu.1') } });
    for (let i = 0; i < 4; i += 1) {
      const put = await rig.ask('/x', { method: 'PUT', body: 'small' });
      assert.equal(said(put).body, 'small');
    }
    rig.setReady('eu.1', false);
    const large = await rig.ask('/x', { method: 'PUT', body: 'x'.repeat(200_000) });
    assert.deepEqual([large.status, large.error.outcome], [503, 'unknown']);
  });

  test('an answer broken off looks broken, and a malformed one is never passed on', async () => {
    const half: Handler = (request, response) => {
      if (request.url === '/declared') response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.socket?.destroy());
    };
    const garbage: Handler = (_, response) => {
      response.socket?.end('HTTP/1.1 200 OK\r\nX: \u0001\r\n\r\n');
    };
    await using rig = await startRig({ servers: { 'eu.0': half, 'us.0': garbage } });
    await assert.rejects(rig.ask('/declared'));
    await assert.rejects(rig.ask('/chunked'));
    assert.equal(rig.gateway.counters().truncated, 2);
    assert.equal(rig.gateway.counters().clientAborts, 0);
    await using other = await startRig({ servers: { 'eu.0': garbage } });
    assert.equal((await other.ask('/x')).status, 503);
  });

  test('a stale route is looked up afresh and followed, once', async () => {
    const moved: Handler = (request, response) => {
      request.resume();
      response.writeHead(421, { 'meridian-stale-route': '1' }).end('moved');
    };
    const homes: Record<string, string> = { alice: 'us' };
    await using rig = await startRig({
      servers: { 'us.0': moved, 'ap.0': saying('ap.0') },
      homes,
      locate: (account, options) => {
        const homeRegion = options?.fresh === true ? 'ap' : 'us';
        return Promise.resolve({ account, range: 'r0001', group: `${homeRegion}-1`, homeRegion });
      },
    });
    const written = said(await rig.ask('/accounts/alice', { method: 'POST', body: 'pay' }));
    assert.deepEqual([written.name, written.body], ['ap.0', 'pay']);
    assert.equal(rig.gateway.counters().reroutes, 1);
    await using lost = await startRig({ servers: { 'us.0': moved }, homes });
    const refused = await lost.ask('/accounts/alice', { method: 'POST', body: 'pay' });
    assert.deepEqual([refused.status, refused.text], [421, 'moved']);
    assert.equal(refused.headers['meridian-stale-route'], undefined);
    assert.deepEqual(lost.located, ['alice', 'alice!']);
  });
});

test('a taken port is named, with its key', async () => {
  await using rig = await startRig({ servers: {} });
  const { port } = rig.gateway;
  await assert.rejects(startRig({ servers: {}, port }), (error) => {
    assert.ok(isMeridianError(error, 'ERR_PORT_TAKEN'));
    assert.match(error.message, new RegExp(`${String(port)}.*eu.*gateway\\.ports\\.eu`));
    return true;
  });
});
