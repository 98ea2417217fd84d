/** The life of `meridian up`, with a platform on paper and real traffic programs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { MeridianError } from '../../src/kernel/errors.ts';
import { paperPlatform, run } from './cli.rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-up-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A configuration whose traffic program is this text. */
const withTraffic = async (program: string, command = [process.execPath, 'traffic.mjs']) => {
  await writeFile(join(folder, 'traffic.mjs'), program);
  const config = {
    regions: { 'us-east': {} },
    primaryRegion: 'us-east',
    tables: {},
    traffic: { command },
  };
  const text = `export default ${JSON.stringify(config)};`;
  await writeFile(join(folder, 'meridian.config.mjs'), text);
};
const lines = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

describe('without traffic', () => {
  beforeEach(() => withTraffic(''));

  test('runs until Ctrl-C, says where to look, and stops', async () => {
    const platform = paperPlatform();
    const up = run(['up', '--fresh'], { cwd: folder, startPlatform: platform.start });
    await up.sees('Ctrl-C stops everything');
    assert.equal(platform.options()?.fresh, true);
    assert.match(up.out(), /^starting 15 servers\n/);
    assert.match(up.out(), /Ready in 1\.2 s, with new data\./);
    assert.match(up.out(), /us-east +http:\/\/127\.0\.0\.1:8081/);
    assert.match(up.out(), /logs +\.meridian\/logs/);
    assert.doesNotMatch(up.out(), /secret/);
    up.interrupt();
    // The same key press, once from the terminal and once from npm.
    up.interrupt();
    assert.equal(await up.code, 0);
    assert.deepEqual([platform.events, up.exits], [['stop'], []]);
  });

  test('begins again with the file as it is then, and what is left of --for', async () => {
    const platform = paperPlatform();
    const up = run(['up', '--fresh', '--for', '1s'], {
      ...{ cwd: folder, startPlatform: platform.start },
    });
    await up.sees('Ctrl-C stops everything');
    const first = platform.options();
    const file = join(folder, 'meridian.config.mjs');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll('us-east', 'sa-east'));
    await assert.rejects(first?.reload?.load(join(folder, 'other.mjs')) ?? Promise.resolve(), {
      code: 'ERR_OPERATION_REFUSED',
    });
    const next = await first?.reload?.load(file);
    assert.ok(next);
    assert.equal(next.primaryRegion, 'sa-east');
    first?.reload?.begin(next);
    assert.throws(() => first?.reload?.begin(next), { code: 'ERR_OPERATION_REFUSED' });
    assert.equal(await up.code, 0);
    assert.deepEqual(platform.events, ['stop', 'stop']);
    assert.equal(platform.options()?.fresh, false);
    assert.match(
      up.out(),
      /Stopping, to start with the changed configuration\.\n[^]*Stopping\.\n$/,
    );
  });

  test('and Ctrl-C in between ends it', async () => {
    const platform = paperPlatform();
    const up = run(['up'], { cwd: folder, startPlatform: platform.start });
    await up.sees('Ctrl-C stops everything');
    const { reload } = platform.options() ?? {};
    const next = await reload?.load(join(folder, 'meridian.config.mjs'));
    assert.ok(next);
    reload?.begin(next);
    await up.sees('Stopping, to start');
    up.interrupt();
    assert.equal(await up.code, 0);
    assert.deepEqual(up.exits, []);
  });

  test('ends by itself with --for, and says nothing with --quiet', async () => {
    const platform = paperPlatform();
    const args = ['up', '--for', '20ms', '--quiet'];
    const up = run(args, { cwd: folder, startPlatform: platform.start });
    assert.equal(await up.code, 0);
    assert.deepEqual([platform.events, up.out(), up.err()], [['stop'], '', '']);
  });

  test('with --json keeps stdout to JSON lines, the summary last', async () => {
    const args = ['up', '--for', '20ms', '--json'];
    const up = run(args, { cwd: folder, startPlatform: paperPlatform().start });
    assert.equal(await up.code, 0);
    const [ready, summary] = lines(up.out());
    const gateways = {
      'us-east': 'http://127.0.0.1:8081',
      'eu-west': 'http://127.0.0.1:8082',
    };
    assert.deepEqual(ready, { ready: { readyMs: 1235, coldStart: true, gateways } });
    assert.deepEqual(summary, { readyMs: 1235, coldStart: true });
    assert.match(up.err(), /starting 15 servers/);
  });

  test('fails when the platform cannot start, or cannot go on', async () => {
    const taken = new MeridianError('ERR_PORT_TAKEN', 'port 8081 is taken');
    const refused = run(['up', '--json'], {
      cwd: folder,
      startPlatform: () => Promise.reject(taken),
    });
    assert.equal(await refused.code, 1);
    assert.match(refused.err(), /^meridian: port 8081 is taken\. Stop the program/);
    assert.deepEqual(lines(refused.out()), [{ error: taken.toJSON() }]);

    const platform = paperPlatform();
    const up = run(['up'], { cwd: folder, startPlatform: platform.start });
    await up.sees('Ready in');
    platform.fail(new MeridianError('ERR_PROCESS_FAILED', 'a server is lost'));
    assert.equal(await up.code, 1);
    assert.match(up.err(), /a server is lost/);
    assert.deepEqual(platform.events, ['stop']);
  });

  test('interrupted while it starts, stops the start', async () => {
    const up = run(['up'], {
      cwd: folder,
      startPlatform: (_config, { signal, onProgress }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => {
            reject(new MeridianError('ERR_ABORTED', 'stopped'));
          });
          onProgress('half way');
        }),
    });
    await up.sees('half way');
    up.interrupt();
    assert.equal(await up.code, 130);
    assert.equal(up.err(), '');
  });

  test('asked twice, ends everything at once', async () => {
    let release = (): void => {};
    const stuck = new Promise<void>((resolve) => {
      release = resolve;
    });
    const platform = paperPlatform({ stop: () => stuck });
    const up = run(['up'], { cwd: folder, startPlatform: platform.start });
    await up.sees('Ready in');
    up.interrupt();
    await up.sees('Stopping.');
    // Later than a doubled key press.
    await new Promise((resolve) => setTimeout(resolve, 450));
    up.interrupt();
    assert.deepEqual([platform.events, up.exits], [['kill'], [130]]);
    release();
    await up.code;
  });

  test('a second Ctrl-C ends a start at once that does not stop', async () => {
    const events: string[] = [];
    let release = (): void => {};
    const up = run(['up'], {
      cwd: folder,
      startPlatform: (_config, { onKillable, onProgress }) => {
        onKillable?.(() => events.push('kill'));
        onProgress('starting');
        return new Promise((_resolve, reject) => {
          release = () => {
            reject(new MeridianError('ERR_ABORTED', 'the start was interrupted'));
          };
        });
      },
    });
    await up.sees('starting');
    up.interrupt();
    await new Promise((resolve) => setTimeout(resolve, 450));
    up.interrupt();
    assert.deepEqual([events, up.exits], [['kill'], [130]]);
    release();
    assert.equal(await up.code, 130);
  });

  test('writes the log below the data directory', async () => {
    const platform = paperPlatform();
    const up = run(['up', '--for', '1ms'], { cwd: folder, startPlatform: platform.start });
    await up.code;
    platform.options()?.log.info('hello');
    platform.options()?.log.debug('not at this level');
    const log = await readFile(join(folder, '.meridian/logs/supervisor.log'), 'utf8');
    assert.equal((JSON.parse(log) as { message: string }).message, 'hello');
  });
});

