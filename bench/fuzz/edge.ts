/**
 * Real gateways under hostile connections: one with hostile clients, one with hostile app servers.
 *
 * After each case the connection must end; what came back must be well framed, nothing answered 500;
 * honest requests must all be served. Afterwards nothing may be left open.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createRawServer, type AddressInfo, type Socket } from 'node:net';
import { resolveGateway } from '../../src/config/resolve-gateway.ts';
import { startGateway, type Gateway } from '../../src/gateway/gateway.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { seededRandom, type Random } from '../../src/kernel/random.ts';
import { Scope } from '../../src/kernel/scope.ts';
import { fixedControl, REGION } from '../gateway/fixed-control.ts';
import { parseAnswers } from './answers.ts';
import { chance } from './bend.ts';
import { connectionBytes, packets, type Sent } from './request-bytes.ts';
import { answerBytes } from './upstream-bytes.ts';

export interface EdgeFuzz extends AsyncDisposable {
  /** Hostile clients. Statuses answered; throws what is wrong. */
  clients(random: Random): Promise<readonly string[]>;
  /** A hostile app server. Statuses that reached the client; throws what is wrong. */
  upstreams(random: Random): Promise<readonly string[]>;
  /** Throws when an honest request is not served. */
  canary(): Promise<void>;
  /** Resolves when nothing is in flight and no client connected; throws when that does not come. */
  settled(): Promise<void>;
}

/** A connection is given this long to end after its client has. */
const END_MS = 3_000;
/** Honest requests are answered within this, whatever else the machine does. */
const HONEST_MS = 5_000;
/**
 * Looks at a connection without news, after which a case counts as answered. Counted and not timed:
 * every look is a turn of the event loop, so that a busy machine gives the gateway its turns too.
 */
const QUIET_LOOKS = 12;
const LOOKS_MAX = 200;
const LOOK_MS = 5;
const TIMES = { requestTimeoutMs: 4_000, headersTimeoutMs: 2_000, stallTimeoutMs: 1_000 };
const CANARY = 'GET /canary HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

export async function startEdgeFuzz(): Promise<EdgeFuzz> {
  const scope = new Scope();
  const honest = await startUpstream();
  scope.push('honest app server', () => stopServer(honest));
  const hostile = await startHostileUpstream();
  scope.push('hostile app server', () => hostile.stop());
  const plain = scope.use('gateway', await startEdge((honest.address() as AddressInfo).port));
  const behind = scope.use('gateway', await startEdge(hostile.port));
  return {
    clients: (random) => fuzzClient(plain.port, random),
    upstreams: (random) => fuzzUpstream(behind.port, random),
    canary: async () => {
      for (const { port } of [plain, behind]) {
        const text = await converse(port, {
          ...{ pieces: [CANARY], random: seededRandom(1) },
          enough: (sofar) => sofar.includes('alive'),
        });
        if (!text.includes('alive')) throw new Error(`the canary got ${JSON.stringify(text)}`);
      }
    },
    settled: async () => {
      for (const gateway of [plain, behind]) await settled(gateway);
    },
    [Symbol.asyncDispose]: async () => {
      const abandon = new AbortController();
      const late = systemClock.sleep(2 * END_MS, abandon.signal).then(
        () => false,
        () => true,
      );
      const ended = await Promise.race([scope.close().then(() => true), late]);
      abandon.abort();
      if (!ended) throw new Error('the gateways do not close');
    },
  };
}

