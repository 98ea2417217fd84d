/** The gateway as a process of its own, fed by a real control server: its start, messages and ends. */
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { startControlServer, type ControlServer } from '../../src/control/feed-server.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { DEFAULTS, HandMadeControl, saying, type Said } from '../support/gateway-rig.ts';

const ENTRY = fileURLToPath(new URL('../../src/gateway/gateway-process.js', import.meta.url));
const TOKEN = 'a-control-token-of-this-test';

interface Setting extends AsyncDisposable {
  readonly control: ControlServer;
  readonly env: Record<string, string>;
  setReady(ready: boolean): void;
}

/** A control server that knows one app server in eu. */
async function setUp(): Promise<Setting> {
  const app = createServer(saying('eu.0'));
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const { port } = app.address() as AddressInfo;
  const { hello, view } = new HandMadeControl();
  let version = 1;
  let ready = true;
  const control = await startControlServer({
    host: '127.0.0.1',
    port: 0,
    token: TOKEN,
    clock: systemClock,
    log: silentLog,
    hello: () => ({
      ...hello,
      engine: 'postgres',
      regions: [{ name: 'eu', zones: ['a', 'b', 'c'] }],
      primaryRegion: 'eu',
      gateway: DEFAULTS,
    }),
    view: () => {
      const locality = { region: 'eu', zone: 'a' };
      const address = { host: '127.0.0.1', port };
      return {
        ...view,
        version,
        appServers: [
          { name: 'eu.0', instance: 'eu.0#1', locality, address, roundTripMs: 0, ready },
        ],
      };
    },
    status: () => Promise.reject(new Error('not asked for')),
    activity: () => {},
    restart: () => Promise.reject(new Error('not asked for')),
  });
  return {
    control,
    env: {
      MERIDIAN_CONTROL_URL: control.url,
      MERIDIAN_CONTROL_TOKEN: TOKEN,
      MERIDIAN_REGION: 'eu',
      MERIDIAN_ZONE: 'a',
      MERIDIAN_PROCESS: 'gateway.eu',
      PORT: '0',
    },
    setReady: (next) => {
      ready = next;
      version += 1;
      control.publish();
    },
    [Symbol.asyncDispose]: async () => {
      await control[Symbol.asyncDispose]();
      app.close();
      app.closeAllConnections();
    },
  };
}

interface Told {
  readonly kind: string;
  readonly port: number;
  readonly error: { readonly code: string; readonly message: string };
}

async function launch(
  env: Record<string, string>,
): Promise<AsyncDisposable & { child: ChildProcess; told: Told; exited: Promise<unknown[]> }> {
  const child = fork(ENTRY, [], { env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const exited = once(child, 'exit');
  let told: Told | undefined;
  // Before that it may tell which routing view it has seen.
  while (told === undefined || told.kind === 'seen') {
    [told] = (await once(child, 'message')) as [Told];
  }
  return {
    child,
    told,
    exited,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

describe('a gateway process', { timeout: 30_000 }, () => {
  test('says its port, serves, follows the feed, and ends in order at SIGTERM', async () => {
    await using setting = await setUp();
    await using gateway = await launch(setting.env);
    assert.equal(gateway.told.kind, 'ready');
    const url = `http://127.0.0.1:${String(gateway.told.port)}`;
    const answer = await request(`${url}/x`, { method: 'POST', body: 'pay' });
    assert.equal(((await answer.body.json()) as Said).name, 'eu.0');
    const ready = async (): Promise<number> => {
      const { statusCode, body } = await request(`${url}/readyz`);
      await body.dump();
      return statusCode;
    };
    assert.equal(await ready(), 200);
    setting.setReady(false);
    for (let i = 0; i < 200 && (await ready()) === 200; i += 1) await systemClock.sleep(10);
    assert.equal(await ready(), 503);
    gateway.child.kill('SIGTERM');
    assert.deepEqual(await gateway.exited, [0, null]);
  });

  test('goes on without its control server, and ends when its parent is gone', async () => {
    await using setting = await setUp();
    await using gateway = await launch(setting.env);
    await setting.control[Symbol.asyncDispose]();
    const url = `http://127.0.0.1:${String(gateway.told.port)}/x`;
    const { statusCode, body } = await request(url);
    await body.dump();
    assert.equal(statusCode, 200);
    gateway.child.disconnect();
    assert.deepEqual(await gateway.exited, [0, null]);
  });

  test('says why it cannot start: a taken port, a missing setting', async () => {
    await using setting = await setUp();
    await using first = await launch(setting.env);
    await using second = await launch({ ...setting.env, PORT: String(first.told.port) });
    assert.equal(second.told.kind, 'failed');
    assert.equal(second.told.error.code, 'ERR_PORT_TAKEN');
    assert.match(second.told.error.message, /gateway\.ports\.eu/);
    assert.deepEqual(await second.exited, [1, null]);
    await using third = await launch({ ...setting.env, MERIDIAN_ZONE: '' });
    assert.match(third.told.error.message, /MERIDIAN_ZONE/);
    assert.deepEqual(await third.exited, [1, null]);
  });
});
