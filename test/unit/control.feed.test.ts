/** Control server and subscription over real HTTP on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { subscribeControl, type SubscribeOptions } from '../../src/control/feed-client.ts';
import {
  startControlServer,
  type ControlServer,
  type ControlServerOptions,
} from '../../src/control/feed-server.ts';
import {
  SUBSCRIBERS_MAX,
  type ActivityReport,
  type FeedHello,
} from '../../src/control/protocol.ts';
import type { StatusReport } from '../../src/control/status.ts';
import type { ControlSubscription } from '../../src/control/subscription.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { isMeridianError, MeridianError, type ErrorCode } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import type { RoutingView } from '../../src/topology/routing.ts';
import { countingClock, fastClock } from '../support/clocks.ts';

const hello: FeedHello = {
  kind: 'hello',
  installation: 'i',
  supervisorStart: 1,
  engine: 'postgres',
  regions: [
    { name: 'us', zones: ['a', 'b'] },
    { name: 'eu', zones: ['a'] },
  ],
  primaryRegion: 'us',
  latency: { betweenRegionsMs: {}, betweenZonesMs: 1 },
  database: { database: 'd', user: 'u', password: 'p' },
};
const viewOf = (version: number, seenFrom = ''): RoutingView => ({
  version,
  primaryGroup: seenFrom,
  groups: {},
  ranges: {},
  appServers: [],
});

/** A supervisor whose picture is a number. */
async function serve(
  changes: Partial<ControlServerOptions> & { start?: number; version?: number } = {},
): Promise<ControlServer & { version: number; reports: ActivityReport[] }> {
  const { start = 1, version = 1, ...options } = changes;
  const reports: ActivityReport[] = [];
  const server = await startControlServer({
    host: '127.0.0.1',
    port: 0,
    token: 'secret',
    clock: systemClock,
    log: silentLog,
    hello: () => ({ ...hello, supervisorStart: start }),
    view: ({ region, zone }) => viewOf(control.version, `${region}/${zone}`),
    status: () => ({ installation: 'i' }) as StatusReport,
    activity: (report) => reports.push(report),
    restart: () => Promise.reject(new Error('not asked for')),
    ...options,
  });
  const control = Object.assign(server, { version, reports });
  return control;
}

function subscribe(
  url: string,
  changes: Partial<SubscribeOptions> = {},
): Promise<ControlSubscription> {
  return subscribeControl({
    url,
    token: 'secret',
    region: 'us',
    zone: 'a',
    process: 'test',
    clock: systemClock,
    random: { next: () => 0.05, below: () => 0 }, // Short pauses between attempts.
    log: silentLog,
    timeoutMs: 2_000,
    ...changes,
  });
}

const soon = <T>(what: string, check: () => T | undefined): Promise<T> =>
  waitUntil(systemClock, { what, timeoutMs: 5_000, intervalMs: 5 }, check);
const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;

async function call(url: string, init: RequestInit = {}): Promise<[number, string]> {
  const headers = { authorization: 'Bearer secret', connection: 'close', ...init.headers };
  const response = await fetch(url, { ...init, headers });
  const body = await response.text();
  if (response.ok) return [response.status, body];
  const { error } = JSON.parse(body) as { error: Record<string, string> };
  assert.ok(error['message'] !== '' && error['remedy'] !== '');
  return [response.status, error['code'] ?? ''];
}

