/**
 * Faults on purpose on a real platform: each does what it says to real processes and links, is undone by
 * heal, and leaves nothing. Followers and app servers are hit here; what a group does when its leader is
 * lost is another test's.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlatformChaos } from '../../src/chaos/control.ts';
import type { ChaosRequest, ChaosTarget } from '../../src/control/chaos.ts';
import type { NodeStatus } from '../../src/control/status.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import type { Address } from '../../src/topology/routing.ts';
import { startTestPlatform, type TestPlatform } from '../support/cluster.ts';
import { processesOf } from '../support/command.ts';
import { childrenOf, stateOf } from '../support/processes.ts';
import { dial, receive } from '../support/sockets.ts';

const APP = `import { createServer } from 'node:http';
const server = createServer((request, response) => response.end(process.env.MERIDIAN_REGION));
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));`;

const BACK_MS = 30_000;
/** PostgreSQL's SSLRequest: answered by one byte before anything else is asked. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const node = (name: string): ChaosTarget => ({ kind: 'node', name });
const server = (name: string): ChaosTarget => ({ kind: 'process', name });

describe('faults on purpose', () => {
  let cluster: TestPlatform;
  const chaos = (): PlatformChaos => cluster.platform.chaos as PlatformChaos;

  before(async () => {
    cluster = await startTestPlatform({
      changes: (directory) => {
        writeFileSync(join(directory, 'app.mjs'), APP);
        return { survive: 'region', app: { command: ['node', 'app.mjs'], instancesPerRegion: 1 } };
      },
    });
  });
  after(() => cluster[Symbol.asyncDispose]());
  afterEach(() => chaos().heal());

  const nodeStatus = async (name: string): Promise<NodeStatus> => {
    const found = (await cluster.platform.status()).nodes.find((one) => one.name === name);
    assert.ok(found !== undefined, name);
    return found;
  };
  const streams = (name: string): Promise<NodeStatus> =>
    waitUntil(systemClock, { what: `${name} to stream`, timeoutMs: BACK_MS }, async () => {
      const status = await nodeStatus(name);
      return status.state === 'streaming' ? status : undefined;
    });
  const follower = async (): Promise<NodeStatus> => {
    const { nodes } = await cluster.platform.status();
    const found = nodes.find((one) => one.region === 'ap-south' && one.state === 'streaming');
    assert.ok(found !== undefined, 'a follower streams');
    return found;
  };
  const appPid = async (name: string): Promise<number | undefined> => {
    const { appServers } = await cluster.platform.status();
    const found = appServers.find((one) => one.name === name && one.state === 'ready');
    return found?.pid ?? undefined;
  };
  /** Where a process of this region dials to reach the node. */
  const addressFrom = async (region: string, name: string): Promise<Address> => {
    const client = await cluster.connect(region);
    const found = Object.values(client.control.view.groups).flatMap((group) => group.nodes);
    const address = found.find((one) => one.name === name)?.address;
    assert.ok(address !== undefined, `${name} is in the view`);
    return address;
  };
  const refusedWith = async (request: ChaosRequest, code: string, text: RegExp): Promise<void> => {
    await assert.rejects(chaos().inject(request), (error: unknown) => {
      assert.ok(isMeridianError(error), String(error));
      assert.equal(error.code, code);
      assert.match(error.message, text);
      return true;
    });
    assert.deepEqual(chaos().faults(), []);
  };

  test('a killed database process takes its backends along and comes back', async () => {
    const { name, pid } = await follower();
    assert.ok(pid !== null);
    const backends = await childrenOf(pid);
    assert.ok(backends.length > 2, 'it has backends');
    const fault = await chaos().inject({ action: 'kill', target: server(name) });
    assert.equal(fault.lasting, false);
    assert.deepEqual(chaos().faults(), [], 'it is over by itself');
    // The kernel takes a moment to end one that is just running.
    const wait = { what: 'all to be gone', timeoutMs: BACK_MS };
    await waitUntil(systemClock, wait, async () => {
      const states = await Promise.all([pid, ...backends].map(stateOf));
      return states.every((state) => state === undefined) || undefined;
    });
    const back = await streams(name);
    assert.notEqual(back.pid, pid);
  });

  test('a killed node stays down until it is healed', async () => {
    const { name, pid } = await follower();
    const { id, summary } = await chaos().inject({ action: 'kill', target: node(name) });
    assert.equal(summary, `kill node:${name}`);
    assert.deepEqual(
      chaos()
        .faults()
        .map((one) => one.id),
      [id],
    );
    const until = Date.now() + 1_000;
    while (Date.now() < until) {
      assert.notEqual((await nodeStatus(name)).state, 'streaming');
      await sleep(100);
    }
    assert.deepEqual(
      (await chaos().heal(id)).map((one) => one.id),
      [id],
    );
    assert.notEqual((await streams(name)).pid, pid);
  });

  test('a stopped node stands still with all its backends, and goes on', async () => {
    const { name, pid } = await follower();
    assert.ok(pid !== null);
    await chaos().inject({ action: 'stop', target: node(name) });
    const all = [pid, ...(await childrenOf(pid))];
    const still = { what: 'all to stand still', timeoutMs: BACK_MS };
    await waitUntil(systemClock, still, async () => {
      const states = await Promise.all(all.map(stateOf));
      return states.every((state) => state === 'T') || undefined;
    });
    await chaos().heal();
    for (const one of [pid, ...(await childrenOf(pid))]) assert.notEqual(await stateOf(one), 'T');
    assert.equal((await streams(name)).pid, pid, 'the same process');
  });

  test('a hung app server on a machine that is well is killed by whoever supervises it', async () => {
    const before = await appPid('eu-west.0');
    await chaos().inject({ action: 'stop', target: server('app.eu-west.0') });
    assert.equal(chaos().faults().length, 1);
    // Fifteen checks are missed first, of a second each and a second apart.
    const wait = { what: 'a new process', timeoutMs: 30_000 + BACK_MS };
    await waitUntil(systemClock, wait, async () => {
      const pid = await appPid('eu-west.0');
      return (pid !== undefined && pid !== before) || undefined;
    });
    assert.deepEqual(chaos().faults(), [], 'the one that hung is gone');
  });

  test('a restarted gateway and app server end in order and come back', async () => {
    const gatewayPid = async (): Promise<number | undefined> => {
      const { gateways } = await cluster.platform.status();
      const found = gateways.find((one) => one.region === 'eu-west' && one.state === 'ready');
      return found?.pid ?? undefined;
    };
    const before = [await gatewayPid(), await appPid('eu-west.0')];
    await chaos().inject({ action: 'restart', target: server('gateway.eu-west') });
    await chaos().inject({ action: 'restart', target: server('app.eu-west.0') });
    assert.deepEqual(chaos().faults(), []);
    const wait = { what: 'both to be back', timeoutMs: BACK_MS };
    await waitUntil(systemClock, wait, async () => {
      const pids = [await gatewayPid(), await appPid('eu-west.0')];
      return pids.every((pid, index) => pid !== undefined && pid !== before[index]) || undefined;
    });
  });

  test('a zone that is cut off is silent and out of reach; what was sent meanwhile arrives', async () => {
    const { name, region, zone } = await follower();
    const address = await addressFrom('us-east', name);
    const target = { kind: 'place', place: { region, zone } } as const;
    await chaos().inject({ action: 'partition', target });
    assert.equal(chaos().reaches({ region, zone }), false);
    assert.equal(chaos().reaches({ region: 'us-east', zone: 'a' }), true);
    using socket = await dial(address);
    socket.write(SSL_REQUEST);
    const answer = receive(socket, 1);
    assert.equal(await Promise.race([answer, sleep(500, 'silence')]), 'silence');
    await chaos().heal();
    assert.equal(chaos().reaches({ region, zone }), true);
    await answer;
    await streams(name);
  });

  test('a slow link takes the time that was added, until it is healed', async () => {
    const { name, region } = await follower();
    const address = await addressFrom('us-east', name);
    const timed = async (): Promise<number> => {
      const since = performance.now();
      using socket = await dial(address);
      socket.write(SSL_REQUEST);
      await receive(socket, 1);
      return performance.now() - since;
    };
    const target = { kind: 'link', from: { region: 'us-east' }, to: { region } } as const;
    await chaos().inject({ action: 'slow', target, addMs: 1_000 });
    assert.ok((await timed()) >= 990);
    await chaos().heal();
    assert.ok((await timed()) < 900);
  });

  test('what does not exist or cannot be is refused, and nothing is done', async () => {
    const { name } = await follower();
    const cannot = 'ERR_CHAOS_REFUSED';
    const wrong = 'ERR_CONTROL_REQUEST';
    await refusedWith({ action: 'kill', target: node('nobody') }, wrong, /us-east-1\./);
    await refusedWith({ action: 'kill', target: server('wan') }, wrong, /no process wan/);
    const mars = { kind: 'place', place: { region: 'mars' } } as const;
    await refusedWith({ action: 'partition', target: mars }, wrong, /us-east, eu-west, ap-south/);
    await refusedWith({ action: 'partition', target: node(name) }, cannot, /within a zone/);
    await refusedWith({ action: 'fill-disk', target: node(name) }, cannot, /ENOSPC/);
    await assert.rejects(chaos().heal('f999'), { code: wrong });
  });

  test('a platform with faults in force stops, and is killed, and leaves nothing', async () => {
    const everywhere = ['us-east', 'eu-west', 'ap-south'];
    const freezeAll = async (): Promise<void> => {
      for (const region of everywhere) {
        await chaos().inject({ action: 'partition', target: { kind: 'place', place: { region } } });
        await chaos().inject({ action: 'stop', target: { kind: 'place', place: { region } } });
      }
    };
    await freezeAll();
    await cluster.platform.stop();
    assert.deepEqual(await processesOf(cluster.directory), []);
    await assert.rejects(chaos().inject({ action: 'kill', target: server('gateway.us-east') }), {
      code: 'ERR_CHAOS_REFUSED',
    });
    await cluster.restart();
    await freezeAll();
    const frozen = await processesOf(cluster.directory);
    assert.ok(frozen.length > 0);
    cluster.platform.kill();
    const wait = { what: 'the end of all processes', timeoutMs: BACK_MS };
    await waitUntil(systemClock, wait, async () => {
      const living = await processesOf(cluster.directory);
      return !frozen.some((one) => living.includes(one)) || undefined;
    });
  });
});

/** The letter that the kernel shows for a process; undefined when it has ended. */
