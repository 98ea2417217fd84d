/** A changed file is put into force by a command, on the platform that a person has started. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatusReport } from '../../src/control/status.ts';
import { SCHEMA, temporaryDirectory, writeFiles } from '../support/cluster.ts';
import { processesOf, runMeridian, type CommandRun } from '../support/command.ts';

const configOf = (regions: readonly string[], more = ''): string => `export default {
  regions: { ${regions.map((name) => `'${name}': {}`).join(', ')} },
  primaryRegion: 'us-east',
  latency: { scale: 0.1 },
  tables: {
    currency: { kind: 'global' },
    purse: { kind: 'regional', by: 'account_id' },
    note: { kind: 'regional', by: 'account_id' },
  },
  gateway: { ports: { ${regions.map((name) => `'${name}': 0`).join(', ')} } },
  ${more}
};`;

describe('meridian apply', () => {
  let directory: string;
  let up: CommandRun;
  const file = (): string => join(directory, 'meridian.config.mjs');
  const declare = (regions: readonly string[], more?: string): Promise<void> =>
    writeFile(file(), configOf(regions, more));
  const meridian = async (
    ...args: string[]
  ): Promise<{ code: number | null; out: string; err: string }> => {
    const run = runMeridian([...args, '--config', file()]);
    const { code } = await run.ended;
    return { code, out: run.stdout(), err: run.stderr() };
  };
  const regionsOf = async (): Promise<readonly string[]> => {
    const { out } = await meridian('status', '--json');
    return (JSON.parse(out) as StatusReport).regions.map(({ name }) => name);
  };

  before(async () => {
    directory = await temporaryDirectory();
    await writeFiles(
      directory,
      Object.fromEntries(Object.entries(SCHEMA).map(([k, v]) => [`migrations/${k}`, v])),
    );
    await declare(['us-east', 'eu-west']);
    up = runMeridian(['up', '--config', file()]);
    await up.printed(/Ready/);
  });
  after(async () => {
    up.signal('SIGINT');
    const { code } = await up.ended;
    assert.equal(code, 0, up.stderr());
    assert.deepEqual(await processesOf(directory), [], 'nothing is left running');
    await rm(directory, { recursive: true, force: true });
  });

  test('of what is in force does nothing', async () => {
    const { code, out } = await meridian('apply');
    assert.deepEqual([code, out], [0, 'Nothing would change: it is placed as declared.\n']);
  });

  test('of what cannot be done says why, and does nothing', async () => {
    await declare(['us-east', 'eu-west'], `survive: 'zone', primaryRegion: 'eu-west',`);
    const { code, out } = await meridian('apply');
    assert.equal(code, 1);
    assert.match(out, /^This cannot be done:\n {2}the global tables and the directory/);
    assert.doesNotMatch(up.stdout(), /Stopping/);
  });

  test('of a file without a region drains it, and begins again without it', async () => {
    await declare(['us-east']);
    const { code, out, err } = await meridian('apply', '--json');
    assert.equal(code, 0, out + err);
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string; phase?: string });
    assert.deepEqual(
      events.map(({ kind, phase }) => phase ?? kind),
      ['begun', 'begun: drain eu-west', 'ended: drain eu-west', 'restarting', 'ended'],
    );
    assert.match(up.stdout(), /Stopping, to start with the changed configuration\./);
    assert.deepEqual(await regionsOf(), ['us-east']);
    assert.equal((await meridian('plan', '--check')).code, 0);
  });

  test('of a file with another brings it in, and tells a person what it does', async () => {
    await declare(['us-east', 'ap-south']);
    const { code, out, err } = await meridian('apply');
    assert.equal(code, 0, out + err);
    assert.match(out, /^To be done:\n {2}1\. ap-south begins/);
    assert.match(out, /In force after [\d.]+ s\.\n$/);
    assert.deepEqual(await regionsOf(), ['us-east', 'ap-south']);
  });
});
