/** `meridian restart` against a real control server with a restart on paper behind it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startControlServer, type ControlServer } from '../../src/control/feed-server.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { RollingRestart } from '../../src/orchestrate/rolling-restart.ts';
import { run } from './cli.rig.ts';

const REGIONS = ['us', 'eu'].map((name) => ({ name, zones: ['a'] }));

/** Two app servers and two gateways that are replaced when the test says so. */
class Paper {
  readonly done: string[] = [];
  /** A step waits for it. */
  gate: Promise<void> = Promise.resolve();
  failAt = '';

  readonly rolling = new RollingRestart({
    clock: systemClock,
    log: silentLog,
    regions: REGIONS,
    app: {
      status: () =>
        // A predecessor that is still there has its successor's name.
        ['us', 'eu', 'us'].map((region) => ({
          ...{ name: `${region}.0`, region, zone: 'a', pid: 1, port: 1 },
          ...{ state: 'ready', restarts: 0 },
        })),
      restart: (name) => this.#step(`app.${name}`),
    },
    gateways: { restart: (region) => this.#step(`gateway.${region}`) },
  });

  async #step(name: string): Promise<void> {
    await this.gate;
    if (name === this.failAt) throw new MeridianError('ERR_RESTART_HELD_UP', `${name} is held up`);
    this.done.push(name);
  }
}

describe('meridian restart', () => {
  let folder = '';
  let server: ControlServer;
  let paper = new Paper();
  /** Of the latest request: whoever asked has gone, and the restart is over. */
  let left: Promise<void>;
  let ended: Promise<unknown>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-restart-'));
    const config = `export default { regions: { us: {}, eu: {} }, primaryRegion: 'us', tables: {} };`;
    await writeFile(join(folder, 'meridian.config.mjs'), config);
    const unused = (): never => {
      throw new Error('not asked for');
    };
    server = await startControlServer({
      ...{ host: '127.0.0.1', port: 0, token: 'sesame', clock: systemClock, log: silentLog },
      ...{ hello: unused, view: unused, status: unused, activity: unused },
      restart: (request, options) => {
        const { signal } = options;
        left = new Promise((resolve) => signal?.addEventListener('abort', () => resolve()));
        return (ended = paper.rolling.run(request, options));
      },
    });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const restart = (...args: string[]): ReturnType<typeof run> =>
    run(['restart', ...args], { cwd: folder });
  const announce = async (): Promise<void> => {
    await mkdir(join(folder, '.meridian', 'run'), { recursive: true });
    const file = { url: server.url, token: 'sesame', pid: process.pid };
    await writeFile(join(folder, '.meridian', 'run', 'control.json'), JSON.stringify(file));
  };

  test('nothing runs: said, with what to do', async () => {
    const none = restart('--json');
    assert.equal(await none.code, 1);
    assert.match(none.err(), /not running/);
    assert.match(none.out(), /ERR_NOT_RUNNING/);
  });

  test('each step as it is done; --json says it in lines; each process once', async () => {
    await announce();
    paper = new Paper();
    const person = restart('--apps');
    assert.equal(await person.code, 0, person.err());
    assert.match(person.out(), /app\.us\.0 .*\n.*app\.eu\.0 .*\n2 restarted/);
    const program = restart('--json', '--region', 'eu');
    assert.equal(await program.code, 0, program.err());
    const lines = program.out().trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      told.map(({ kind, name }) => name ?? kind),
      ['begun', 'app.eu.0', 'gateway.eu', 'ended'],
    );
    assert.deepEqual(told[0]?.['steps'], ['app.eu.0', 'gateway.eu']);
    assert.deepEqual(paper.done, ['app.us.0', 'app.eu.0', 'app.eu.0', 'gateway.eu']);
  });

  test('a step that fails ends it, and is told', async () => {
    await announce();
    paper = new Paper();
    paper.failAt = 'app.eu.0';
    const held = restart();
    assert.equal(await held.code, 1);
    assert.match(held.err(), /app\.eu\.0 is held up/);
    assert.deepEqual(paper.done, ['app.us.0']);
  });

  test('Ctrl-C: the step under way is finished, no other begun, and the next restart is allowed', async () => {
    await announce();
    paper = new Paper();
    let open = (): void => {};
    paper.gate = new Promise((resolve) => (open = resolve));
    const interrupted = restart();
    await interrupted.sees('Restarting 4');
    const [gone, over] = [left, ended];
    const second = restart();
    assert.equal(await second.code, 1);
    assert.match(second.err(), /under way/);
    interrupted.interrupt();
    assert.equal(await interrupted.code, 130);
    assert.match(interrupted.err(), /no other is begun/);
    // The step ends after the supervisor has noticed.
    await gone;
    open();
    assert.deepEqual(await over, { kind: 'ended', restarted: 1, left: 3 });
    assert.deepEqual(paper.done, ['app.us.0']);
    const again = restart('--gateways');
    assert.equal(await again.code, 0, again.err());
    assert.deepEqual(paper.done, ['app.us.0', 'gateway.us', 'gateway.eu']);
  });
});
