/** WebSockets through a gateway: real `ws` clients and app servers, their ends, limits and leaks. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  eventually,
  raw,
  saying,
  startRig,
  type Rig,
  type RigOptions,
} from '../support/gateway-rig.ts';

const MIB = 1024 * 1024;
const PAYLOAD_MAX = 64 * MIB;

interface Talk {
  readonly rig: Rig;
  /** Paths that app servers upgraded, as "server path". */
  readonly upgraded: string[];
  /** The app servers' ends. */
  readonly sockets: Set<WebSocket>;
  open(path: string, headers?: Record<string, string>): Promise<WebSocket>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** App servers that echo; "who" is answered with their name. */
async function startTalk(more: Partial<RigOptions> = {}): Promise<Talk> {
  const upgraded: string[] = [];
  const sockets = new Set<WebSocket>();
  const rig = await startRig({
    servers: { 'eu.0': saying('eu.0'), 'us.0': saying('us.0') },
    homes: { alice: 'us', bob: 'eu' },
    ...more,
    onServer: (server, name) => {
      const echo = new WebSocketServer({ noServer: true, maxPayload: PAYLOAD_MAX });
      server.on('upgrade', (request, socket, head) => {
        upgraded.push(`${name} ${String(request.url)}`);
        echo.handleUpgrade(request, socket, head, (client) => {
          sockets.add(client);
          client.on('error', () => {});
          client.on('close', () => sockets.delete(client));
          client.on('message', (data, binary) => {
            const text = binary ? '' : (data as Buffer).toString();
            client.send(text === 'who' ? name : (data as Buffer), { binary });
          });
        });
      });
    },
  });
  const clients: WebSocket[] = [];
  return {
    rig,
    upgraded,
    sockets,
    open: async (path, headers = {}) => {
      const url = rig.url.replace('http', 'ws') + path;
      const client = new WebSocket(url, { headers, maxPayload: PAYLOAD_MAX });
      clients.push(client);
      await once(client, 'open');
      client.on('error', () => {});
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.terminate();
      await rig[Symbol.asyncDispose]();
    },
  };
}

async function ask(client: WebSocket, message: string | Buffer): Promise<Buffer> {
  const answer = once(client, 'message');
  client.send(message);
  return ((await answer) as [Buffer])[0];
}

/** The status and body that a handshake is refused with. */
function refused(url: string, headers: Record<string, string> = {}): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const client = new WebSocket(url, { headers });
    client.on('error', () => {});
    client.on('open', () => {
      reject(new Error('it was opened'));
    });
    client.on('unexpected-response', (_, answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => {
        resolve([answer.statusCode ?? 0, text]);
      });
    });
  });
}

const handshake = (...more: string[]): string =>
  [
    'GET /x HTTP/1.1',
    'Host: h',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
    '',
    '',
  ].join('\r\n');

