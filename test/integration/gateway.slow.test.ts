/** Slow and greedy clients: what each of them costs is bounded in time and number. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import {
  eventually,
  moment,
  raw,
  said,
  saying,
  startRig,
  type Handler,
} from '../support/gateway-rig.ts';

const MIB = 1024 * 1024;
const GET = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';

/** Sends the bytes a few at a time until the connection ends, and gives what was answered. */
async function trickle(port: number, bytes: string, everyMs: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let at = 0;
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.on('data', (chunk: string) => (text += chunk));
  const timer = setInterval(() => {
    if (at < bytes.length) socket.write(bytes[at] ?? '');
    at += 1;
  }, everyMs);
  await once(socket, 'close');
  clearInterval(timer);
  return text;
}

describe('a slow gateway', () => {
  /** Connects, asks and leaves, so many times; whoever runs it sees nothing of that before it is over. */
  const leavers = (port: number, count: number): void => {
    const script = `
      const { connect } = require('node:net');
      for (let i = 0; i < ${String(count)}; i += 1) {
        const socket = connect(${String(port)}, '127.0.0.1', () => {
          socket.write(${JSON.stringify(GET)}, () => socket.destroy());
        });
      }`;
    execFileSync(process.execPath, ['-e', script]);
  };

  test('does not serve those who have left before it saw them', async () => {
    let asked = 0;
    await using rig = await startRig({
      servers: {
        'eu.0': (incoming, response) => {
          asked += 1;
          saying('eu.0')(incoming, response);
        },
      },
    });
    leavers(rig.gateway.port, 40);
    const text = await raw(
      rig.gateway.port,
      GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
    );
    assert.match(text, /^HTTP\/1\.1 200 /);
    await eventually('all are noticed', () => rig.gateway.counters().clientAborts === 40);
    assert.equal(asked, 1);
  });
});

