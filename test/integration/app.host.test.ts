/** The app host with real processes: kept running, replaced when they hang, ended without a loss. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { startAppHost, type AppHost, type AppServerState } from '../../src/app/host.ts';
import type { AppOptions } from '../../src/app/options.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { seededRandom, systemRandom } from '../../src/kernel/random.ts';
import { createLocalHost } from '../../src/orchestrate/drivers/local.ts';
import { startRig, type Rig } from '../support/gateway-rig.ts';

const PROGRAM = fileURLToPath(new URL('../support/sample-app.js', import.meta.url));

interface Running extends AsyncDisposable {
  readonly app: AppHost;
  readonly directory: string;
  /** "name:state", whenever it changed. */
  readonly history: string[];
}

interface Wanted {
  readonly options?: Partial<AppOptions>;
  readonly regions?: readonly string[];
  readonly onChange?: (servers: readonly AppServerState[]) => void;
  readonly signal?: AbortSignal;
}

/** Pids of everything a test started, so that it can be shown that nothing is left. */
const pids = new Set<number>();

async function run(wanted: Wanted = {}): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'meridian-app-'));
  const history: string[] = [];
  const last = new Map<string, string>();
  try {
    const app = await startAppHost({
      host: createLocalHost(systemRandom),
      options: {
        command: [process.execPath, PROGRAM],
        directory,
        env: { OWN: 'mine' },
        instancesPerRegion: 2,
        healthPath: '/healthz',
        healthIntervalMs: 50,
        drainTimeoutMs: 2_000,
        startTimeoutMs: 10_000,
        ...wanted.options,
      },
      regions: (wanted.regions ?? ['eu']).map((name) => ({ name, zones: ['a', 'b', 'c'] })),
      controlEnv: (_region, _zone, name) => ({ MERIDIAN_CONTROL_URL: `http://control/${name}` }),
      clock: systemClock,
      random: seededRandom(7),
      log: silentLog,
      logDirectory: directory,
      onChange: (servers) => {
        for (const { name, status } of servers) {
          if (status.pid !== null) pids.add(status.pid);
          if (last.get(name) !== status.state) history.push(`${name}:${status.state}`);
          last.set(name, status.state);
        }
        wanted.onChange?.(servers);
      },
      ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
    });
    return {
      app,
      directory,
      history,
      [Symbol.asyncDispose]: async () => {
        await app.close();
        await rm(directory, { recursive: true, force: true });
        assertNoneLeft();
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    assertNoneLeft();
    throw error;
  }
}

function assertNoneLeft(): void {
  for (const pid of pids) {
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `process ${String(pid)} is left`);
  }
  pids.clear();
}

function stateOf(app: AppHost, name: string): AppServerState {
  const found = app.servers().find((server) => server.name === name);
  assert.ok(found);
  return found;
}

async function ask(app: AppHost, name: string, path: string): Promise<string> {
  const { port } = stateOf(app, name).address;
  const answer = await request(`http://127.0.0.1:${String(port)}${path}`, { reset: true });
  return answer.body.text();
}

function until(what: string, holds: () => boolean, timeoutMs = 8_000): Promise<true> {
  return waitUntil(systemClock, { what, timeoutMs, intervalMs: 5 }, () =>
    holds() ? true : undefined,
  );
}

test('copies in every region, round its zones, each with its environment', async () => {
  await using running = await run({
    regions: ['eu', 'us'],
    options: { instancesPerRegion: 2 },
  });
  const { app, directory } = running;
  assert.deepEqual(
    app.status().map(({ name, region, zone, state }) => [name, region, zone, state]),
    [
      ['eu.0', 'eu', 'a', 'ready'],
      ['eu.1', 'eu', 'b', 'ready'],
      ['us.0', 'us', 'a', 'ready'],
      ['us.1', 'us', 'b', 'ready'],
    ],
  );
  const { env, cwd, pid } = JSON.parse(await ask(app, 'us.1', '/env')) as {
    env: Record<string, string>;
    cwd: string;
    pid: number;
  };
  assert.deepEqual(env, {
    ...{ OWN: 'mine', HOST: '127.0.0.1', PORT: String(stateOf(app, 'us.1').address.port) },
    ...{ MERIDIAN_REGION: 'us', MERIDIAN_ZONE: 'b', MERIDIAN_INSTANCE: '1' },
    ...{ MERIDIAN_PROCESS: 'app.us.1', MERIDIAN_CONTROL_URL: 'http://control/app.us.1' },
  });
  assert.equal(cwd, directory);
  assert.equal(stateOf(app, 'us.1').status.pid, pid);
  assert.match(await readFile(join(directory, 'app.us.1.log'), 'utf8'), /sample app, mode serve/);
});

