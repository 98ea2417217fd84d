/** `meridian config` and `meridian status`, against a real HTTP server in the supervisor's place. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { StatusReport } from '../../src/control/status.ts';
import { run } from './cli.rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-cli-'));
  await writeFile(
    join(folder, 'meridian.config.mjs'),
    `export default { regions: { 'us-east': {} }, primaryRegion: 'us-east', tables: {},
       app: { command: ['node', 'server.js'], env: { API_KEY: 'hunter2' } } };`,
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string };
}
const lastLine = (text: string): unknown => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');

describe('meridian config', () => {
  test('prints the resolved whole, without secrets', async () => {
    const forPeople = run(['config'], { cwd: folder });
    assert.equal(await forPeople.code, 0);
    assert.match(forPeople.out(), /^gateway\.ports\.us-east +8081$/m);
    assert.match(forPeople.out(), /^app\.env\.API_KEY +"\(set\)"$/m);
    const forMachines = run(['config', '--json'], { cwd: folder });
    assert.equal(await forMachines.code, 0);
    const config = lastLine(forMachines.out()) as Record<string, unknown>;
    assert.equal(config['dataDirectory'], join(folder, '.meridian'));
    assert.doesNotMatch(forPeople.out() + forMachines.out(), /hunter2/);
  });

  test('tells what is wrong, to people and to machines', async () => {
    await writeFile(join(folder, 'bad.mjs'), 'export default { regions: {} };');
    const bad = run(['config', '--config', 'bad.mjs', '--json'], { cwd: folder });
    assert.equal(await bad.code, 1);
    assert.match(bad.err(), /^meridian: bad\.mjs has 2 problems:\n {2}- primaryRegion: expected/);
    assert.equal((lastLine(bad.out()) as Failure).error.code, 'ERR_CONFIG_INVALID');
    const missing = run(['config', '-c', 'none.ts'], { cwd: folder });
    assert.equal(await missing.code, 1);
    assert.equal(missing.out(), '');
    assert.equal(missing.err().trimEnd().split('\n').length, 1);
  });
});

describe('usage', () => {
  test('is explained on request', async () => {
    for (const args of [['--help'], ['help', 'up'], ['status', '--help']]) {
      const help = run(args, { cwd: folder });
      assert.equal(await help.code, 0);
      assert.match(help.out(), /Usage: meridian/);
      assert.match(help.out(), /Example/);
    }
    const version = run(['--version'], { cwd: folder });
    assert.equal(await version.code, 0);
    assert.match(version.out(), /^\d+\.\d+\.\d+\n$/);
  });

  test('without a command is the help, and a failure', async () => {
    const nothing = run([], { cwd: folder });
    assert.equal(await nothing.code, 1);
    assert.match(nothing.err(), /Usage: meridian/);
  });

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['stauts', /unknown command 'stauts' \(Did you mean status\?\)/],
    ['status --jsn', /unknown option '--jsn' \(Did you mean --json\?\)/],
    ['status extra', /too many arguments/],
    ['up --for 30', /duration.*found "30"/],
    ['up --traffic --rate fast', /requests per second/],
    ['up --traffic --seed 1.5', /whole number/],
    ['up --seed 1', /--seed is for the traffic program.*Add --traffic/],
    ['up --config', /argument missing/],
  ];
  for (const [args, says] of wrong) {
    test(`refuses ${args}`, async () => {
      const [command = '', ...rest] = args.split(' ');
      const { code, err, out } = run([command, '--json', ...rest], { cwd: folder });
      assert.equal(await code, 1);
      assert.match(err(), says);
      assert.equal(err().trimEnd().split('\n').length, 1);
      assert.equal((lastLine(out()) as Failure).error.code, 'ERR_USAGE');
    });
  }
});

const report: StatusReport = {
  installation: 'i',
  engine: 'postgres',
  survive: 'zone',
  primaryRegion: 'us-east',
  startedAt: '2026-01-01T00:00:00.000Z',
  supervisorPid: 42,
  transfers: [],
  drains: [],
  rehoming: {
    ...{ mode: 'suggest' as const, accountsSeen: 0, suggested: [], suggestedTotal: 0 },
    ...{ postponedTotal: 0, movedAccounts: 0, movedBytes: 0, hot: [], note: '' },
  },
  faults: [],
  regions: [{ name: 'us-east', zones: ['a', 'b', 'c'] }],
  groups: [
    {
      name: 'us-east-1',
      homeRegion: 'us-east',
      residency: null,
      epoch: 3,
      leader: 'us-east-1.a',
      ranges: ['r0001', 'r0002'],
      moves: [],
      accounts: 1000,
      globalLagBytes: null,
      inDoubt: { count: 2, oldestMs: 6_100 },
      operation: null,
      lease: { holder: 'us-east-1.a', tenureMs: 90_000, remainingMs: 1_900 },
      lastChange: null,
      leaderChanges: { started: 1 },
      recoveredVoters: null,
    },
  ],
  nodes: [
    {
      name: 'us-east-1.a',
      group: 'us-east-1',
      kind: 'voter',
      region: 'us-east',
      zone: 'a',
      state: 'leader',
      pid: 100,
      port: 5432,
      position: '0/3000148',
      lagBytes: null,
      lagMs: null,
      repair: null,
    },
    {
      name: 'us-east-1.b',
      group: 'us-east-1',
      kind: 'voter',
      region: 'us-east',
      zone: 'b',
      state: 'down',
      pid: null,
      port: 5433,
      position: '0/3000000',
      lagBytes: 2048,
      lagMs: 130,
      repair: null,
    },
  ],
  gateways: [],
  appServers: [
    {
      name: 'us-east.0',
      region: 'us-east',
      zone: 'a',
      pid: 7,
      port: 9000,
      state: 'backing-off',
      restarts: 4,
    },
  ],
};

describe('meridian status', () => {
  const serve = async (listener: RequestListener) => {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await mkdir(join(folder, '.meridian/run'), { recursive: true });
    await writeFile(
      join(folder, '.meridian/run/control.json'),
      JSON.stringify({ url: `http://127.0.0.1:${port}`, token: 'sesame', pid: 42 }),
    );
    return {
      [Symbol.asyncDispose]: () =>
        new Promise<void>((resolve) => {
          server.closeAllConnections();
          server.close(() => {
            resolve();
          });
        }),
    };
  };
  const answer: RequestListener = (request, response) => {
    const allowed = request.headers.authorization === 'Bearer sesame';
    response.statusCode = request.url === '/v1/status' && allowed ? 200 : 401;
    response.end(JSON.stringify(report));
  };

  test('shows every part in tables', async () => {
    await using _server = await serve(answer);
    const { code, out, err } = run(['status'], { cwd: folder });
    assert.equal(await code, 0, err());
    for (const line of [
      /^postgres, survives the loss of a zone, .*supervisor 42/m,
      /^us-east \* +a b c +1\/2 +1 +0\/0 +0\/1$/m,
      /^us-east-1 +us-east +us-east-1\.a +3 +1000 +- +r0001 r0002$/m,
      /^in doubt in us-east-1: 2 prepared transactions, oldest 6100 ms$/m,
      /^us-east-1\.a +us-east\/a +voter +leader +0\/3000148 +- +- +5432 +100$/m,
      /^us-east-1\.b +us-east\/b +voter +down +0\/3000000 +2\.0 KiB +130 ms +5433 +-$/m,
      /^us-east\.0 +us-east\/a +backing-off +4 +9000 +7$/m,
    ]) {
      assert.match(out(), line);
    }
    assert.doesNotMatch(out(), /sesame/);
  });

  test('gives machines the report as it is', async () => {
    await using _server = await serve(answer);
    const { code, out } = run(['status', '--json'], { cwd: folder });
    assert.equal(await code, 0);
    assert.deepEqual(JSON.parse(out()), report);
  });

  test('watches until Ctrl-C', async () => {
    await using _server = await serve(answer);
    const watching = run(['status', '--watch'], { cwd: folder });
    await watching.sees('APP SERVER');
    watching.interrupt();
    assert.equal(await watching.code, 0);
  });

  const notRunning = async (says: RegExp, code = 'ERR_NOT_RUNNING'): Promise<void> => {
    const status = run(['status', '--json'], { cwd: folder });
    assert.equal(await status.code, 1);
    assert.match(status.err(), says);
    assert.equal((lastLine(status.out()) as Failure).error.code, code);
    assert.doesNotMatch(status.err() + status.out(), /sesame/);
  };

  test('says when nothing runs, and how to change that', async () => {
    await notRunning(/the platform is not running\. Start the platform with `meridian up`/);
    const server = await serve(answer);
    await server[Symbol.asyncDispose]();
    // The file is still there, as after a kill -9.
    await notRunning(/the platform is not running/);
    await writeFile(join(folder, '.meridian/run/control.json'), '{"url":');
    await notRunning(/control\.json is not a control file/);
  });

  test('says when something else answers', async () => {
    {
      await using _server = await serve((_request, response) => {
        response.writeHead(401).end();
      });
      await notRunning(/another installation/);
    }
    await using _server = await serve((_request, response) => {
      response.writeHead(500).end();
    });
    await notRunning(/status 500/, 'ERR_CONTROL_UNAVAILABLE');
  });
});

describe('meridian migrate', () => {
  const supervisor = async (
    listener: RequestListener,
    body: () => Promise<void>,
  ): Promise<void> => {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await mkdir(join(folder, '.meridian', 'run'), { recursive: true });
    await writeFile(
      join(folder, '.meridian', 'run', 'control.json'),
      JSON.stringify({ url: `http://127.0.0.1:${String(port)}`, token: 't', pid: 1 }),
    );
    try {
      await body();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  test('needs a running platform, and says so', async () => {
    const none = run(['migrate', '--json'], { cwd: folder });
    assert.equal(await none.code, 1);
    assert.equal((lastLine(none.out()) as Failure).error.code, 'ERR_NOT_RUNNING');
  });

  test('tells a person the plan, the steps, the failure and what is left', async () => {
    const files = [{ path: 'migrations/regional/0002_a.sql', statements: 2 }];
    const pending = ['range r0001', 'range r0002'].map((where) => ({ where, files }));
    const warning = { what: 'it locks', remedy: 'Do not.' };
    const error = { code: 'ERR_MIGRATION_FAILED', message: 'a.sql:3 failed', remedy: 'Mend it.' };
    const messages = [
      { kind: 'plan', pending, warnings: [{ file: 'a.sql', line: 3, warning }] },
      { kind: 'step', summary: 'prepare range r0001', tookMs: 5 },
      { kind: 'failed', error, pending: pending.slice(1) },
    ];
    const answer: RequestListener = (request, response) => {
      request.resume();
      response.end(messages.map((one) => `${JSON.stringify(one)}\n`).join(''));
    };
    await supervisor(answer, async () => {
      const failed = run(['migrate'], { cwd: folder });
      assert.equal(await failed.code, 1);
      const list = '  migrations/regional/0002_a.sql (2 statements)\n';
      assert.equal(failed.out(), `range r0001, range r0002:\n${list}`);
      assert.equal(
        failed.err(),
        'warning: a.sql:3: it locks. Do not.\nprepare range r0001: done in 5 ms\n' +
          `meridian: a.sql:3 failed. Mend it.\nNot applied yet:\nrange r0002:\n${list}`,
      );
    });
  });

  test('says when another command is at it, and when the supervisor goes away', async () => {
    const busy: RequestListener = (request, response) => {
      request.resume();
      const error = { code: 'ERR_MIGRATION_RUNNING', message: 'at it', remedy: '' };
      response.writeHead(409).end(JSON.stringify({ error }));
    };
    await supervisor(busy, async () => {
      const second = run(['migrate', '--json'], { cwd: folder });
      assert.equal(await second.code, 1);
      assert.equal((lastLine(second.out()) as Failure).error.code, 'ERR_MIGRATION_RUNNING');
    });
    const leaving: RequestListener = (request, response) => {
      request.resume();
      response.end(`${JSON.stringify({ kind: 'step', summary: 's', tookMs: 1 })}\n`);
    };
    await supervisor(leaving, async () => {
      const broken = run(['migrate', '--json'], { cwd: folder });
      assert.equal(await broken.code, 1);
      assert.equal((lastLine(broken.out()) as Failure).error.code, 'ERR_CONTROL_UNAVAILABLE');
    });
  });
});
