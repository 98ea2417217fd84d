/** `meridian chaos` against a real control server with faults on paper behind it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { targetOf } from '../../src/cli/chaos-text.ts';
import type { ChaosControl, ChaosFault, ChaosTarget } from '../../src/control/chaos.ts';
import { parseChaos } from '../../src/control/chaos-request.ts';
import { startControlServer, type ControlServer } from '../../src/control/feed-server.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { run } from './cli.rig.ts';

const TOKEN = 'sesame';

class Paper implements ChaosControl {
  readonly asked: unknown[] = [];
  #faults: ChaosFault[] = [];

  inject: ChaosControl['inject'] = (request, options) => {
    this.asked.push([request, options?.force ?? false]);
    if (request.target.kind === 'node' && request.target.name === 'nobody') {
      return Promise.reject(
        new MeridianError(
          'ERR_CONTROL_REQUEST',
          'there is no database node nobody; there are us.a',
        ),
      );
    }
    const id = `f${String(this.asked.length)}`;
    const fault = { id, request, summary: `${request.action} it`, sinceMs: 0, lasting: true };
    this.#faults.push(fault);
    return Promise.resolve(fault);
  };

  heal: ChaosControl['heal'] = (id) => {
    const healed = this.#faults.filter((fault) => id === undefined || fault.id === id);
    this.#faults = this.#faults.filter((fault) => !healed.includes(fault));
    return Promise.resolve(healed);
  };

  faults: ChaosControl['faults'] = () => this.#faults;
}

describe('meridian chaos', () => {
  let folder = '';
  let server: ControlServer;
  let paper = new Paper();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-chaos-'));
    const config = `export default { regions: { us: {}, eu: {} }, primaryRegion: 'us', tables: {} };`;
    await writeFile(join(folder, 'meridian.config.mjs'), config);
    const unused = (): never => {
      throw new Error('not asked for');
    };
    server = await startControlServer({
      ...{ host: '127.0.0.1', port: 0, token: TOKEN, clock: systemClock, log: silentLog },
      ...{ hello: unused, view: unused, status: unused, activity: unused, restart: unused },
      chaos: {
        inject: (request, options) => paper.inject(request, options),
        heal: (id) => paper.heal(id),
        faults: () => paper.faults(),
      },
    });
    await mkdir(join(folder, '.meridian', 'run'), { recursive: true });
    const file = { url: server.url, token: TOKEN, pid: process.pid };
    await writeFile(join(folder, '.meridian', 'run', 'control.json'), JSON.stringify(file));
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    paper = new Paper();
  });

  const chaos = (...args: string[]): ReturnType<typeof run> =>
    run(['chaos', ...args], { cwd: folder });

  test('makes, lists and heals, for people and programs', async () => {
    const made = chaos('slow', 'link:us..eu', '--ms', '250', '--force');
    assert.equal(await made.code, 0, made.err());
    assert.equal(made.out(), 'f1  slow it\n');
    const target = { kind: 'link', from: { region: 'us' }, to: { region: 'eu' } };
    assert.deepEqual(plain(paper.asked), [[{ action: 'slow', target, addMs: 250 }, true]]);
    const listed = chaos('list');
    assert.equal(await listed.code, 0, listed.err());
    assert.match(listed.out(), /FAULT .*\nf1 +slow it/);
    const json = chaos('heal', 'f1', '--json');
    assert.equal(await json.code, 0, json.err());
    assert.equal((JSON.parse(json.out()) as { healed: ChaosFault[] }).healed[0]?.id, 'f1');
    const none = chaos('heal');
    assert.equal(await none.code, 0);
    assert.match(none.out(), /No faults/);
  });

  test('--for heals by itself, and sooner at Ctrl-C', async () => {
    const short = chaos('stop', 'node:us.a', '--for', '20ms');
    assert.equal(await short.code, 0, short.err());
    assert.match(short.out(), /^f1 .*\nhealed f1/);
    const long = chaos('stop', 'node:us.a', '--for', '1h');
    await long.sees('f2');
    assert.equal(paper.faults().length, 1);
    long.interrupt();
    assert.equal(await long.code, 0);
    assert.match(long.out(), /healed f2/);
    assert.deepEqual(paper.faults(), []);
  });

  test('what is refused is told with its code', async () => {
    const wrong = chaos('kill', 'node:nobody', '--json');
    assert.equal(await wrong.code, 1);
    assert.match(wrong.err(), /there are us\.a/);
    assert.match(wrong.out(), /ERR_CONTROL_REQUEST/);
  });

  for (const [args, says] of [
    ['melt node:us.a', /no fault "melt"/],
    ['kill', /needs a target/],
    ['kill us.a', /names no target/],
    ['slow region:us', /needs --ms/],
    ['kill node:us.a --ms 5', /--ms is for/],
    ['kill process:us.a --for 5s', /over at once/],
    ['partition node:us.a --one-way', /are for places/],
    ['partition zone:us', /names no target/],
    ['partition region:us/a', /names no target/],
    ['partition link:us..eu..ap', /names no target/],
  ] as const) {
    test(`refuses ${args}, and asks for nothing`, async () => {
      const refused = chaos(...args.split(' '), '--json');
      assert.equal(await refused.code, 1);
      assert.match(refused.err(), says);
      assert.match(refused.out(), /ERR_USAGE/);
      assert.deepEqual(paper.asked, []);
    });
  }

  test('reads every form of a target', () => {
    const [us, usA, eu] = [{ region: 'us' }, { region: 'us', zone: 'a' }, { region: 'eu' }];
    const forms: readonly [string, Parameters<typeof targetOf>[1], ChaosTarget][] = [
      ['process:app.us.0', {}, { kind: 'process', name: 'app.us.0' }],
      ['node:us-1.a', {}, { kind: 'node', name: 'us-1.a' }],
      ['zone:us/a', {}, { kind: 'place', place: usA }],
      ['region:us', {}, { kind: 'place', place: us }],
      ['link:us..eu', {}, { kind: 'link', from: us, to: eu }],
      ['link:us/a', {}, { kind: 'link', from: usA }],
      ['region:us', { to: 'eu' }, { kind: 'link', from: us, to: eu }],
      [
        'zone:us/a',
        { to: 'zone:us/b' },
        { kind: 'link', from: usA, to: { region: 'us', zone: 'b' } },
      ],
      ['region:us', { oneWay: true }, { kind: 'link', from: us, oneWay: true }],
    ];
    for (const [text, flags, target] of forms) {
      assert.deepEqual(plain(targetOf(text, flags)), plain(target), text);
    }
  });

  test('the server takes no fault without the token, and none that it cannot read', async () => {
    const post = (path: string, body: string, token = TOKEN): Promise<Response> =>
      fetch(new URL(path, server.url), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body,
      });
    const good = JSON.stringify({ action: 'kill', target: { kind: 'node', name: 'us.a' } });
    assert.equal((await post('/v1/chaos', good, 'wrong')).status, 401);
    assert.equal((await post('/v1/chaos/heal', '{}', 'wrong')).status, 401);
    assert.equal((await post('/v1/chaosx', good)).status, 400);
    assert.deepEqual(paper.asked, []);
    assert.equal((await post('/v1/chaos', good)).status, 200);
    assert.equal((await post('/v1/chaos/heal', '')).status, 200);
    for (const body of [
      '',
      'null',
      '[]',
      '{"action":"kill"}',
      '{"action":"melt","target":{"kind":"node","name":"x"}}',
      '{"action":"kill","target":{"kind":"node","name":""}}',
      '{"action":"kill","target":{"kind":"node","name":"a\\nb"}}',
      '{"action":"kill","target":{"kind":"planet","name":"x"}}',
      '{"action":"kill","force":1,"target":{"kind":"node","name":"x"}}',
      '{"action":"slow","target":{"kind":"link","from":{"region":"us"}}}',
      '{"action":"slow","addMs":-1,"target":{"kind":"link","from":{"region":"us"}}}',
      '{"action":"skew","offsetMs":1e300,"target":{"kind":"node","name":"x"}}',
      '{"action":"partition","target":{"kind":"link","from":{"zone":"a"}}}',
      '{"action":"partition","target":{"kind":"link","from":{"region":"us"},"oneWay":1}}',
    ]) {
      assert.throws(() => parseChaos(body), { code: 'ERR_CONTROL_REQUEST' }, body);
    }
  });
});

/** Without what is undefined. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