describe('a slow client', () => {
  test('whose head does not come to an end is answered 408', async () => {
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { headersTimeoutMs: 300 },
    });
    const startedAt = performance.now();
    const endless = `GET /x HTTP/1.1\r\nHost: h\r\n${'X: y\r\n'.repeat(1_000)}`;
    const text = await trickle(rig.gateway.port, endless, 10);
    assert.match(text, /^HTTP\/1\.1 408 .*"ERR_GATEWAY_REQUEST_TIMEOUT"/s);
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs >= 290 && tookMs < 2_000, `${String(tookMs)} ms`);
  });

  test('that sends nothing at all is closed as well', async () => {
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { headersTimeoutMs: 300 },
    });
    assert.match(await raw(rig.gateway.port, ''), /^HTTP\/1\.1 408 /);
  });

  test('whose announced body does not come is answered 408, streamed or not', async () => {
    const seen: string[] = [];
    const reading: Handler = (incoming, response) => {
      incoming.on('error', () => seen.push('cut'));
      saying('eu.0')(incoming, response);
    };
    await using rig = await startRig({
      servers: { 'eu.0': reading },
      options: { stallTimeoutMs: 200 },
    });
    const post = 'POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n';
    const whole = await raw(rig.gateway.port, `${post}Content-Length: 10\r\n\r\nabc`);
    assert.match(whole, /^HTTP\/1\.1 408 .*"ERR_GATEWAY_REQUEST_TIMEOUT"/s);
    assert.deepEqual(seen, []);
    const long = await raw(rig.gateway.port, `${post}Content-Length: 100000\r\n\r\nabc`);
    assert.match(long, /^HTTP\/1\.1 408 .*"ERR_GATEWAY_REQUEST_TIMEOUT"/s);
    const chunks = await raw(rig.gateway.port, `${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc`);
    assert.match(chunks, /^HTTP\/1\.1 408 .*"ERR_GATEWAY_REQUEST_TIMEOUT"/s);
    await eventually('the app server sees both cut', () => seen.join() === 'cut,cut');
  });

  test('whose body trickles is served while it makes progress, until the deadline', async () => {
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { stallTimeoutMs: 150, requestTimeoutMs: 600 },
    });
    const post = (length: number): string =>
      `POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ${String(length)}\r\n\r\n`;
    const trickled = async (length: number): Promise<string> => {
      const socket = connect(rig.gateway.port, '127.0.0.1');
      let text = '';
      socket.setEncoding('latin1');
      socket.on('error', () => {});
      socket.on('data', (chunk: string) => (text += chunk));
      socket.write(post(length));
      const timer = setInterval(() => socket.write('x'), 40);
      await once(socket, 'close');
      clearInterval(timer);
      return text;
    };
    assert.match(await trickled(8), /^HTTP\/1\.1 200 .*"xxxxxxxx"/s);
    assert.match(await trickled(1_000), /^HTTP\/1\.1 504 /);
  });

  test('that does not take its answer is cut, and its app server let go', async () => {
    const left = moment();
    const pouring: Handler = (_, response) => {
      response.on('close', left.reach);
      const block = Buffer.alloc(64 * 1024);
      const pour = (): void => {
        while (response.write(block));
        response.once('drain', pour);
      };
      pour();
    };
    await using rig = await startRig({
      servers: { 'eu.0': pouring },
      options: { stallTimeoutMs: 200 },
    });
    const socket = connect(rig.gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(GET);
    await eventually('it is in flight', () => rig.gateway.counters().inFlight === 1);
    await left.reached;
    await eventually('it is over', () => rig.gateway.counters().inFlight === 0);
    socket.destroy();
  });

  test('that does not take the end of its answer is cut too', async () => {
    const whole: Handler = (_, response) => void response.end(Buffer.alloc(32 * MIB));
    await using rig = await startRig({
      servers: { 'eu.0': whole },
      options: { stallTimeoutMs: 200 },
    });
    const socket = connect(rig.gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(GET);
    await eventually('it is in flight', () => rig.gateway.counters().inFlight === 1);
    await eventually('it is over', () => rig.gateway.counters().inFlight === 0);
    socket.destroy();
  });

  test('that waits for a slow app server is not taken for one that stalls', async () => {
    const slow: Handler = (_, response) => {
      response.write(Buffer.alloc(4 * MIB));
      setTimeout(() => response.end('end'), 700);
    };
    await using rig = await startRig({
      servers: { 'eu.0': slow },
      options: { stallTimeoutMs: 150 },
    });
    assert.equal((await rig.ask('/x')).text.length, 4 * MIB + 3);
  });
});