describe('the control server', () => {
  test('gives each subscriber its own view, and the newer one after each publish', async () => {
    await using server = await serve();
    await using us = await subscribe(server.url, { pid: 77 });
    await using eu = await subscribe(server.url, { region: 'eu', zone: '', process: 'other' });
    assert.equal(us.hello.engine, 'postgres');
    assert.deepEqual(us.view, viewOf(1, 'us/a'));
    assert.deepEqual(eu.view, viewOf(1, 'eu/a'), 'an empty zone is the first');
    assert.deepEqual(server.subscribers(), [
      { process: 'test', region: 'us', zone: 'a', pid: 77 },
      { process: 'other', region: 'eu', zone: 'a' },
    ]);
    const seen: number[] = [];
    const stop = us.onView((view) => seen.push(view.version));
    server.version = 2;
    server.publish();
    const never = new AbortController().signal;
    assert.equal((await us.newerThan(1, never)).primaryGroup, 'us/a');
    assert.equal((await eu.newerThan(1, never)).primaryGroup, 'eu/a');
    server.publish();
    stop();
    server.version = 3;
    server.publish();
    await us.newerThan(2, never);
    assert.deepEqual(seen, [2]);
  });

  test('refuses whoever lacks the token, and what it does not know', async () => {
    await using server = await serve();
    const status = `${server.url}/v1/status`;
    assert.deepEqual(await call(status), [200, '{"installation":"i"}']);
    for (const authorization of ['', 'Bearer wrong', 'Bearer', 'Basic secret', 'Bearer secret2']) {
      const answer = await call(status, { headers: { authorization } });
      assert.deepEqual(answer, [401, 'ERR_CONTROL_UNAUTHORIZED'], authorization);
    }
    const unknown = [400, 'ERR_CONTROL_REQUEST'];
    assert.deepEqual(await call(`${server.url}/v2/status`), unknown);
    assert.deepEqual(await call(status, { method: 'POST', body: '{}' }), unknown);
    const activity = `${server.url}/v1/activity`;
    for (const body of ['', 'x', '{}', '{"boundedReads":-1}', '{"boundedReads":0.5}', 'null']) {
      assert.deepEqual(await call(activity, { method: 'POST', body }), unknown, body);
    }
    const long = ' '.repeat(17 * 1024);
    assert.deepEqual(await call(activity, { method: 'POST', body: long }), unknown);
    assert.deepEqual(server.reports, []);
    await call(activity, { method: 'POST', body: '{"boundedReads":3}' });
    assert.deepEqual(server.reports, [{ boundedReads: 3 }]);
  });

  test('skips views for a subscriber that does not read, and then sends the newest', async () => {
    const padding = 'x'.repeat(1024 * 1024);
    let made = 0;
    await using server = await serve({
      view: () => {
        made += 1;
        return { ...viewOf(server.version), primaryGroup: padding };
      },
    });
    const outgoing = request(`${server.url}/v1/feed?region=us&zone=a&process=slow`, {
      headers: { authorization: 'Bearer secret' },
    });
    outgoing.on('error', () => {});
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    for (let i = 0; i < 60; i += 1) {
      server.version += 1;
      server.publish();
      await sleep(2);
    }
    assert.ok(made < 40, `${String(made)} views made for a socket that is full`);
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => (text += chunk));
    const last = `{"kind":"view","view":{"version":${String(server.version)},`;
    await soon('the newest view', () => (text.includes(last) ? true : undefined));
    outgoing.destroy();
  });

  test('tries again when a view cannot be made', async () => {
    let failures = 2;
    await using server = await serve({
      clock: fastClock(20),
      view: () => {
        if (failures-- > 0) throw new MeridianError('ERR_INTERNAL', 'planted');
        return viewOf(1);
      },
    });
    await using subscription = await subscribe(server.url);
    assert.equal(subscription.view.version, 1);
    assert.equal(failures, -1);
  });

  test('limits its subscribers', async () => {
    await using server = await serve();
    const feed = `${server.url}/v1/feed?region=us&zone=a&process=p`;
    const open = Array.from({ length: SUBSCRIBERS_MAX }, async () => {
      const outgoing = request(feed, { agent: false, headers: { authorization: 'Bearer secret' } });
      outgoing.on('error', () => {});
      outgoing.end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      assert.equal(response.statusCode, 200);
      response.on('error', () => {}).resume();
      return outgoing;
    });
    const all = await Promise.all(open);
    assert.deepEqual(await call(feed), [503, 'ERR_CONTROL_UNAVAILABLE']);
    all.pop()?.destroy();
    await soon('room', () => (server.subscribers().length < SUBSCRIBERS_MAX ? true : undefined));
    await using late = await subscribe(server.url);
    assert.equal(late.view.version, 1);
    for (const outgoing of all) outgoing.destroy();
  });

  test('says which port is taken', async () => {
    await using server = await serve();
    await assert.rejects(serve({ port: server.address.port }), (error) =>
      isMeridianError(error, 'ERR_PORT_TAKEN'),
    );
  });
});