describe('kept running', () => {
  test('one that crashes is started again, after a wait', async () => {
    await using running = await run();
    const { app, history } = running;
    const before = stateOf(app, 'eu.1').status.pid;
    history.length = 0;
    await assert.rejects(ask(app, 'eu.1', '/crash'));
    await until('it is back', () => history.includes('eu.1:ready'));
    assert.deepEqual(history, ['eu.1:backing-off', 'eu.1:starting', 'eu.1:ready']);
    const { pid, restarts } = stateOf(app, 'eu.1').status;
    assert.notEqual(pid, before);
    assert.equal(restarts, 1);
    assert.equal(stateOf(app, 'eu.0').status.restarts, 0);
  });

  test('one that hangs is unhealthy, comes back when it recovers, and is replaced when not', async () => {
    // A lost check takes its timeout of 500 ms.
    await using running = await run();
    const { app, history } = running;
    const before = stateOf(app, 'eu.0').status.pid;
    history.length = 0;
    await ask(app, 'eu.0', '/hang');
    await until('it is unhealthy', () => stateOf(app, 'eu.0').status.state === 'unhealthy');
    assert.equal(stateOf(app, 'eu.0').ready, false);
    await ask(app, 'eu.0', '/recover');
    await until('it is ready again', () => stateOf(app, 'eu.0').ready);
    assert.equal(stateOf(app, 'eu.0').status.pid, before);
    await ask(app, 'eu.0', '/hang');
    // Fifteen lost checks.
    await until('it is replaced', () => history.includes('eu.0:starting'), 20_000);
    await until('the new one is ready', () => stateOf(app, 'eu.0').ready);
    assert.notEqual(stateOf(app, 'eu.0').status.pid, before);
    const states = ['unhealthy', 'ready', 'unhealthy', 'backing-off', 'starting', 'ready'];
    assert.deepEqual(
      history,
      states.map((state) => `eu.0:${state}`),
    );
  });
});

describe('a start that fails', () => {
  test('a crash loop names the server, its log and its last words', async () => {
    await assert.rejects(run({ options: { env: { MODE: 'crash' } } }), (error) => {
      assert.ok(isMeridianError(error, 'ERR_PROCESS_FAILED'));
      assert.match(error.message, /app server eu\.\d ended 3 times before it was ready/);
      assert.match(error.message, /app\.eu\.\d\.log/);
      assert.match(error.message, /cannot find my configuration/);
      return true;
    });
  });

  test('one that never answers is told after its time', async () => {
    const options = { env: { MODE: 'deaf' }, startTimeoutMs: 300 };
    await assert.rejects(run({ options }), (error) => {
      assert.ok(isMeridianError(error, 'ERR_START_TIMEOUT'));
      assert.match(error.message, /eu\.\d did not pass its health check \(\/healthz\)/);
      return true;
    });
  });

  test('a program that does not exist is told at once', async () => {
    await assert.rejects(run({ options: { command: ['/nonexistent/program'] } }), (error) =>
      isMeridianError(error, 'ERR_PROCESS_FAILED'),
    );
  });

  test('an interrupted start leaves nothing, whenever it is interrupted', async () => {
    const deaf = { options: { env: { MODE: 'deaf' } } };
    const once = new AbortController();
    const onChange = (): void => {
      once.abort();
    };
    const aborted = (error: unknown): boolean => isMeridianError(error, 'ERR_ABORTED');
    await assert.rejects(run({ ...deaf, onChange, signal: once.signal }), aborted);
    for (const afterMs of [0, 2, 20]) {
      const later = new AbortController();
      void systemClock.sleep(afterMs).then(() => {
        later.abort();
      });
      await assert.rejects(run({ ...deaf, signal: later.signal }), aborted);
    }
  });
});

