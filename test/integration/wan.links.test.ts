/**
 * The emulated WAN end to end: its real process, real sockets. Bounds on time are on medians, because
 * the machine that runs this may be busy; lower bounds hold always, since a timer is never early by more
 * than its half tick.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';
import { regionPair, type Locality } from '../../src/topology/region.ts';
import { startWan, type Wan } from '../../src/wan/wan.ts';
import {
  closed,
  dial,
  echo,
  listen,
  median,
  receive,
  roundTrip,
  type Listener,
} from '../support/sockets.ts';

const MIB = 1024 * 1024;
const usA = { region: 'us', zone: 'a' };
const usB = { region: 'us', zone: 'b' };
const euA = { region: 'eu', zone: 'a' };
const latency = { betweenRegionsMs: { [regionPair('us', 'eu')]: 80 }, betweenZonesMs: 1 };

describe('the emulated WAN', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meridian-wan-'));
  const start = (scale = 1): Promise<Wan> =>
    startWan({
      host: createLocalHost(systemRandom),
      clock: systemClock,
      log: silentLog,
      latency,
      scale,
      logFile: join(directory, 'wan.log'),
      env: {},
    });
  let wan: Wan;
  before(async () => {
    wan = await start();
  });
  after(async () => {
    await wan[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  test('takes the declared round trip between regions, and one more to connect', async (context) => {
    await using server = await echo();
    const link = await wan.link({ from: usA, to: euA, target: server.address });
    using socket = await dial(link);
    const first = await roundTrip(socket, 'hello');
    assert.ok(first >= 159 && first < 200, `first answer after ${String(first)} ms`);
    const samples: number[] = [];
    for (let i = 0; i < 20; i += 1) samples.push(await roundTrip(socket, 'ping'));
    context.diagnostic(`median ${median(samples).toFixed(2)} ms`);
    // Never less than declared. What is added is the machine's: idle virtual processors take a millisecond and
    // more to wake for each hop and timer, so the fastest is looked at, with room.
    const fastest = Math.min(...samples);
    assert.ok(fastest >= 79.5 && fastest <= 100, samples.map((ms) => ms.toFixed(1)).join(' '));
  });

  test('takes about a millisecond between zones and hardly anything within one', async (context) => {
    await using server = await echo();
    const medianOf = async (to: Locality, { address }: Listener): Promise<number> => {
      using socket = await dial(await wan.link({ from: usA, to, target: address }));
      const samples: number[] = [];
      for (let i = 0; i < 300; i += 1) samples.push(await roundTrip(socket, 'ping'));
      return median(samples);
    };
    const zones = await medianOf(usB, server);
    context.diagnostic(`median between zones ${zones.toFixed(2)} ms`);
    assert.ok(zones >= 0.5 && zones <= 2.5, `between zones ${String(zones)} ms`);
    await using other = await echo();
    const within = await medianOf(usA, other);
    context.diagnostic(`median within a zone ${within.toFixed(2)} ms`);
    assert.ok(within < 1, `within a zone ${String(within)} ms`);
  });

  for (const to of [usA, euA]) {
    test(`carries 64 MiB unharmed from us/a to ${to.region}/${to.zone}`, async (context) => {
      const hash = createHash('sha256');
      let received = 0;
      await using server = await listen((socket) => {
        socket.on('data', (chunk) => {
          hash.update(chunk);
          received += chunk.length;
        });
        socket.on('end', () => socket.end('ok'));
      });
      using socket = await dial(await wan.link({ from: usA, to, target: server.address }));
      const block = randomBytes(MIB);
      const expected = createHash('sha256');
      const started = performance.now();
      const answer = receive(socket, 2);
      for (let i = 0; i < 64; i += 1) {
        expected.update(block);
        if (!socket.write(block)) await once(socket, 'drain');
      }
      socket.end();
      assert.equal((await answer).toString(), 'ok');
      const seconds = (performance.now() - started) / 1000;
      context.diagnostic(`${(64 / seconds).toFixed(0)} MiB/s`);
      assert.equal(received, 64 * MIB);
      assert.equal(hash.digest('hex'), expected.digest('hex'));
      assert.ok(seconds < 6.4, `64 MiB took ${String(seconds)} s`);
    });
  }

  test('stalls when cut, resumes in order when healed, and loses nothing', async () => {
    const block = randomBytes(4 * MIB);
    await using server = await echo();
    const request = { from: usA, to: euA, target: server.address };
    using socket = await dial(await wan.link(request));
    await roundTrip(socket, 'warm');
    const selector = { from: { region: 'us' }, to: { region: 'eu' } };
    const all = receive(socket, block.length);
    for (let at = 0; at < block.length; at += 64 * 1024) {
      socket.write(block.subarray(at, at + 64 * 1024));
      if (at === 2 * MIB) await wan.cut(selector);
    }
    const cutLink = (await wan.links()).find((l) => l.target.port === server.address.port);
    assert.equal(cutLink?.cut, 'both');
    using late = await dial(await wan.link(request));
    const lateAnswer = roundTrip(late, 'late');
    await assert.rejects(
      Promise.race([lateAnswer, sleep(300).then(() => Promise.reject(new Error('silent')))]),
      { message: 'silent' },
    );
    const stalled = (await wan.links()).find((l) => l.target.port === server.address.port);
    assert.equal(stalled?.bytesForwarded, cutLink?.bytesForwarded);
    assert.equal(server.sockets.size, 1, 'the new connection did not reach the target');
    await wan.heal(selector);
    assert.equal(Buffer.compare((await all).subarray(0, block.length), block), 0);
    assert.ok((await lateAnswer) > 300);
  });

  test('cuts one way: the other direction goes on', async () => {
    const got: string[] = [];
    await using server = await listen((socket) => {
      socket.on('data', (chunk: Buffer) => got.push(chunk.toString()));
    });
    using socket = await dial(await wan.link({ from: euA, to: usA, target: server.address }));
    socket.write('1');
    while (got.length === 0) await sleep(5);
    await wan.cut({ from: { region: 'eu' }, to: { region: 'us' }, oneWay: true });
    socket.write('2');
    const [inside] = server.sockets;
    const answer = receive(socket, 4);
    inside?.write('back');
    assert.equal((await answer).toString(), 'back');
    assert.deepEqual(got, ['1']);
    await wan.heal({});
    while (got.length < 2) await sleep(5);
    assert.deepEqual(got, ['1', '2']);
  });

  test('leads to the new address of a restarted server', async () => {
    const first = await echo();
    const link = await wan.link({ from: usA, to: usB, target: first.address });
    await first[Symbol.asyncDispose]();
    await using second = await echo();
    await wan.retarget(first.address, second.address);
    assert.deepEqual(await wan.link({ from: usA, to: usB, target: second.address }), link);
    using socket = await dial(link);
    assert.ok((await roundTrip(socket, 'there')) > 0);
  });

  test('passes on a half close, a reset, and a refused connection', async () => {
    await using server = await echo();
    const link = await wan.link({ from: usA, to: usB, target: server.address });
    using polite = await dial(link);
    const whole = receive(polite, 4);
    polite.end('last');
    assert.equal((await whole).toString(), 'last');
    assert.equal(await closed(polite), false);
    using rude = await dial(link);
    await roundTrip(rude, 'x');
    const [inside] = server.sockets;
    assert.ok(inside !== undefined);
    const broken = closed(inside);
    rude.resetAndDestroy();
    assert.equal(await broken, true, 'the target saw a reset');
    const gone = await echo();
    await gone[Symbol.asyncDispose]();
    // The reset may come before this process has heard that it is connected.
    const refused = await dial(await wan.link({ from: usA, to: usB, target: gone.address })).then(
      closed,
      ({ code }: NodeJS.ErrnoException) => code === 'ECONNRESET',
    );
    assert.equal(refused, true);
    for (let tries = 0; (await connections(wan)) > 0 && tries < 100; tries += 1) await sleep(10);
    assert.equal(await connections(wan), 0, 'every connection is forgotten');
  });

  test('scale 0 forwards without delay and can still be cut', async () => {
    await using quick = await start(0);
    await using server = await echo();
    const request = { from: usA, to: euA, target: server.address };
    const link = await quick.link(request);
    assert.deepEqual(await quick.link(request), link);
    using socket = await dial(link);
    // The best of some: this machine may be busy, but one is not delayed by 40 ms each time.
    const times: number[] = [];
    for (let ping = 0; ping < 10; ping += 1) times.push(await roundTrip(socket, 'ping'));
    assert.ok(Math.min(...times) < 40, `the fastest took ${String(Math.min(...times))} ms`);
    await quick.cut({ target: server.address });
    const slow = roundTrip(socket, 'ping');
    assert.equal((await quick.links())[0]?.cut, 'both');
    await sleep(50);
    await quick.heal({ target: server.address });
    assert.ok((await slow) >= 50);
  });

  test('calls fail once it has ended, and say where to look', async () => {
    const brief = await start();
    await brief[Symbol.asyncDispose]();
    await brief[Symbol.asyncDispose]();
    await brief.ended;
    await assert.rejects(brief.links(), (error) => isMeridianError(error, 'ERR_PROCESS_FAILED'));
    assert.match(readFileSync(join(directory, 'wan.log'), 'utf8'), /the WAN runs/);
  });

  test('its process ends when the channel to its parent closes', async () => {
    const entry = fileURLToPath(new URL('../../src/wan/wan-process.js', import.meta.url));
    const child = fork(entry, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: {} });
    const exited = once(child, 'exit');
    await using server = await echo();
    const reply = once(child, 'message');
    const request = { from: usA, to: usA, target: server.address };
    child.send({ id: 1, verb: 'link', request, roundTripMs: 500 });
    const [{ result }] = (await reply) as [{ result: { host: string; port: number } }];
    // With bytes under way and a connection open.
    using socket = await dial(result);
    socket.write('x');
    child.disconnect();
    assert.deepEqual(await exited, [0, null]);
  });
});

async function connections(wan: Wan): Promise<number> {
  return (await wan.links()).reduce((sum, link) => sum + link.connections, 0);
}
