/** The guide "A first application", followed to the letter: its files, its commands, its answers. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { runMeridian, type CommandRun } from '../support/command.ts';
import { temporaryDirectory, writeFiles } from '../support/cluster.ts';
import { blocksIn } from '../support/guides.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const shell = promisify(execFile);

describe('the guide to a first application', () => {
  let directory: string;
  let run: CommandRun;
  let gateways: Readonly<Record<string, string>>;
  let commands: readonly string[];

  before(async () => {
    directory = await temporaryDirectory();
    const blocks = blocksIn(await readFile(join(ROOT, 'docs/guides/first-application.md'), 'utf8'));
    const files = blocks.flatMap(({ info, text }) => {
      const name = /\bfile=(\S+)/.exec(info)?.[1];
      return name === undefined ? [] : [[name, text] as const];
    });
    commands = blocks.filter(({ info }) => info === 'sh run').map(({ text }) => text);
    // What `npm init` and `npm install meridian` leave.
    await writeFiles(directory, {
      'package.json': JSON.stringify({ name: 'notebook', type: 'module' }),
      ...Object.fromEntries(files),
    });
    await mkdir(join(directory, 'node_modules'));
    await symlink(ROOT, join(directory, 'node_modules', 'meridian'));
    // The one departure: free ports, since others may use the default ones on this machine.
    const config = join(directory, 'meridian.config.ts');
    const declared = await readFile(config, 'utf8');
    assert.match(declared, /gateway: \{ account/);
    await writeFiles(directory, {
      'meridian.config.ts': declared.replace('gateway: { ', 'gateway: { basePort: 0, '),
    });
    run = runMeridian(['up', '--json'], { cwd: directory });
    await run.printed(/"ready":/);
    const ready = JSON.parse(run.stdout().split('\n')[0] ?? '') as {
      ready: { gateways: Readonly<Record<string, string>> };
    };
    gateways = ready.ready.gateways;
  });

  after(async () => {
    run.signal('SIGINT');
    await run.ended;
    await rm(directory, { recursive: true, force: true });
  });

  const follow = async (block: number): Promise<string> => {
    const ports = Object.keys(gateways).map((region, index) => [8081 + index, region] as const);
    const script = ports.reduce(
      (text, [port, region]) =>
        text.replaceAll(`http://127.0.0.1:${String(port)}`, gateways[region] ?? ''),
      commands[block] ?? '',
    );
    assert.notEqual(script, '');
    const { stdout } = await shell('sh', ['-e', '-c', script], { cwd: directory });
    return stdout;
  };

  test('a subject, an account and a note', async () => {
    const [subject, account, note] = (await follow(0)).trim().split('\n');
    assert.deepEqual(JSON.parse(subject ?? ''), { code: 'sea', title: 'The sea' });
    assert.equal((JSON.parse(account ?? '') as { homeRegion: string }).homeRegion, 'eu-west');
    assert.match((JSON.parse(note ?? '') as { id: string }).id, /^[0-9a-f-]{36}$/);
  });

  test('read in Asia with the token: from the replica there, as the guide prints it', async () => {
    const answer = JSON.parse(await follow(1)) as { notes: unknown; node: string };
    assert.deepEqual(answer.notes, [{ title: 'The sea', body: 'Grey today.' }]);
    assert.match(answer.node, /^eu-west-1\./);
  });

  test('a write from Asia is served in Europe', async () => {
    const answer = await follow(2);
    assert.match(answer, /^HTTP\/1\.1 201/);
    assert.match(answer, /^meridian-served-by: eu-west\.0/im);
  });
});
