/**
 * `meridian doctor` on machines that are really broken: real ports, folders, accounts, processes. The
 * platform is one small region, started once.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { endStrays } from '../../src/orchestrate/strays.ts';
import type { Finding } from '../../src/doctor/verdict.ts';
import { SCHEMA, temporaryDirectory, writeFiles } from '../support/cluster.ts';
import { processesOf, runMeridian, type CommandRun } from '../support/command.ts';

/** "nobody": an account that owns nothing of ours. */
const STRANGER = 65_534;

const config = (changes = ''): string => `export default {
  regions: { 'us-east': {} },
  primaryRegion: 'us-east',
  tables: {
    currency: { kind: 'global' },
    purse: { kind: 'regional', by: 'account_id' },
    note: { kind: 'regional', by: 'account_id' },
  },
  ${changes}
};`;

interface Examination {
  readonly code: number | null;
  readonly findings: readonly Finding[];
  /** The lines of a check, as "failure: what → remedy". */
  readonly of: (check: string) => string;
}

describe('meridian doctor', () => {
  let directory: string;
  let number = 0;
  const runs: CommandRun[] = [];

  before(async () => {
    directory = await temporaryDirectory();
    await writeFiles(
      directory,
      Object.fromEntries(Object.entries(SCHEMA).map(([k, v]) => [`migrations/${k}`, v])),
    );
  });
  after(async () => {
    for (const run of runs.splice(0)) {
      run.signal('SIGINT');
      await run.ended;
    }
    assert.deepEqual(await processesOf(directory), [], 'nothing is left running');
    await rm(directory, { recursive: true, force: true });
  });

  /** A file of its own: modules are loaded once for each name. */
  const declare = async (text: string): Promise<string> => {
    const file = join(directory, `${String((number += 1))}.config.mjs`);
    await writeFile(file, text);
    return file;
  };
  const examine = async (file: string, uid?: number): Promise<Examination> => {
    const account = uid === undefined ? {} : { uid, gid: uid };
    const run = runMeridian(['doctor', '--json', '--config', file], account);
    const { code } = await run.ended;
    assert.equal(run.stderr(), '');
    const { findings, failures } = JSON.parse(run.stdout()) as {
      findings: Finding[];
      failures: number;
    };
    assert.equal(code, failures > 0 ? 1 : 0);
    const of = (check: string): string =>
      findings
        .filter((one) => one.check === check)
        .map((one) => `${one.status}: ${one.found}${one.status === 'ok' ? '' : ` → ${one.remedy}`}`)
        .join('\n');
    return { code, findings, of };
  };
  const taken = async (): Promise<{ readonly port: number; readonly close: () => void }> => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    return { port, close: () => server.close() };
  };

  test('a machine that is well gets no failure, and keeps no trace', async () => {
    const file = await declare(config(`gateway: { basePort: 0 }, app: { command: ['node'] },`));
    const names = async (): Promise<string[]> =>
      (await readdir(directory, { recursive: true })).sort();
    const found = await names();
    const { code, of } = await examine(file);
    assert.equal(code, 0);
    assert.match(of('engine-programs'), /^ok: PostgreSQL 18/);
    assert.match(of('engine-data'), /^ok: no data yet/);
    assert.match(of('app'), /^ok: .*node in /);
    assert.match(of('tables'), /^ok: 3/);
    assert.deepEqual(await names(), found);
  });

  test('taken port, missing program and folder, broken migrations, an open door: each with its remedy', async () => {
    const blocker = await taken();
    await mkdir(join(directory, 'odd', 'elsewhere'), { recursive: true });
    const file = await declare(
      config(`gateway: { listenAddress: '0.0.0.0', ports: { 'us-east': ${String(blocker.port)} } },
        migrations: './odd', tenantFence: false,
        app: { command: ['no-such-program'] }, traffic: { command: ['node'], directory: './nowhere' },`),
    );
    try {
      const { code, of } = await examine(file);
      assert.equal(code, 1);
      assert.match(
        of('ports'),
        new RegExp(`^failure: .*${String(blocker.port)} is taken by another`),
      );
      assert.match(of('app'), /^failure: there is no program no-such-program → Install it/);
      assert.match(of('traffic'), /^failure: there is no folder .*nowhere/);
      assert.match(of('migrations'), /^failure: odd\/elsewhere is neither/);
      assert.match(of('exposure'), /^warning/);
      assert.match(of('tenant-fence'), /^warning/);
    } finally {
      blocker.close();
    }
  });

  test('a broken configuration: every problem, and the machine all the same', async () => {
    const broken = config(`survive: 'region', gateway: { basePort: 'x' }, dataDirectory: 1,`);
    const { code, findings, of } = await examine(await declare(broken));
    assert.equal(code, 1);
    assert.match(
      of('configuration'),
      /^failure: .* 2 problems:[^]*gateway\.basePort[^]*dataDirectory|dataDirectory[^]*gateway\.basePort/,
    );
    assert.match(of('node'), /^ok/);
    assert.deepEqual(
      findings.filter(({ area }) => area === 'engine'),
      [],
    );
  });

  test('a data directory that is a file; one of another account, seen by an ordinary one', async () => {
    const file = await declare(config(`dataDirectory: './a-file',`));
    await writeFile(join(directory, 'a-file'), '');
    assert.match((await examine(file)).of('data-directory'), /^failure: .*is not a folder/);

    if (process.getuid?.() !== 0) {
      // Without root nothing can be given away: a folder of root's will do.
      const foreign = await declare(config(`dataDirectory: '/etc',`));
      assert.match((await examine(foreign)).of('data-directory'), /^failure: .*not writable/);
      return;
    }
    const hidden = join(directory, 'hidden');
    await mkdir(hidden, { mode: 0o700 });
    const inside = await declare(config(`dataDirectory: './hidden/data',`));
    assert.match(
      (await examine(inside, STRANGER)).of('data-directory'),
      /^failure: .*cannot be entered/,
    );
    // Root may enter, and servers, which are not root, go elsewhere by themselves.
    assert.match((await examine(inside)).of('engine-storage'), /^ok: \/var\/lib\/meridian\//);

    const nodes = join(directory, 'theirs', 'nodes');
    await mkdir(nodes, { recursive: true });
    await chown(nodes, 12_345, 12_345);
    const theirs = await declare(config(`dataDirectory: './theirs',`));
    assert.match((await examine(theirs)).of('engine-storage'), /^failure: .*belongs to uid 12345/);
    await chmod(join(directory, 'theirs'), 0o755);
    assert.match(
      (await examine(theirs, STRANGER)).of('data-directory'),
      /^failure: .*not writable/,
    );
  });

  test('beside the running platform; after it was killed; with its data damaged, or declared elsewhere', async () => {
    const reserved = await taken();
    reserved.close();
    const file = await declare(
      config(`gateway: { ports: { 'us-east': ${String(reserved.port)} } },`),
    );
    const up = runMeridian(['up', '--config', file]);
    runs.push(up);
    await up.printed(/Ready/);
    await writeFiles(directory, {
      'migrations/regional/0002_index.sql': 'CREATE INDEX note_body ON note (body);',
    });
    const beside = await examine(file);
    assert.equal(beside.code, 0);
    assert.match(
      beside.of('supervisor'),
      new RegExp(`^ok: the platform runs \\(process ${String(up.pid)}\\)`),
    );
    assert.match(beside.of('ports'), /^ok: .*held by this platform$/);
    assert.match(beside.of('locks'), /^warning: .*0002_index\.sql:1: CREATE INDEX .*CONCURRENTLY/);
    assert.match(beside.of('engine-data'), /^ok: data of 3 servers/);

    up.signal('SIGKILL');
    await up.ended;
    const claims = await readdir(join(directory, '.meridian', 'lock'));
    const killed = await examine(file);
    assert.match(
      killed.of('supervisor'),
      /^warning: \d+ processes of a killed run are left: .*us-east-1/,
    );
    assert.deepEqual(await readdir(join(directory, '.meridian', 'lock')), claims, 'only looked at');

    const moved = config(`survive: 'zone', groupsPerRegion: 2, rangesPerRegion: 3,`);
    const other = await examine(
      await declare(moved.replace(`'us-east': {}`, `'us-east': { zones: ['x', 'y', 'z'] }`)),
    );
    assert.match(other.of('engine-data'), /^failure: .*cannot move data/);

    await endStrays(join(directory, '.meridian', 'run', 'processes.jsonl'), {
      ...{ clock: systemClock, log: silentLog, how: () => 'SIGQUIT' },
    });
    assert.match((await examine(file)).of('supervisor'), /^ok: the platform does not run/);
    const dropNode = (name: string): Promise<void> =>
      rm(join(directory, '.meridian', 'nodes', name), { recursive: true });
    await dropNode('us-east-1.b');
    const one = await examine(file);
    assert.match(one.of('engine-data'), /^warning: the data of us-east-1\.b .*copies it anew/);
    assert.equal(one.code, 0);
    await dropNode('us-east-1.c');
    const two = await examine(file);
    assert.match(two.of('engine-data'), /^failure: .*us-east-1\.b and us-east-1\.c is gone, 2 of/);
    assert.equal(two.code, 1);
    await writeFile(join(directory, '.meridian', 'control.json'), '{"format":1,');
    assert.match((await examine(file)).of('data-documents'), /^failure: .*damaged/);
  });
});