describe('a subscription', () => {
  const never = new AbortController().signal;

  test("keeps its view while the supervisor is away, then takes its successor's", async () => {
    const first = await serve({ version: 50 });
    const { port } = first.address;
    await using subscription = await subscribe(first.url);
    await first[Symbol.asyncDispose]();
    assert.equal(subscription.view.version, 50);
    await sleep(50);
    assert.equal(subscription.view.version, 50);
    // The successor counts from the start again.
    await using second = await serve({ port, start: 2, version: 1 });
    const next = await subscription.newerThan(50, never);
    assert.equal(next.version, 51);
    assert.equal(subscription.hello.supervisorStart, 2);
    second.version = 2;
    second.publish();
    assert.equal((await subscription.newerThan(51, never)).version, 52);
  });

  test('takes nothing from another installation or a past supervisor', async () => {
    const first = await serve({ start: 5 });
    const { port } = first.address;
    await using subscription = await subscribe(first.url);
    for (const strange of [{ installation: 'another' }, { supervisorStart: 4 }]) {
      await first[Symbol.asyncDispose]();
      let asked = 0;
      await using other = await serve({
        port,
        version: 99,
        hello: () => {
          asked += 1;
          return { ...hello, supervisorStart: 5, ...strange };
        },
      });
      await soon('two more attempts', () => (asked >= 2 ? true : undefined));
      assert.equal(subscription.view.version, 1);
      await other[Symbol.asyncDispose]();
    }
    await using successor = await serve({ port, start: 6, version: 7 });
    assert.equal((await subscription.newerThan(1, never)).version, successor.version);
  });

  test('drops a stream of garbage and comes back', async () => {
    const lines = (...items: unknown[]): string =>
      items.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)) + '\n').join('');
    const view = (version: number): object => ({ kind: 'view', view: viewOf(version) });
    const streams = [
      lines(hello, view(1), 'garbage', view(90)),
      lines(hello, { kind: 'view', view: { version: 91 } }, view(92)),
      lines(view(93)),
      `${lines(hello)}${'x'.repeat(4 * 1024 * 1024 + 1)}`,
      lines({ ...hello, regions: 5 }, view(94)),
      lines(hello, { kind: 'of the future' }, view(2)),
    ];
    let attempts = 0;
    const server = createServer((_, response) => {
      response.write(streams[Math.min(attempts, streams.length - 1)]);
      attempts += 1;
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const seen: number[] = [];
    {
      await using subscription = await subscribe(`http://127.0.0.1:${String(port)}`);
      subscription.onView((next) => seen.push(next.version));
      assert.equal((await subscription.newerThan(1, never)).version, 2);
    }
    assert.deepEqual(seen, [2]);
    assert.equal(attempts, streams.length);
    server.close();
    server.closeAllConnections();
  });

  test('reconnects when it hears nothing, and stays while it hears pings', async () => {
    const clock = fastClock(20);
    await using talking = await serve({ clock });
    let silentAttempts = 0;
    const silent = createServer((_, response: ServerResponse) => {
      silentAttempts += 1;
      response.write(`${JSON.stringify(hello)}\n`);
      response.write(`${JSON.stringify({ kind: 'view', view: viewOf(1) })}\n`);
    }).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    let joined = 0;
    const log = { ...silentLog, warn: () => (joined += 1) };
    await using quiet = await subscribe(`http://127.0.0.1:${String(port)}`, { clock });
    await using heard = await subscribe(talking.url, { clock, log });
    await soon('a second attempt', () => (silentAttempts >= 2 ? true : undefined));
    await sleep(400);
    assert.equal(joined, 0, 'pings kept the other one alive');
    assert.deepEqual([quiet.view.version, heard.view.version], [1, 1]);
    silent.close();
    silent.closeAllConnections();
  });

  test('tells of bounded reads at once, then together, and not without any', async () => {
    await using server = await serve();
    await using subscription = await subscribe(server.url, { clock: fastClock(10) });
    subscription.countBoundedRead();
    await soon('the first report', () => server.reports[0]);
    assert.deepEqual(server.reports, [{ boundedReads: 1 }]);
    for (let i = 0; i < 500; i += 1) subscription.countBoundedRead();
    await soon('the second report', () => server.reports[1]);
    assert.deepEqual(server.reports, [{ boundedReads: 1 }, { boundedReads: 500 }]);
    await sleep(250);
    assert.equal(server.reports.length, 2);
    await server[Symbol.asyncDispose]();
    subscription.countBoundedRead();
    await sleep(20);
    assert.equal(subscription.view.version, 1, "a report that fails is nobody's trouble");
  });

  test('fails in time, with the reason, when there is no server, or it refuses', async () => {
    await using server = await serve();
    // Nobody listens on the discard port.
    const nobody = 'http://127.0.0.1:9';
    const cases: readonly [ErrorCode, RegExp, string, Partial<SubscribeOptions>][] = [
      ['ERR_CONTROL_UNAVAILABLE', /within 60 ms.*ECONNREFUSED/, nobody, { timeoutMs: 60 }],
      ['ERR_CONTROL_UNAVAILABLE', /not a URL/, 'nowhere', {}],
      ['ERR_CONTROL_UNAUTHORIZED', /token/, server.url, { token: 'wrong' }],
      // No header can hold it: refused before anything is sent.
      ['ERR_CONTROL_UNAVAILABLE', /header/, server.url, { token: 'two\nlines', timeoutMs: 60 }],
      ['ERR_CONTROL_REQUEST', /no place ap\/a/, server.url, { region: 'ap' }],
      ['ERR_CONTROL_REQUEST', /no place eu\/b/, server.url, { region: 'eu', zone: 'b' }],
      ['ERR_ABORTED', /aborted/, nobody, { signal: AbortSignal.timeout(30) }],
    ];
    for (const [code, pattern, url, changes] of cases) {
      await assert.rejects(subscribe(url, changes), (error) => {
        assert.ok(isMeridianError(error, code), String(error));
        assert.match(error.message, pattern);
        return error.remedy !== '';
      });
    }
    await soon('no subscriber', () => (server.subscribers().length === 0 ? true : undefined));
  });

  test('leaves nothing behind', async () => {
    const clock = countingClock();
    {
      await using server = await serve({ clock });
      const subscription = await subscribe(server.url, { clock });
      subscription.countBoundedRead();
      const wait = subscription.newerThan(1, never);
      wait.catch(() => {});
      await subscription[Symbol.asyncDispose]();
      await subscription[Symbol.asyncDispose]();
      await assert.rejects(wait, (error) => isMeridianError(error, 'ERR_ENGINE_CLOSED'));
      const away = subscribe('http://127.0.0.1:9', { clock, timeoutMs: 30 });
      await assert.rejects(away);
      const stays = await subscribe(server.url, { clock });
      await server[Symbol.asyncDispose]();
      await stays[Symbol.asyncDispose]();
    }
    await sleep(10);
    assert.equal(clock.armed, 0);
    assert.equal(openSockets(), 0);
  });
});
