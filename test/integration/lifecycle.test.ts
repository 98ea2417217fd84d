/**
 * The platform's life as its user meets it: started, found, killed, started again, stopped, refused.
 * Real command, real servers; the configuration is small and its app is a few lines of Node.
 */
import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signalTree } from '../../src/orchestrate/drivers/process-tree.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { SCHEMA, temporaryDirectory, writeFiles } from '../support/cluster.ts';
import { processesOf, runMeridian, type CommandRun } from '../support/command.ts';
import { childrenOf, stateOf } from '../support/processes.ts';

const CONFIG = `export default {
  regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
  primaryRegion: 'us-east',
  // The layout with the fewest servers: this file starts them a dozen times.
  survive: 'region',
  latency: { scale: 0.1 },
  tables: {
    currency: { kind: 'global' },
    purse: { kind: 'regional', by: 'account_id' },
    note: { kind: 'regional', by: 'account_id' },
  },
  app: { command: ['node', 'app.mjs'], instancesPerRegion: 1 },
  gateway: { ports: { 'us-east': 0, 'eu-west': 0, 'ap-south': 0 } },
};`;

const APP = `import { createServer } from 'node:http';
const server = createServer((request, response) => response.end(process.env.MERIDIAN_REGION));
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));`;

const SERVERS = 9;

