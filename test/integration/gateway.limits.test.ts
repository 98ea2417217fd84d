/** What a gateway bounds: time, bodies, requests at once, memory, and its own end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, request as httpRequest, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { eventually, moment, raw, saying, startRig, type Handler } from '../support/gateway-rig.ts';

const MIB = 1024 * 1024;

describe('deadline', () => {
  test('a request that takes too long is answered 504; the client may ask for less, not more', async () => {
    let cut = 0;
    const silent: Handler = (incoming, response) => {
      incoming.resume();
      response.on('close', () => (cut += 1));
    };
    await using rig = await startRig({
      servers: { 'eu.0': silent },
      options: { requestTimeoutMs: 1_500 },
    });
    const took = async (asking: Parameters<typeof rig.ask>[1]) => {
      const started = performance.now();
      const answer = await rig.ask('/x', asking);
      assert.deepEqual([answer.status, answer.error.code], [504, 'ERR_DEADLINE_EXCEEDED']);
      return { ms: performance.now() - started, outcome: answer.error.outcome };
    };
    const less = await took({ headers: { 'meridian-timeout-ms': '80' } });
    assert.ok(less.ms >= 75 && less.ms < 1_400, `${String(less.ms)} ms`);
    assert.equal(less.outcome, 'none');
    const more = await took({ headers: { 'meridian-timeout-ms': '9000' }, method: 'POST' });
    assert.ok(more.ms >= 1_495 && more.ms < 7_000, `${String(more.ms)} ms`);
    assert.equal(more.outcome, 'unknown');
    await eventually('the app server sees both requests cut', () => cut === 2);
    assert.equal((await rig.ask('/x', { headers: { 'meridian-timeout-ms': '0' } })).status, 504);
  });

  test('a directory that hangs does not hold the request', async () => {
    let aborted = false;
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0') },
      options: { requestTimeoutMs: 100 },
      locate: (_account, options) => {
        options?.signal?.addEventListener('abort', () => (aborted = true));
        return new Promise(() => {});
      },
    });
    const answer = await rig.ask('/accounts/alice', { method: 'POST', body: 'x' });
    assert.deepEqual([answer.status, answer.error.outcome], [504, 'none']);
    assert.equal(aborted, true);
  });

  test('an answer that has begun may take longer than the deadline, while it makes progress', async () => {
    const stalled: Handler = (_, response) => void response.write('begun ');
    await using rig = await startRig({
      servers: { 'eu.0': stalled },
      options: { requestTimeoutMs: 150 },
    });
    await assert.rejects(rig.ask('/x'), 'without any progress for that long, it is cut');
    const steady: Handler = (_, response) => {
      let left = 5;
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) return void response.write('tick ');
        clearInterval(timer);
        response.end('done');
      }, 80);
    };
    await using other = await startRig({
      servers: { 'eu.0': steady },
      options: { requestTimeoutMs: 250 },
    });
    assert.equal((await other.ask('/x')).text, 'tick tick tick tick done');
  });
});

describe('body limit', () => {
  test('a declared length over the limit is refused before anything is forwarded', async () => {
    let asked = 0;
    const counting: Handler = (incoming, response) => {
      asked += 1;
      saying('eu.0')(incoming, response);
    };
    await using rig = await startRig({
      servers: { 'eu.0': counting },
      options: { bodyLimitBytes: 100_000 },
    });
    const body = Buffer.alloc(3 * MIB);
    const refused = await rig.ask('/x', { method: 'POST', body });
    assert.deepEqual([refused.status, refused.error.code], [413, 'ERR_GATEWAY_BODY_TOO_LARGE']);
    assert.equal(asked, 0);
    const fits = await rig.ask('/x', { method: 'POST', body: Buffer.alloc(100_000) });
    assert.equal(fits.status, 200);
  });

  test('a chunked body is counted as it streams', async () => {
    const seen: { complete: boolean }[] = [];
    const reading: Handler = (incoming, response) => {
      seen.push(incoming);
      saying('eu.0')(incoming, response);
    };
    await using rig = await startRig({
      servers: { 'eu.0': reading },
      options: { bodyLimitBytes: 100_000 },
    });
    const chunks = (count: number) =>
      Readable.from(
        (function* () {
          for (let i = 0; i < count; i += 1) yield Buffer.alloc(10_000, 'x');
        })(),
      );
    const fits = await rig.ask('/x', { method: 'POST', body: chunks(10) });
    assert.equal(fits.status, 200);
    const refused = await rig.ask('/x', { method: 'POST', body: chunks(300) });
    assert.deepEqual([refused.status, refused.error.code], [413, 'ERR_GATEWAY_BODY_TOO_LARGE']);
    assert.deepEqual(
      seen.map((one) => one.complete),
      [true, false],
    );
    assert.equal((await rig.ask('/x')).status, 200);
  });
});

test('requests beyond the concurrency limit are refused at once; health is not', async () => {
  const waiting: ServerResponse[] = [];
  const holding: Handler = (_, response) => void waiting.push(response);
  await using rig = await startRig({
    servers: { 'eu.0': holding },
    options: { concurrencyMax: 3 },
  });
  const held = [1, 2, 3].map(() => rig.ask('/x'));
  await eventually('three are held', () => waiting.length === 3);
  const refused = await rig.ask('/x');
  assert.deepEqual([refused.status, refused.error.code], [503, 'ERR_GATEWAY_OVERLOADED']);
  assert.equal(refused.headers['retry-after'], '1');
  assert.equal((await rig.ask('/healthz')).status, 200);
  for (const response of waiting) response.end('ok');
  assert.deepEqual(
    (await Promise.all(held)).map((answer) => answer.status),
    [200, 200, 200],
  );
  assert.equal(rig.gateway.counters().inFlight, 0);
});

describe('streaming', () => {
  test('100 MB each way, with bounded memory', { timeout: 60_000 }, async () => {
    const echo: Handler = (incoming, response) => void incoming.pipe(response);
    await using rig = await startRig({
      servers: { 'eu.0': echo },
      options: { bodyLimitBytes: 200 * MIB, requestTimeoutMs: 30_000 },
    });
    const block = Buffer.alloc(256 * 1024, 7);
    const transfer = async (count: number, sample: () => void): Promise<number> => {
      const body = Readable.from(
        (function* () {
          for (let i = 0; i < count; i += 1) yield block;
        })(),
        { objectMode: false, highWaterMark: 64 * 1024 },
      );
      const answer = await request(`${rig.url}/x`, { method: 'POST', body });
      let bytes = 0;
      for await (const chunk of answer.body) {
        bytes += (chunk as Buffer).length;
        sample();
      }
      return bytes;
    };
    await transfer(40, () => {});
    const before = process.memoryUsage().rss;
    let peak = before;
    const bytes = await transfer(400, () => {
      peak = Math.max(peak, process.memoryUsage.rss());
    });
    assert.equal(bytes, 100 * MIB);
    const grownMiB = (peak - before) / MIB;
    assert.ok(grownMiB < 60, `grew by ${grownMiB.toFixed(1)} MiB`);
  });

  test('a slow reader holds the app server back', async () => {
    let written = 0;
    const pouring: Handler = (_, response) => {
      const block = Buffer.alloc(64 * 1024);
      const pour = (): void => {
        while (written < 64 * MIB) {
          written += block.length;
          if (!response.write(block)) return void response.once('drain', pour);
        }
        response.end();
      };
      pour();
    };
    await using rig = await startRig({ servers: { 'eu.0': pouring } });
    const reading = get(`${rig.url}/x`);
    const [answer] = (await once(reading, 'response')) as [NodeJS.ReadableStream];
    answer.pause();
    let last = -1;
    while (written !== last) {
      last = written;
      await pause(150);
    }
    assert.ok(
      written < 40 * MIB,
      `${String(written / MIB)} MiB went into a reader that reads none`,
    );
    reading.destroy();
    await eventually('the gateway lets go', () => rig.gateway.counters().inFlight === 0);
  });

  test('an app server that does not read holds the client back', async () => {
    const deaf: Handler = (incoming) => void incoming.pause();
    await using rig = await startRig({
      servers: { 'eu.0': deaf },
      options: { bodyLimitBytes: 200 * MIB, requestTimeoutMs: 1_500 },
    });
    const asking = httpRequest(`${rig.url}/x`, { method: 'POST' });
    asking.on('error', () => {});
    const block = Buffer.alloc(64 * 1024);
    let written = 0;
    const pour = (): void => {
      while (written < 64 * MIB) {
        written += block.length;
        if (!asking.write(block)) return void asking.once('drain', pour);
      }
    };
    pour();
    let last = -1;
    while (written !== last) {
      last = written;
      await pause(150);
    }
    assert.ok(
      written < 40 * MIB,
      `${String(written / MIB)} MiB went into a server that reads none`,
    );
    asking.destroy();
    // A connection that nobody reads does not tell that its client left: the deadline does.
    await eventually('the gateway lets go', () => rig.gateway.counters().inFlight === 0);
  });

  test('chunks pass as they come, both ways', async () => {
    const heard: string[] = [];
    const talking: Handler = (incoming, response) => {
      response.flushHeaders();
      incoming.on('data', (chunk: Buffer) => {
        heard.push(chunk.toString());
        response.write(`re: ${chunk.toString()}`);
      });
      incoming.on('end', () => response.end());
    };
    await using rig = await startRig({ servers: { 'eu.0': talking } });
    const headers = { 'transfer-encoding': 'chunked' };
    const asking = httpRequest(`${rig.url}/x`, { method: 'POST', headers });
    asking.write('one');
    const [answer] = (await once(asking, 'response')) as [NodeJS.ReadableStream];
    const next = async (): Promise<string> => String(((await once(answer, 'data')) as [Buffer])[0]);
    assert.equal(await next(), 're: one');
    asking.write('two');
    assert.equal(await next(), 're: two');
    asking.end();
    await once(answer, 'end');
    assert.deepEqual(heard, ['one', 'two']);
  });

  test('a client that leaves cuts its request at the app server', async () => {
    const arrived = moment();
    const left = moment();
    const silent: Handler = (_, response) => {
      response.on('close', left.reach);
      arrived.reach();
    };
    await using rig = await startRig({ servers: { 'eu.0': silent } });
    const leaving = get(`${rig.url}/x`);
    leaving.on('error', () => {});
    await arrived.reached;
    leaving.destroy();
    await left.reached;
    await eventually('it is counted', () => rig.gateway.counters().clientAborts === 1);
    assert.equal(rig.gateway.counters().inFlight, 0);
    assert.deepEqual(rig.gateway.counters().refused, {});
  });

  test('a client that leaves in the middle of its upload cuts it too', async () => {
    const arrived = moment();
    const cut = moment();
    const reading: Handler = (incoming) => {
      incoming.once('data', arrived.reach);
      incoming.on('error', cut.reach);
      incoming.resume();
    };
    await using rig = await startRig({ servers: { 'eu.0': reading } });
    const headers = { 'transfer-encoding': 'chunked' };
    const leaving = httpRequest(`${rig.url}/x`, { method: 'POST', headers });
    leaving.on('error', () => {});
    leaving.write('some');
    await arrived.reached;
    leaving.destroy();
    await cut.reached;
    await eventually('it is over', () => rig.gateway.counters().inFlight === 0);
  });
});

describe('health and end', () => {
  test('/healthz while alive, /readyz with a ready app server, /readyz/local with one here', async () => {
    await using rig = await startRig({
      servers: { 'eu.0': saying('eu.0'), 'us.0': saying('us.0') },
    });
    assert.equal((await rig.ask('/healthz')).status, 200);
    assert.equal((await rig.ask('/readyz')).status, 200);
    rig.setReady('eu.0', false);
    assert.equal((await rig.ask('/healthz')).status, 200);
    const degraded = await rig.ask('/readyz');
    assert.equal(degraded.status, 200);
    assert.match(degraded.text, /"status":"degraded".*no app server of eu is ready/);
    assert.equal((await rig.ask('/readyz/local')).status, 503);
    rig.setReady('us.0', false);
    const unready = await rig.ask('/readyz');
    assert.equal(unready.status, 503);
    assert.match(unready.text, /no app server of any region is ready/);
    assert.equal((await rig.ask('/healthz')).status, 200);
  });

  test('a drain finishes what is in flight, refuses what is new, and then ends', async () => {
    const arrived = moment();
    const finish = moment();
    const slow: Handler = (_, response) => {
      arrived.reach();
      void finish.reached.then(() => response.end('finished'));
    };
    await using rig = await startRig({ servers: { 'eu.0': slow } });
    const { port } = rig.gateway;
    const answered = raw(port, 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n');
    await arrived.reached;
    const drained = rig.gateway.drain();
    const again = rig.gateway.drain();
    await assert.rejects(request(`http://127.0.0.1:${String(port)}/x`), { code: 'ECONNREFUSED' });
    finish.reach();
    const text = await answered;
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(text, /finished/);
    assert.match(text.toLowerCase(), /connection: close/);
    await drained;
    await again;
    assert.equal(rig.gateway.counters().inFlight, 0);
  });

  test('a drain does not wait for ever', async () => {
    const arrived = moment();
    const never: Handler = () => {
      arrived.reach();
    };
    await using rig = await startRig({
      servers: { 'eu.0': never },
      options: { drainTimeoutMs: 100 },
    });
    const cut = assert.rejects(rig.ask('/x'));
    await arrived.reached;
    const started = performance.now();
    await rig.gateway.drain();
    assert.ok(performance.now() - started < 1_500);
    await cut;
  });

  test('connections to an address that left the view are closed', async () => {
    const sockets = new Set<{ destroyed: boolean }>();
    const noting: Handler = (incoming, response) => {
      sockets.add(incoming.socket);
      saying('eu.0')(incoming, response);
    };
    await using rig = await startRig({ servers: { 'eu.0': noting } });
    await rig.ask('/x');
    rig.control.show([]);
    await eventually('it is closed', () => [...sockets].every((socket) => socket.destroyed));
    assert.equal(sockets.size, 1);
  });
});