async function startUpstream(): Promise<Server> {
  const server = createServer((request, response) => {
    request.on('error', () => {});
    request.resume();
    request.on('end', () => response.end(request.url === '/canary' ? 'alive' : 'ok'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function stopServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Answers a request with the bytes of the seed in its `x-seed`; the canary honestly. */
async function startHostileUpstream(): Promise<{ port: number; stop: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.setEncoding('latin1');
    let text = '';
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const seed = /\r\nx-seed: (\d+)/i.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 4);
        if (seed === undefined) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive');
        else answer(socket, seededRandom(Number(seed)));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function answer(socket: Socket, random: Random): void {
  for (const packet of packets(random, answerBytes(random))) socket.write(packet, 'latin1');
  if (chance(random, 4)) socket.end();
  else if (chance(random, 8)) socket.resetAndDestroy();
}

async function startEdge(upstreamPort: number): Promise<Gateway> {
  return startGateway({
    region: REGION,
    zone: 'a',
    options: {
      ...resolveGateway({}, { regions: [], base: '/', dataDirectory: '/' }),
      ...TIMES,
      account: [{ kind: 'path', pattern: '/accounts/:account' }],
      bodyLimitBytes: 4_096,
      drainTimeoutMs: 500,
    },
    control: fixedControl({ host: '127.0.0.1', port: upstreamPort }),
    locator: {
      locate: (account) =>
        account === 'alice'
          ? Promise.resolve({ account, range: 'r', group: `${REGION}-1`, homeRegion: REGION })
          : Promise.reject(new MeridianError('ERR_ACCOUNT_NOT_FOUND', 'no such account')),
    },
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    port: 0,
  });
}

interface Client {
  readonly pieces: readonly string[];
  readonly random: Random;
  /** Given, it waits for this; else for silence, and not always. */
  readonly enough?: ((text: string) => boolean) | undefined;
}

/** Sends the packets, hears until `enough` or silence, ends, and waits for the connection's end. */
async function converse(port: number, client: Client): Promise<string> {
  const { pieces, random, enough } = client;
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const closed = new Promise<void>((resolve) => socket.once('close', resolve));
  let text = '';
  let quiet = 0;
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.on('data', (chunk: string) => {
    text += chunk;
    quiet = 0;
  });
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece, 'latin1');
    if (chance(random, 3)) await systemClock.sleep(random.below(4));
  }
  const sentAtMs = performance.now();
  // Some clients leave at once; the others wait for what comes.
  const leaves = enough === undefined && chance(random, 5);
  for (let looks = 0; !leaves && !socket.destroyed; looks += 1) {
    if (enough === undefined ? looks > LOOKS_MAX || quiet > QUIET_LOOKS : enough(text)) break;
    if (enough !== undefined && performance.now() - sentAtMs > HONEST_MS) break;
    quiet += 1;
    await systemClock.sleep(LOOK_MS);
  }
  if (enough === undefined && chance(random, 4)) socket.resetAndDestroy();
  else socket.end();
  const abandon = new AbortController();
  const late = systemClock.sleep(END_MS, abandon.signal).then(
    () => true,
    () => false,
  );
  const hangs = await Promise.race([closed.then(() => false), late]);
  abandon.abort();
  socket.destroy();
  if (hangs) throw new Error('the gateway did not end the connection: it hangs');
  return text;
}

const finals = (text: string, methods: readonly string[]): number =>
  parseAnswers(text, methods).filter(({ whole }) => whole).length;

async function fuzzClient(port: number, random: Random): Promise<readonly string[]> {
  const sent = connectionBytes(random);
  const { bytes, methods, honest } = sent;
  const enough = honest
    ? (text: string): boolean => finals(text, methods) >= methods.length
    : undefined;
  const text = await converse(port, { pieces: packets(random, bytes), random, enough });
  try {
    return judgeClient(sent, text);
  } catch (cause) {
    throw new Error(`sent ${JSON.stringify(bytes)}, got ${JSON.stringify(text)}`, { cause });
  }
}

/** Of bent bytes nobody knows the methods: only how its answers begin is looked at. */
function judgeClient({ methods, honest }: Sent, text: string): readonly string[] {
  const statuses = [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map((match) => match[1] ?? '');
  if (statuses.includes('500')) throw new Error('answered 500');
  if (!honest) return statuses;
  const wrong = statuses.length !== methods.length || statuses.some((status) => status !== '200');
  if (wrong) throw new Error(`an honest request was answered ${statuses.join(', ')}`);
  return statuses;
}

async function fuzzUpstream(port: number, random: Random): Promise<readonly string[]> {
  const seed = random.below(2 ** 31);
  const method = chance(random, 6) ? 'HEAD' : 'GET';
  const request = `${method} /x HTTP/1.1\r\nHost: h\r\nX-Seed: ${String(seed)}\r\n\r\n`;
  const text = await converse(port, { pieces: [request], random });
  try {
    const answers = parseAnswers(text, [method]);
    if (answers.length > 1) throw new Error('more than one answer to one request');
    if (answers.some(({ status }) => status === 500)) throw new Error('answered 500');
    return answers.map(({ status, whole }) => `${String(status)}${whole ? '' : ' cut'}`);
  } catch (cause) {
    const answered = JSON.stringify(answerBytes(seededRandom(seed)));
    throw new Error(`an app server said ${answered}, got ${JSON.stringify(text)}`, { cause });
  }
}

async function settled(gateway: Gateway): Promise<void> {
  const deadlineMs = performance.now() + END_MS;
  for (;;) {
    const { inFlight, websocketsOpen, connections, refused } = gateway.counters();
    if (refused.ERR_INTERNAL !== undefined) throw new Error('the gateway counted ERR_INTERNAL');
    if (inFlight + websocketsOpen + connections === 0) return;
    if (performance.now() > deadlineMs) {
      throw new Error(
        `left open: ${String(inFlight)} requests, ${String(websocketsOpen)} WebSockets, ` +
          `${String(connections)} connections`,
      );
    }
    await systemClock.sleep(20);
  }
}