describe('with traffic', () => {
  test('hands options and addresses on, and ends with its summary and code', async () => {
    await withTraffic(
      `console.log('progress');
       console.error('for people');
       console.log(JSON.stringify({ args: process.argv.slice(2), errors: 0,
         gateways: JSON.parse(process.env.MERIDIAN_GATEWAYS),
         token: process.env.MERIDIAN_CONTROL_TOKEN }));
       process.exitCode = 3;`,
    );
    const platform = paperPlatform();
    const args = ['up', '--traffic', '--for', '1.5s', '--rate', '300', '--seed', '7', '--json'];
    const up = run(args, { cwd: folder, startPlatform: platform.start });
    assert.equal(await up.code, 3);
    const summary = lines(up.out()).at(-1) as Record<string, unknown>;
    assert.deepEqual(summary['args'], [
      '--for',
      '1500ms',
      '--rate',
      '300',
      '--seed',
      '7',
      '--json',
    ]);
    assert.deepEqual(summary['gateways'], {
      'us-east': 'http://127.0.0.1:8081',
      'eu-west': 'http://127.0.0.1:8082',
    });
    assert.deepEqual([summary['token'], summary['errors']], ['secret', 0]);
    assert.deepEqual([summary['readyMs'], summary['coldStart']], [1235, true]);
    assert.match(up.err(), /progress\n/);
    assert.match(up.err(), /for people\n/);
    assert.equal(lines(up.out()).length, 2);
    assert.deepEqual(platform.events, ['stop']);
  });

  test('passes everything on to people', async () => {
    await withTraffic(`console.log('one'); console.log('two');`);
    const up = run(['up', '--traffic'], { cwd: folder, startPlatform: paperPlatform().start });
    assert.equal(await up.code, 0);
    assert.match(up.out(), /\none\ntwo\nStopping\.\n$/);
  });

  test('lets it finish its summary on Ctrl-C, before the platform stops', async () => {
    await withTraffic(
      `process.on('SIGINT', () => { console.log('{"interrupted":true}'); process.exit(0); });
       console.error('driving'); setInterval(() => {}, 1000);`,
    );
    const platform = paperPlatform();
    const args = ['up', '--traffic', '--json'];
    const up = run(args, { cwd: folder, startPlatform: platform.start });
    await up.sees('driving');
    up.interrupt();
    assert.equal(await up.code, 0);
    assert.deepEqual(lines(up.out()).at(-1), {
      interrupted: true,
      readyMs: 1235,
      coldStart: true,
    });
  });

  test('ends one that does not listen, in little of the five seconds', async () => {
    await withTraffic(
      `process.on('SIGINT', () => {}); console.error('deaf'); setInterval(() => {}, 1000);`,
    );
    const platform = paperPlatform();
    const up = run(['up', '--traffic'], { cwd: folder, startPlatform: platform.start });
    await up.sees('deaf');
    const start = performance.now();
    up.interrupt();
    assert.equal(await up.code, 1);
    assert.ok(performance.now() - start < 4_000);
    assert.deepEqual([platform.events, up.exits], [['stop'], []]);
  });

  test('fails when the platform fails under it', async () => {
    await withTraffic(`console.error('driving'); setInterval(() => {}, 1000);`);
    const platform = paperPlatform();
    const up = run(['up', '--traffic'], { cwd: folder, startPlatform: platform.start });
    await up.sees('driving');
    platform.fail(new MeridianError('ERR_PROCESS_FAILED', 'a server is lost'));
    assert.equal(await up.code, 1);
    assert.match(up.err(), /a server is lost/);
  });

  test('fails without a summary that machines can read', async () => {
    await withTraffic(`console.log('done')`);
    const args = ['up', '--traffic', '--json'];
    const up = run(args, { cwd: folder, startPlatform: paperPlatform().start });
    assert.equal(await up.code, 1);
    assert.match(up.err(), /did not end with a JSON summary/);
  });

  test('says when it cannot be started, and when none is declared', async () => {
    const platform = paperPlatform();
    await withTraffic('', ['no-such-program-here']);
    const missing = run(['up', '--traffic'], { cwd: folder, startPlatform: platform.start });
    assert.equal(await missing.code, 1);
    assert.match(missing.err(), /"no-such-program-here" could not be started/);
    assert.deepEqual(platform.events, ['stop']);

    await writeFile(
      join(folder, 'bare.mjs'),
      `export default { regions: { a: {} }, primaryRegion: 'a', tables: {} };`,
    );
    const undeclared = run(['up', '--traffic', '-c', 'bare.mjs'], { cwd: folder });
    assert.equal(await undeclared.code, 1);
    assert.match(undeclared.err(), /traffic: expected a program, found nothing/);
    assert.equal(existsSync(join(folder, '.meridian')), false);
  });
});
