/** Keys of an issuer that rotates, fails and lies: what a gateway accepts meanwhile, and for how long. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuthenticationOptions } from '../../src/gateway/options.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { eventually, saying, startRig, type Answer, type Rig } from '../support/gateway-rig.ts';
import { accepting, bearer, startIssuer } from '../support/issuer.ts';

const rigWith = (options: { readonly authentication: AuthenticationOptions }): Promise<Rig> =>
  startRig({ servers: { 'eu.0': saying('eu.0') }, options });

const told = (answer: Answer): readonly [number, string | undefined] => [
  answer.status,
  answer.error.code,
];
const INVALID = [401, 'ERR_GATEWAY_BEARER_INVALID'];
const NO_KEYS = [503, 'ERR_GATEWAY_KEYS_UNAVAILABLE'];

describe('keys that change', () => {
  test('a new one is accepted at once; a removed one ends, for remembered tokens too', async () => {
    await using issuer = await startIssuer();
    const times = { keyRefreshMs: 150, keyCooldownMs: 20 };
    await using rig = await rigWith({ authentication: accepting(issuer, times) });
    const old = bearer(await issuer.token());
    assert.equal((await rig.ask('/x', { headers: old })).status, 200);
    await issuer.addKey('second');
    await systemClock.sleep(25);
    const headers = bearer(await issuer.token({}, { kid: 'second' }));
    assert.equal((await rig.ask('/x', { headers })).status, 200);
    assert.equal((await rig.ask('/x', { headers: old })).status, 200);
    issuer.removeKey('first');
    const removedAtMs = performance.now();
    let status = 200;
    while (status === 200 && performance.now() - removedAtMs < 5_000) {
      status = (await rig.ask('/x', { headers: old })).status;
      await systemClock.sleep(10);
    }
    assert.equal(status, 401);
    assert.equal((await rig.ask('/x', { headers })).status, 200);
  });

  test('a flood of unknown keys asks the issuer once per cooldown', async () => {
    await using issuer = await startIssuer();
    await using rig = await rigWith({
      authentication: accepting(issuer, { keyCooldownMs: 60_000 }),
    });
    const known = bearer(await issuer.token());
    assert.equal((await rig.ask('/x', { headers: known })).status, 200);
    await issuer.addKey('later');
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, i) => issuer.token({ jti: String(i) }, { kid: 'later' })),
    );
    const answers = await Promise.all(
      tokens.map((token) => rig.ask('/x', { headers: bearer(token) })),
    );
    for (const answer of answers) assert.deepEqual(told(answer), INVALID);
    assert.equal(issuer.asked, 1);
  });

  test('an issuer that is down at the start: refused as retryable, then accepted', async () => {
    await using issuer = await startIssuer();
    issuer.answer = (request) => request.socket.destroy();
    await using rig = await rigWith({ authentication: accepting(issuer) });
    const headers = bearer(await issuer.token());
    const answer = await rig.ask('/x', { headers });
    assert.deepEqual(told(answer), NO_KEYS);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.equal((await rig.ask('/healthz')).status, 200);
    issuer.answer = undefined;
    await systemClock.sleep(25);
    assert.equal((await rig.ask('/x', { headers })).status, 200);
  });

  const bad: Readonly<
    Record<string, NonNullable<Awaited<ReturnType<typeof startIssuer>>['answer']>>
  > = {
    'cuts the connection': (request) => request.socket.destroy(),
    'never answers': () => {},
    'answers 500': (_, response) => response.writeHead(500).end('{"keys":[]}'),
    redirects: (_, response) => response.writeHead(302, { location: 'http://x/' }).end(),
    'answers no JSON': (_, response) => response.end('<html>'),
    'answers other JSON': (_, response) => response.end('{"keys":7}'),
    'answers 10 MB': (_, response) => {
      response.on('error', () => {});
      response.end(`{"keys":[],"pad":"${'x'.repeat(10 * 1024 * 1024)}"}`);
    },
  };
  test('an issuer that fails later: kept keys stay good, until they are too old', async () => {
    await using issuer = await startIssuer();
    const times = { keyRefreshMs: 30, keyTimeoutMs: 100, keyAgeMaxMs: 60_000 };
    await using rig = await rigWith({ authentication: accepting(issuer, times) });
    const remembered = bearer(await issuer.token());
    assert.equal((await rig.ask('/x', { headers: remembered })).status, 200);
    for (const [what, answer] of Object.entries(bad)) {
      issuer.answer = answer;
      const before = issuer.asked;
      await eventually(`a fetch while the issuer ${what}`, () => issuer.asked >= before + 2);
      const fresh = bearer(await issuer.token({ jti: what }));
      for (const headers of [remembered, fresh]) {
        assert.equal((await rig.ask('/x', { headers })).status, 200, what);
      }
    }
  });

  test('keys that are too old are used by nobody', async () => {
    await using issuer = await startIssuer();
    const times = { keyRefreshMs: 100, keyTimeoutMs: 100, keyAgeMaxMs: 400 };
    await using rig = await rigWith({ authentication: accepting(issuer, times) });
    const headers = bearer(await issuer.token());
    assert.equal((await rig.ask('/x', { headers })).status, 200);
    issuer.answer = (request) => request.socket.destroy();
    await systemClock.sleep(600);
    assert.deepEqual(told(await rig.ask('/x', { headers })), NO_KEYS);
    issuer.answer = undefined;
    await systemClock.sleep(25);
    assert.equal((await rig.ask('/x', { headers })).status, 200);
  });
});