test('requests that wait behind another are let go with their connection', async () => {
  const silent: Handler = (incoming) => void incoming.resume();
  await using rig = await startRig({ servers: { 'eu.0': silent } });
  const socket = connect(rig.gateway.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(GET.repeat(5));
  await eventually('all are in flight', () => rig.gateway.counters().inFlight === 5);
  socket.destroy();
  await eventually('none is left', () => rig.gateway.counters().inFlight === 0);
  assert.equal(rig.gateway.counters().clientAborts, 5);
});

test('a client that asks for a tunnel and never goes is closed, and does not hold up the end', async () => {
  await using rig = await startRig({ servers: { 'eu.0': saying('eu.0') } });
  const socket = connect({ port: rig.gateway.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  socket.resume();
  socket.write('CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'end');
  await eventually('it is closed', () => rig.gateway.counters().connections === 0);
  await rig.gateway.close();
  socket.destroy();
});

describe('connections', () => {
  const open = async (port: number): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };

  test('beyond the limit are answered 503 and closed; the others are served', async () => {
    for (const options of [{ connectionsMax: 3 }, { connectionsPerClientMax: 3 }]) {
      await using rig = await startRig({ servers: { 'eu.0': saying('eu.0') }, options });
      const { port } = rig.gateway;
      const held = [await open(port), await open(port), await open(port)];
      const refused = await raw(port, '');
      assert.match(refused, /^HTTP\/1\.1 503 .*retry-after: 1\r\n.*"ERR_GATEWAY_OVERLOADED"/s);
      const answered = once(held[0] as Socket, 'data');
      held[0]?.write(GET);
      assert.match(String(((await answered) as [Buffer])[0]), /^HTTP\/1\.1 200 /);
      for (const socket of held) socket.destroy();
      await eventually('there is room', () => rig.gateway.counters().connections === 0);
      assert.match(await raw(port, GET, '\r\n\r\n'), /^HTTP\/1\.1 200 /);
      assert.equal(rig.gateway.counters().connectionsRefused, 1);
    }
  });

  test('behind a trusted proxy are counted in total only', async () => {
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { connectionsPerClientMax: 1, trustedProxies: ['loopback'] },
    });
    const held = [await open(rig.gateway.port), await open(rig.gateway.port)];
    assert.match(await raw(rig.gateway.port, GET, '\r\n\r\n'), /^HTTP\/1\.1 200 /);
    for (const socket of held) socket.destroy();
  });

  test('end in an orderly way after their last request', async () => {
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { requestsPerConnectionMax: 2 },
    });
    const text = await raw(rig.gateway.port, GET + GET);
    assert.equal(text.match(/HTTP\/1\.1 200 /g)?.length, 2);
    assert.match(text, /connection: close/i);
    for (let i = 0; i < 5; i += 1) assert.equal((await rig.ask('/x')).status, 200);
  });
});

describe('an app server of another region', () => {
  /** Accepts, and says nothing any more; `health` is asked as long as it answers. */
  const cut = (state: { cut: boolean; asked: string[] }): Handler => {
    return (incoming, response) => {
      incoming.resume();
      if (state.cut) return;
      state.asked.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
      if (incoming.url === '/healthz') response.end('ok');
      else if (incoming.url !== '/accounts/alice/slow') response.end('us.0');
    };
  };
  const rigWith = (state: { cut: boolean; asked: string[] }, idempotencyKeys = false) =>
    startRig({
      servers: { 'us.0': cut(state), 'eu.0': saying('eu.0') },
      homes: { alice: 'us' },
      options: { requestTimeoutMs: 20_000, idempotencyKeys, healthPath: '/healthz' },
    });

  test('that cannot be reached is left well before the deadline: repeated elsewhere where it is safe', async () => {
    const state = { cut: true, asked: [] };
    await using rig = await rigWith(state, true);
    const startedAt = performance.now();
    const [put, keyed, post] = await Promise.all([
      rig.ask('/accounts/alice', { method: 'PUT', body: 'x' }),
      rig.ask('/accounts/alice', {
        method: 'POST',
        body: 'x',
        headers: { 'idempotency-key': 'k' },
      }),
      rig.ask('/accounts/alice', { method: 'POST', body: 'x' }),
    ]);
    assert.ok(performance.now() - startedAt < 10_000);
    for (const answer of [put, keyed]) assert.equal(said(answer).name, 'eu.0');
    assert.equal(post.status, 503);
    assert.equal(post.error.code, 'ERR_GATEWAY_UPSTREAM');
    assert.equal(post.error.outcome, 'unknown');
    assert.equal(post.headers['retry-after'], '1');
  });

  test('that is slow but answers its health checks keeps its request until the deadline', async () => {
    const state = { cut: false, asked: [] as string[] };
    await using rig = await rigWith(state);
    const slow = await rig.ask('/accounts/alice/slow', {
      method: 'PUT',
      body: 'x',
      headers: { 'meridian-timeout-ms': '4000' },
    });
    assert.equal(slow.error.code, 'ERR_DEADLINE_EXCEEDED');
    const [first, ...probes] = state.asked;
    assert.equal(first, 'PUT /accounts/alice/slow');
    assert.ok(probes.length >= 2, String(probes));
    assert.ok(!probes.some((one) => one !== 'GET /healthz'), 'it was sent once');
  });
});
