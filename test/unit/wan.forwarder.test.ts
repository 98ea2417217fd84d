/** One link in this process: order under cuts at any moment, bounded memory, and nothing left behind. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { systemClock } from '../../src/kernel/clock.ts';
import { WINDOW_BYTES } from '../../src/wan/delay-line.ts';
import { openForwarder, splitRoundTrip } from '../../src/wan/forwarder.ts';
import type { CutState } from '../../src/wan/link.ts';
import { countingClock } from '../support/clocks.ts';
import { closed, dial, echo, listen, receive, roundTrip } from '../support/sockets.ts';

const openHandles = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;

describe('a link', () => {
  test('splits long round trips and keeps short ones whole', () => {
    assert.deepEqual(splitRoundTrip(80), { forwardMs: 40, backwardMs: 40 });
    assert.deepEqual(splitRoundTrip(1), { forwardMs: 1, backwardMs: 0 });
    assert.deepEqual(splitRoundTrip(0), { forwardMs: 0, backwardMs: 0 });
  });

  test('keeps the order of bytes through cuts at any moment', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ write: fc.integer({ min: 1, max: 200_000 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({
          cut: fc.constantFrom<CutState>('none', 'forward', 'backward', 'both'),
        }),
      },
      { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 3 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, 9),
        fc.array(step, { maxLength: 40 }),
        async (roundTripMs, steps) => {
          await using server = await echo();
          const target = server.address;
          const link = await openForwarder({ clock: systemClock, roundTripMs, target });
          try {
            using socket = await dial({ host: '127.0.0.1', port: link.port });
            const sent = createHash('sha256');
            let length = 0;
            const back = createHash('sha256');
            socket.on('data', (chunk) => back.update(chunk));
            for (const item of steps) {
              if ('write' in item) {
                const chunk = Buffer.alloc(item.write, length % 251);
                sent.update(chunk);
                length += chunk.length;
                socket.write(chunk);
              } else if ('cut' in item) link.setCut(item.cut);
              else await sleep(item.wait);
            }
            socket.end();
            link.setCut('none');
            assert.equal(await closed(socket), false);
            assert.equal(back.digest('hex'), sent.digest('hex'));
            assert.equal(link.bytesForwarded, 2 * length);
          } finally {
            await link.close();
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('keeps the order of bytes while its delay grows and shrinks', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ write: fc.integer({ min: 1, max: 50_000 }) }) },
      { weight: 2, arbitrary: fc.record({ addMs: fc.constantFrom(0, 1, 4, 30) }) },
      { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 3 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, 9),
        fc.array(step, { maxLength: 40 }),
        async (roundTripMs, steps) => {
          await using server = await echo();
          const target = server.address;
          const link = await openForwarder({ clock: systemClock, roundTripMs, target });
          try {
            using socket = await dial({ host: '127.0.0.1', port: link.port });
            const [sent, back] = [createHash('sha256'), createHash('sha256')];
            socket.on('data', (chunk) => back.update(chunk));
            let byte = 0;
            for (const item of steps) {
              if ('write' in item) {
                // Neighbours differ, so that an exchange would show.
                const chunk = Buffer.alloc(item.write, (byte = (byte + 1) % 251));
                sent.update(chunk);
                socket.write(chunk);
              } else if ('addMs' in item) {
                link.setAdded({ forwardMs: item.addMs, backwardMs: item.addMs / 2 });
              } else await sleep(item.wait);
            }
            socket.end();
            assert.equal(await closed(socket), false);
            assert.equal(back.digest('hex'), sent.digest('hex'));
          } finally {
            await link.close();
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  test('an open connection feels what is added, and what waits when it is taken away leaves', async () => {
    await using server = await echo();
    const target = server.address;
    const link = await openForwarder({ clock: systemClock, roundTripMs: 0, target });
    using socket = await dial({ host: '127.0.0.1', port: link.port });
    await roundTrip(socket, 'open');
    link.setAdded({ forwardMs: 100, backwardMs: 100 });
    const since = performance.now();
    await roundTrip(socket, 'slow');
    assert.ok(performance.now() - since >= 195, 'both directions are slowed');
    link.setAdded({ forwardMs: 3_600_000, backwardMs: 0 });
    const answer = roundTrip(socket, 'late');
    assert.equal(await Promise.race([answer, sleep(50, 'waits')]), 'waits');
    link.setAdded({ forwardMs: 0, backwardMs: 0 });
    await answer;
    await link.close();
  });

  test('stops reading a source when its window is full', async () => {
    let arrived = 0;
    await using server = await listen((socket) => {
      socket.on('data', (chunk) => (arrived += chunk.length));
    });
    const target = server.address;
    const link = await openForwarder({ clock: systemClock, roundTripMs: 1, target });
    using socket = await dial({ host: '127.0.0.1', port: link.port });
    socket.write('x');
    while (arrived === 0) await turn();
    link.setCut('both');
    const total = 4 * WINDOW_BYTES;
    socket.write(Buffer.alloc(total));
    let before = -1;
    // Until the kernel's buffers are full too: no progress for 50 ms.
    while (socket.bytesWritten - socket.writableLength !== before) {
      before = socket.bytesWritten - socket.writableLength;
      await sleep(50);
    }
    assert.ok(socket.writableLength > 0, 'the sender was held back');
    assert.equal(arrived, 1);
    link.setCut('none');
    while (arrived < total + 1) await turn();
    await link.close();
  });

  test('arms one timer a direction while bytes travel, none when idle or without delay', async () => {
    const clock = countingClock();
    await using server = await echo();
    const target = server.address;
    for (const [roundTripMs, most] of [
      [0, 0],
      [20, 2],
    ] as const) {
      const link = await openForwarder({ clock, roundTripMs, target });
      using socket = await dial({ host: '127.0.0.1', port: link.port });
      await roundTrip(socket, 'open');
      assert.equal(clock.armed, 0);
      const answer = receive(socket, 50);
      let seen = 0;
      for (let i = 0; i < 50; i += 1) {
        socket.write('x');
        await turn();
        seen = Math.max(seen, clock.armed);
      }
      await answer;
      assert.ok(seen <= most, `${String(seen)} timers`);
      assert.equal(clock.armed, 0);
      await link.close();
    }
  });

  test('leaves no socket and no timer behind when closed in the midst of everything', async () => {
    const clock = countingClock();
    {
      await using server = await echo();
      const target = server.address;
      const link = await openForwarder({ clock, roundTripMs: 20, target });
      const sockets = [];
      for (let i = 0; i < 10; i += 1) {
        const socket = await dial({ host: '127.0.0.1', port: link.port });
        sockets.push(socket);
        if (i < 5) await roundTrip(socket, 'warm');
        if (i === 7) link.setCut('backward');
        socket.write('in flight');
      }
      await turn();
      const ends = sockets.map((socket) => closed(socket.resume().on('end', () => socket.end())));
      await link.close();
      await Promise.all(ends);
      assert.equal(link.connections, 0);
    }
    assert.equal(clock.armed, 0);
    await sleep(10);
    assert.equal(openHandles(), 0);
  });
});