describe('ended', () => {
  test('close lets a request in flight finish, and is idempotent', async () => {
    await using running = await run();
    const slow = ask(running.app, 'eu.0', '/slow?ms=400');
    await systemClock.sleep(50);
    const closing = running.app.close();
    assert.equal(running.app.close(), closing);
    assert.match(await slow, /slept/);
    await closing;
    assert.deepEqual(
      running.app.status().map(({ state, pid }) => [state, pid]),
      [
        ['stopped', null],
        ['stopped', null],
      ],
    );
  });

  test('one that ignores SIGTERM is killed after the drain time', async () => {
    await using running = await run({
      options: { env: { MODE: 'stubborn' }, drainTimeoutMs: 200, instancesPerRegion: 1 },
    });
    const started = performance.now();
    await running.app.close();
    const tookMs = performance.now() - started;
    assert.ok(tookMs >= 200 && tookMs < 2_000, `${tookMs.toFixed(0)} ms`);
  });
});

describe('behind a gateway', () => {
  async function withGateway(): Promise<Running & { rig: Rig }> {
    const rig = await startRig({ servers: {} });
    const running = await run({
      onChange: (servers) => {
        // The gateway hears of it a little later, as from a busy feed.
        void systemClock.sleep(60).then(() => {
          rig.control.show(servers);
        });
      },
    });
    await systemClock.sleep(100);
    return {
      ...running,
      rig,
      [Symbol.asyncDispose]: async () => {
        await running[Symbol.asyncDispose]();
        await rig[Symbol.asyncDispose]();
      },
    };
  }

  test('restarting all of them drops no request', { timeout: 30_000 }, async () => {
    await using running = await withGateway();
    const { rig, app } = running;
    const before = new Set(app.status().map((server) => server.pid));
    const statuses = new Map<number, number>();
    let restarting = true;
    const client = async (method: string): Promise<void> => {
      while (restarting) {
        const body = method === 'POST' ? { body: 'pay' } : {};
        const { status } = await rig.ask('/slow?ms=5', { method, ...body });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    const clients = ['GET', 'POST', 'GET', 'POST', 'POST', 'POST'].map(client);
    await app.restartAll();
    restarting = false;
    await Promise.all(clients);
    assert.deepEqual([...statuses.keys()], [200]);
    // Each client several times in each of the restarts, on a machine that is busy too.
    assert.ok((statuses.get(200) ?? 0) >= 30, String(statuses.get(200)));
    assert.ok(app.status().every((server) => server.pid !== null && !before.has(server.pid)));
    assert.deepEqual(rig.gateway.counters().refused, {});
  });

  test('one killed in mid-request: a read is repeated, a write told as unknown', async () => {
    await using running = await withGateway();
    const { rig, app } = running;
    rig.control.show(app.servers().filter((server) => server.name === 'eu.0'));
    const reading = rig.ask('/slow?ms=400');
    const writing = rig.ask('/slow?ms=400', { method: 'POST', body: 'pay' });
    await until('both are under way', () => rig.gateway.counters().forwarded['local-write'] === 1);
    await systemClock.sleep(100);
    rig.control.show(app.servers());
    const victim = stateOf(app, 'eu.0').status.pid;
    assert.ok(victim !== null);
    process.kill(victim, 'SIGKILL');
    const written = await writing;
    assert.deepEqual([written.status, written.error.outcome], [503, 'unknown']);
    assert.equal(written.headers['meridian-outcome'], 'unknown');
    const read = await reading;
    assert.equal(read.status, 200);
    assert.match(read.text, new RegExp(`pid ${String(stateOf(app, 'eu.1').status.pid)}$`));
    await until('it is back', () => stateOf(app, 'eu.0').ready);
  });
});