describe('meridian up', () => {
  let directory: string;
  const runs: CommandRun[] = [];

  beforeEach(async () => {
    directory = await temporaryDirectory();
    await writeFiles(directory, {
      'meridian.config.mjs': CONFIG,
      'app.mjs': APP,
      ...Object.fromEntries(Object.entries(SCHEMA).map(([k, v]) => [`migrations/${k}`, v])),
    });
  });
  afterEach(async () => {
    for (const run of runs.splice(0)) {
      run.signal('SIGINT');
      await run.ended;
    }
    assert.deepEqual(await processesOf(directory), [], 'nothing is left running');
    await rm(directory, { recursive: true, force: true });
  });

  const up = (...args: string[]): CommandRun => {
    const run = runMeridian(['up', '--config', join(directory, 'meridian.config.mjs'), ...args]);
    runs.push(run);
    return run;
  };
  const meridian = async (...args: string[]): Promise<{ code: number | null; run: CommandRun }> => {
    const run = runMeridian([...args, '--config', join(directory, 'meridian.config.mjs')]);
    const { code } = await run.ended;
    return { code, run };
  };
  const statusOf = async (): Promise<StatusReport> => {
    const { code, run } = await meridian('status', '--json');
    assert.equal(code, 0, run.stderr());
    return JSON.parse(run.stdout()) as StatusReport;
  };
  /** Ends by itself with exit code 1 and one sentence with its remedy. */
  const refused = async (expected: RegExp): Promise<void> => {
    const run = up();
    const { code } = await run.ended;
    assert.equal(code, 1, run.stdout() + run.stderr());
    assert.match(run.stderr(), expected);
    assert.doesNotMatch(run.stderr(), /\n\s+at /, 'no stack trace');
  };

  test('status tells the whole; kill -9 of the supervisor leaves servers that the next start ends; data stays', async () => {
    const first = up();
    await first.printed(/Ready/);
    const before = await statusOf();
    assert.equal(before.nodes.length, SERVERS);
    assert.equal(before.nodes.filter((node) => node.state === 'leader').length, 3);
    assert.deepEqual(
      before.nodes.filter((node) => !['leader', 'streaming'].includes(node.state)),
      [],
    );
    assert.equal(before.appServers.filter((server) => server.state === 'ready').length, 3);
    assert.deepEqual(
      before.groups.map((group) => group.ranges),
      [['r0001'], ['r0002'], ['r0003']],
    );
    const secrets = join(directory, '.meridian', 'secrets.json');
    assert.equal((await stat(secrets)).mode & 0o777, 0o600);
    const made = await readFile(secrets, 'utf8');

    const second = up();
    assert.equal((await second.ended).code, 1);
    assert.match(second.stderr(), new RegExp(String(first.pid)), 'names the one that runs');

    // One server's postmaster dies and its backends stand still: they hold its memory, and obey nobody.
    const [{ pid: postmaster } = { pid: null }] = before.nodes;
    assert.ok(postmaster !== null);

    first.signal('SIGKILL');
    await first.ended;
    signalTree(postmaster, 'SIGSTOP');
    const orphans = await childrenOf(postmaster);
    assert.ok(orphans.length > 2, 'it has backends');
    process.kill(postmaster, 'SIGKILL');
    const left = await processesOf(directory);
    assert.ok(left.length >= SERVERS, `${String(left.length)} processes are left`);

    const third = up();
    await third.printed(/Ready/);
    for (const one of orphans) assert.equal(await stateOf(one), undefined, 'the orphans are gone');
    const after = await statusOf();
    assert.equal(after.installation, before.installation);
    assert.equal(await readFile(secrets, 'utf8'), made, 'the same passwords');
    for (const group of after.groups) {
      const old = before.groups.find((one) => one.name === group.name);
      assert.ok(group.epoch > (old?.epoch ?? 0), `${group.name} is at a later epoch`);
    }
    const askedAt = Date.now();
    third.signal('SIGINT');
    assert.equal((await third.ended).code, 0);
    assert.ok(Date.now() - askedAt < 5_000, 'Ctrl-C stops all within 5 s');
    assert.deepEqual(await processesOf(directory), []);

    const down = await meridian('status');
    assert.equal(down.code, 1);
    assert.match(down.run.stderr(), /not running/);

    const fresh = up('--fresh');
    await fresh.printed(/Ready/);
    assert.notEqual((await statusOf()).installation, before.installation);
  });

  test('Ctrl-C during the start leaves nothing', async () => {
    const run = up();
    await run.printed(/creating the database servers/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    run.signal('SIGINT');
    await run.ended;
    assert.deepEqual(await processesOf(directory), []);
    const again = up();
    await again.printed(/Ready/);
  });

  test('a gateway port that is taken is one sentence', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as AddressInfo;
    await writeFile(
      join(directory, 'meridian.config.mjs'),
      CONFIG.replace(`'us-east': 0`, `'us-east': ${String(port)}`),
    );
    try {
      await refused(
        new RegExp(`${String(port)}[^]*gateway\\.ports|gateway\\.ports[^]*${String(port)}`),
      );
    } finally {
      blocker.close();
    }
  });

  test('a data directory that cannot be one is one sentence', async () => {
    await writeFile(join(directory, '.meridian'), 'a file');
    await refused(/data directory .*\.meridian/);
  });

  test('data of another PostgreSQL version, and of another release, is refused untouched', async () => {
    const first = up();
    await first.printed(/Ready/);
    first.signal('SIGINT');
    await first.ended;
    const marker = join(directory, '.meridian', 'nodes', 'us-east-1.us-east', 'meridian-node.json');
    const made = await readFile(marker, 'utf8');
    await writeFile(marker, made.replace(/"postgres":"\d+"/, '"postgres":"17"'));
    await refused(/written by PostgreSQL 17[^]*--fresh/);
    await writeFile(marker, made);
    const again = up();
    await again.printed(/Ready/);
  });

  const schemas: readonly [string, Record<string, string>, RegExp][] = [
    [
      'a regional table without its account column in the primary key',
      { 'regional/0002_bad.sql': 'CREATE TABLE extra (id bigint PRIMARY KEY, account_id text);' },
      /tables\.extra/,
    ],
    [
      'a table in the schema but not in the configuration',
      { 'database/0002_bad.sql': 'CREATE TABLE country (code text PRIMARY KEY);' },
      /tables\.country/,
    ],
    [
      'a failing statement names file, line and where',
      { 'regional/0002_bad.sql': '-- fine\n\nALTER TABLE purse\n  ADD COLUMN x nonsense;' },
      /regional\/0002_bad\.sql:4 failed in .*nonsense/,
    ],
    [
      'rows of a global table in a database migration',
      { 'database/0002_bad.sql': `INSERT INTO currency VALUES ('EUR', 'Euro');` },
      /global\.write/,
    ],
  ];
  for (const [name, files, expected] of schemas) {
    test(`refused: ${name}`, async () => {
      await writeFiles(
        directory,
        Object.fromEntries(Object.entries(files).map(([k, v]) => [`migrations/${k}`, v])),
      );
      await refused(expected);
    });
  }

  test('migrations resume after the last one that was applied', async () => {
    const first = up();
    await first.printed(/Ready/);
    first.signal('SIGINT');
    await first.ended;
    const second = join(directory, 'migrations', 'regional', '0002_more.sql');
    await writeFile(second, 'ALTER TABLE note ADD COLUMN more nonsense;');
    await refused(/0002_more\.sql:1/);
    await writeFile(second, 'ALTER TABLE note ADD COLUMN more text;');
    const mended = up();
    await mended.printed(/Ready/);
    mended.signal('SIGINT');
    await mended.ended;
    await writeFile(second, 'ALTER TABLE note ADD COLUMN more integer;');
    await refused(/0002_more\.sql was changed after it was applied/);
  });
});
