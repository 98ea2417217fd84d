/** Rolling restarts of a real platform under load, a gateway killed, a region without app servers. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import type { RestartEvent } from '../../src/control/restart.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { startTestPlatform, type TestPlatform } from '../support/cluster.ts';

const PROGRAM = fileURLToPath(new URL('../support/sample-app.js', import.meta.url));
const REGION = 'eu-west';

interface Load {
  /** Stops the clients, and says what they saw: status or error code → times. */
  end(): Promise<Readonly<Record<string, number>>>;
}

/** Clients on kept-alive connections: quick and slow answers, long bodies, pauses between. */
function load(url: string): Load {
  const agent = new Agent({ connections: 32, pipelining: 1 });
  const seen: Record<string, number> = {};
  let running = true;
  const count = (key: string): void => {
    seen[key] = (seen[key] ?? 0) + 1;
  };
  const client = async (number: number): Promise<void> => {
    const long = Buffer.alloc(300_000, 'x');
    for (let turn = 0; running; turn += 1) {
      const path = number % 4 === 0 ? '/slow?ms=400' : '/slow?ms=3';
      const post = number % 2 === 1;
      const body = post ? { body: number % 3 === 0 ? long : 'pay' } : {};
      try {
        const method = post ? 'POST' : 'GET';
        const answer = await request(url + path, { method, dispatcher: agent, ...body });
        await answer.body.dump();
        count(String(answer.statusCode));
      } catch (error) {
        count((error as { code?: string }).code ?? String(error));
      }
      if (number % 5 === 0) await systemClock.sleep(150);
    }
  };
  const clients = Array.from({ length: 16 }, (_, number) => client(number));
  return {
    end: async () => {
      running = false;
      await Promise.all(clients);
      await agent.destroy();
      return seen;
    },
  };
}

function onlyGood(seen: Readonly<Record<string, number>>, atLeast: number): void {
  assert.deepEqual(Object.keys(seen), ['200'], JSON.stringify(seen));
  assert.ok((seen['200'] ?? 0) >= atLeast, JSON.stringify(seen));
}

describe('restarts under load', { timeout: 120_000 }, () => {
  let cluster: TestPlatform;
  before(async () => {
    cluster = await startTestPlatform({
      changes: () => ({ app: { command: [process.execPath, PROGRAM], instancesPerRegion: 2 } }),
    });
  });
  after(() => cluster[Symbol.asyncDispose]());
  const url = (region = REGION): string => cluster.platform.gateways[region] ?? '';
  const pids = async (): Promise<(number | null)[]> => {
    const { gateways, appServers } = await cluster.platform.status();
    return [...gateways, ...appServers]
      .filter((one) => one.region === REGION)
      .map((one) => one.pid);
  };

  test('app servers and gateway of a region: all new, and no request fails', async () => {
    const old = await pids();
    const clients = load(url());
    const events: RestartEvent[] = [];
    const asked = { apps: true, gateways: true, region: REGION };
    const running = cluster.platform.restart(asked, { onEvent: (event) => events.push(event) });
    await assert.rejects(cluster.platform.restart(asked), (error) =>
      isMeridianError(error, 'ERR_RESTART_UNDER_WAY'),
    );
    assert.deepEqual(await running, { kind: 'ended', restarted: 3, left: 0 });
    await systemClock.sleep(500);
    onlyGood(await clients.end(), 100);
    assert.deepEqual(
      events.map((event) => ('name' in event ? event.name : event.kind)),
      ['begun', `app.${REGION}.0`, `app.${REGION}.1`, `gateway.${REGION}`, 'ended'],
    );
    const now = await pids();
    assert.ok(
      now.every((pid) => pid !== null && !old.includes(pid)),
      `${String(old)} ${String(now)}`,
    );
  });

  test('a pipelined connection of the old gateway gets every answer, the last one with close', async () => {
    const { port } = new URL(url('us-east'));
    const socket: Socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    const closed = once(socket, 'close');
    const ask = (ms: number): string => `GET /slow?ms=${String(ms)} HTTP/1.1\r\nhost: x\r\n\r\n`;
    socket.write(ask(1));
    while (!text.includes('slept')) await systemClock.sleep(5);
    await cluster.platform.restart({ apps: false, gateways: true, region: 'us-east' });
    // Idle through the whole restart, and still served.
    socket.write(ask(1) + ask(1) + ask(500));
    await closed;
    assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 4, text);
    assert.equal(text.match(/connection: close/gi)?.length, 1, text);
  });

  test('a gateway killed: connections that come meanwhile wait, and are served', async () => {
    const { gateways } = await cluster.platform.status();
    const pid = gateways.find((one) => one.region === 'us-east')?.pid;
    assert.ok(typeof pid === 'number');
    process.kill(pid, 'SIGKILL');
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        await systemClock.sleep(index * 20);
        const { statusCode, body } = await request(`${url('us-east')}/x`, { reset: true });
        await body.dump();
        return statusCode;
      }),
    );
    assert.deepEqual(new Set(answers), new Set([200]));
  });

  test('an unknown region is refused', async () => {
    const asked = { apps: true, gateways: false, region: 'mars' };
    await assert.rejects(cluster.platform.restart(asked), (error) =>
      isMeridianError(error, 'ERR_CONTROL_REQUEST'),
    );
  });
});