describe('a WebSocket', () => {
  test('carries text, binary, pings and 10 MB messages both ways', async () => {
    await using talk = await startTalk();
    const client = await talk.open('/x');
    assert.equal((await ask(client, 'hello')).toString(), 'hello');
    const binary = Buffer.from([0, 255, 13, 10, 0]);
    assert.deepEqual(await ask(client, binary), binary);
    const ponged = once(client, 'pong');
    client.ping('are you there');
    assert.equal(String(((await ponged) as [Buffer])[0]), 'are you there');
    const large = Buffer.alloc(10 * MIB, 'meridian');
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    assert.equal(digest(await ask(client, large)), digest(large));
    const { websockets, websocketsOpen, inFlight } = talk.rig.gateway.counters();
    assert.deepEqual(
      { websockets, websocketsOpen, inFlight },
      { websockets: 1, websocketsOpen: 1, inFlight: 0 },
    );
  });

  test('goes to the home of the account it names, else to a server of the region', async () => {
    await using talk = await startTalk();
    const who = async (path: string): Promise<string> =>
      (await ask(await talk.open(path), 'who')).toString();
    assert.equal(await who('/accounts/alice/feed'), 'us.0');
    assert.equal(await who('/accounts/bob/feed'), 'eu.0');
    assert.equal(await who('/feed'), 'eu.0');
    assert.deepEqual(talk.upgraded, [
      'us.0 /accounts/alice/feed',
      'eu.0 /accounts/bob/feed',
      'eu.0 /feed',
    ]);
  });

  test('keeps sub-protocol, request id and token, and gets the headers of an edge', async () => {
    const seen: Record<string, unknown>[] = [];
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      onServer: (server) => {
        server.on('upgrade', (request, socket: Socket) => {
          seen.push(request.headers);
          const key = String(request.headers['sec-websocket-key']);
          const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
              `Sec-WebSocket-Accept: ${accept.digest('base64')}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
          );
          // A frame in the same packet as the head would be: 'hi'.
          socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
        });
      },
    });
    const client = new WebSocket(rig.url.replace('http', 'ws') + '/x', ['chat'], {
      headers: { 'meridian-request-id': 'r-1', 'x-forwarded-for': '6.6.6.6' },
    });
    const first = once(client, 'message');
    const answered = once(client, 'upgrade');
    assert.equal(String(((await first) as [Buffer])[0]), 'hi');
    assert.equal(client.protocol, 'chat');
    const [answer] = (await answered) as [{ headers: Record<string, string> }];
    assert.equal(answer.headers['meridian-request-id'], 'r-1');
    assert.equal(answer.headers['meridian-served-by'], 'eu.0');
    assert.equal(seen[0]?.['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen[0]?.['upgrade'], 'websocket');
    client.terminate();
  });

  test('sends on what came behind the handshake in one packet', async () => {
    const heard: Buffer[] = [];
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      onServer: (server) => {
        server.on('upgrade', (_, socket: Socket, head: Buffer) => {
          heard.push(head);
          socket.on('data', (chunk: Buffer) => heard.push(chunk));
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
          );
          socket.on('end', () => socket.end('bye'));
        });
      },
    });
    const text = raw(rig.gateway.port, `${handshake()}\u0000early`, 'bye');
    await eventually('it arrives', () => Buffer.concat(heard).toString() === '\u0000early');
    void text;
  });
});

describe('the end of a WebSocket', () => {
  test('an app server that dies ends it, and so does a client', async () => {
    await using talk = await startTalk();
    const first = await talk.open('/x');
    const closed = once(first, 'close');
    for (const socket of talk.sockets) socket.terminate();
    await closed;
    const second = await talk.open('/x');
    await ask(second, 'hello');
    second.terminate();
    await eventually('the app server sees it', () => talk.sockets.size === 0);
    await eventually('it is over', () => talk.rig.gateway.counters().websocketsOpen === 0);
  });

  test('what an app server sent before it closed arrives, at a slow reader too', async () => {
    await using talk = await startTalk();
    const client = await talk.open('/x');
    await ask(client, 'hello');
    let bytes = 0;
    const closed = once(client, 'close');
    client.on('message', (data) => (bytes += (data as Buffer).length));
    client.pause();
    for (const socket of talk.sockets) {
      for (let i = 0; i < 64; i += 1) socket.send(Buffer.alloc(MIB / 4));
      socket.close(1000, 'done');
    }
    await eventually('the slow reader holds the app server back', () =>
      [...talk.sockets].some((socket) => socket.bufferedAmount > MIB),
    );
    client.resume();
    const [code] = (await closed) as [number];
    assert.deepEqual([code, bytes], [1000, 16 * MIB]);
  });

  test('one on which nothing moves is closed; one that pings is not', async () => {
    await using talk = await startTalk({ options: { websocketIdleTimeoutMs: 200 } });
    const silent = await talk.open('/x');
    const lively = await talk.open('/x');
    const timer = setInterval(() => {
      lively.ping();
    }, 40);
    await once(silent, 'close');
    clearInterval(timer);
    assert.equal(lively.readyState, WebSocket.OPEN);
    await eventually('one is left', () => talk.rig.gateway.counters().websocketsOpen === 1);
  });

  test('a drain leaves it alone until its time is over, and then ends it', async () => {
    await using talk = await startTalk({ options: { drainTimeoutMs: 150 } });
    const client = await talk.open('/x');
    const closed = once(client, 'close');
    const startedAt = performance.now();
    const drained = talk.rig.gateway.drain();
    assert.equal((await ask(client, 'still here')).toString(), 'still here');
    await closed;
    assert.ok(performance.now() - startedAt >= 145);
    await drained;
    await eventually('the app server sees it', () => talk.sockets.size === 0);
  });

  test('a drain is over as soon as the last one closes', async () => {
    await using talk = await startTalk({ options: { drainTimeoutMs: 30_000 } });
    const client = await talk.open('/x');
    const drained = talk.rig.gateway.drain();
    client.close();
    await drained;
  });

  test('hundreds leave nothing behind', async () => {
    await using talk = await startTalk();
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;
    const round = async (): Promise<void> => {
      const clients = await Promise.all(Array.from({ length: 50 }, () => talk.open('/x')));
      await Promise.all(clients.map((client) => ask(client, 'hello')));
      for (const [index, client] of clients.entries()) {
        if (index % 2 === 0) client.terminate();
        else client.close();
      }
      await eventually('all are gone', () => talk.rig.gateway.counters().websocketsOpen === 0);
      await eventually('at the app server too', () => talk.sockets.size === 0);
    };
    await round();
    const before = handles();
    for (let i = 0; i < 5; i += 1) await round();
    await eventually('no more handles than before', () => handles() <= before);
    assert.equal(talk.rig.gateway.counters().inFlight, 0);
  });
});

describe('a handshake', () => {
  test('that an app server refuses is refused with its answer', async () => {
    await using rig = await startRig({
      servers: {
        'eu.0': (_, response) => {
          response.writeHead(403, { 'content-type': 'text/plain' });
          response.end('not for you '.repeat(20_000));
        },
      },
    });
    const [status, text] = await refused(rig.url.replace('http', 'ws') + '/x');
    assert.deepEqual([status, text.length], [403, 240_000]);
    await eventually('it is over', () => rig.gateway.counters().inFlight === 0);
    assert.equal(rig.gateway.counters().websockets, 0);
  });

  test('without an app server, account or room is refused as a request would be', async () => {
    await using talk = await startTalk({ options: { websocketsMax: 1 } });
    const url = talk.rig.url.replace('http', 'ws');
    const code = async (path: string, headers?: Record<string, string>): Promise<unknown[]> => {
      const [status, text] = await refused(url + path, headers);
      return [status, (JSON.parse(text) as { error: { code: string } }).error.code];
    };
    assert.deepEqual(await code('/accounts/nobody'), [404, 'ERR_ACCOUNT_NOT_FOUND']);
    assert.deepEqual(await code('/x', { 'meridian-hop': 'us' }), [421, 'ERR_GATEWAY_MISDIRECTED']);
    const first = await talk.open('/x');
    assert.deepEqual(await code('/x'), [503, 'ERR_GATEWAY_OVERLOADED']);
    first.close();
    await eventually('there is room', () => talk.rig.gateway.counters().websocketsOpen === 0);
    (await talk.open('/x')).close();
    await eventually('there is room', () => talk.rig.gateway.counters().websocketsOpen === 0);
    talk.rig.setReady('eu.0', false);
    talk.rig.setReady('us.0', false);
    assert.deepEqual(await code('/x'), [503, 'ERR_GATEWAY_NO_APP_SERVER']);
  });

  test('that is none, or carries a body, is refused, and nothing of it is forwarded', async () => {
    let asked = 0;
    await using rig = await startRig({
      servers: { 'eu.0': () => (asked += 1) },
      onServer: (server) => void server.on('upgrade', () => (asked += 1)),
    });
    const status = async (bytes: string): Promise<string> =>
      (await raw(rig.gateway.port, bytes)).slice(9, 12);
    assert.equal(await status(handshake('Content-Length: 3') + 'abc'), '400');
    assert.equal(await status(handshake('Transfer-Encoding: chunked') + '0\r\n\r\n'), '400');
    assert.equal(await status(handshake().replace('GET', 'POST')), '400');
    assert.equal(await status(handshake().replace(/Sec-WebSocket-Key.*\r\n/, '')), '400');
    assert.equal(await status(handshake().replace('websocket', 'h2c')), '501');
    assert.equal(await status(handshake().replace('websocket', 'websocket, h2c')), '501');
    assert.equal(asked, 0);
  });

  test('a client that leaves before the answer costs nothing', async () => {
    let arrived = 0;
    let cut = 0;
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { requestTimeoutMs: 300 },
      onServer: (server) => {
        server.on('upgrade', (_, socket) => {
          arrived += 1;
          socket.on('end', () => (cut += 1));
          socket.resume();
        });
      },
    });
    const socket = connect(rig.gateway.port, '127.0.0.1');
    socket.write(handshake());
    await eventually('it arrives', () => arrived === 1);
    socket.resetAndDestroy();
    await eventually('it is over', () => rig.gateway.counters().inFlight === 0);
    await eventually('the app server sees it', () => cut === 1);
    assert.equal(rig.gateway.counters().websocketsOpen, 0);
  });
});

test('a handshake behind a request that is not answered yet ends the connection and nothing else', async () => {
  await using rig = await startRig({
    servers: { 'eu.0': (incoming) => void incoming.resume() },
  });
  const { port } = rig.gateway;
  const silent = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';
  assert.equal(await raw(port, silent + handshake()), '');
  assert.equal(await raw(port, `${silent}CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n`), '');
  await eventually('nothing is left', () => rig.gateway.counters().inFlight === 0);
  assert.match(
    await raw(port, 'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'),
    / 200 /,
  );
});
