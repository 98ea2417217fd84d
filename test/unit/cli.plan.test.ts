/** `meridian plan` against a real control server, with what is there on paper. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { declaredPlacement } from '../../src/config/resolve.ts';
import { startControlServer, type ControlServer } from '../../src/control/feed-server.ts';
import type { PlacementFacts, PlacementQuestion } from '../../src/control/placement.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { layoutGroups } from '../../src/topology/survival.ts';
import { run } from './cli.rig.ts';

const CONFIG = `primaryRegion: 'us', tables: {},
  statements: { all: 'SELECT 1' }, prices: { otherPerGigabyte: 1 } };`;

describe('meridian plan', () => {
  let folder = '';
  let server: ControlServer;
  let asked: PlacementQuestion | undefined;
  let facts: PlacementFacts;
  let sound: PlacementFacts;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-plan-'));
    const file = join(folder, 'meridian.config.mjs');
    await writeFile(file, `export default { regions: { us: {}, eu: {} }, ${CONFIG}`);
    await writeFile(
      join(folder, 'more.mjs'),
      `export default { regions: { us: {}, eu: {}, ap: {} }, ${CONFIG}`,
    );
    const declared = declaredPlacement(await loadConfig({ folder }));
    const groups = layoutGroups(declared);
    sound = {
      ...{ declared, traffic: null, startMs: 9_000, missing: [] },
      schema: { tables: [], statements: [] },
      logBytesPerDay: { 'us-1': 5e9, 'eu-1': 1e9 },
      ranges: groups.map(({ name, homeRegion }, at) => ({
        ...{ range: `r000${String(at + 1)}`, group: name, homeRegion, declaredIn: name },
        ...{ accounts: 3, bytes: 2e9 },
      })),
    };
    const status = {
      groups: groups.map(({ name, nodes }) => ({ name, leader: nodes[0]?.name, ranges: [] })),
      nodes: groups.flatMap(({ name: group, nodes }) =>
        nodes.map(({ name, kind, locality }, at) => ({
          ...{ name, kind, group, region: locality.region },
          state: at === 0 ? 'leader' : 'streaming',
        })),
      ),
    } as unknown as StatusReport;
    const unused = (): never => {
      throw new Error('not asked for');
    };
    server = await startControlServer({
      ...{ host: '127.0.0.1', port: 0, token: 'sesame', clock: systemClock, log: silentLog },
      ...{ hello: unused, view: unused, activity: unused, restart: unused },
      status: () => status,
      placement: (question) => {
        asked = question;
        return Promise.resolve(facts);
      },
    });
    await mkdir(join(folder, '.meridian', 'run'), { recursive: true });
    const control = { url: server.url, token: 'sesame', pid: process.pid };
    await writeFile(join(folder, '.meridian', 'run', 'control.json'), JSON.stringify(control));
  });
  beforeEach(() => {
    facts = sound;
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const call = async (...args: string[]): Promise<{ code: number; out: string }> => {
    const command = run(['plan', ...args], { cwd: folder });
    const code = await command.code;
    return { code, out: command.out() };
  };

  test('says that nothing would change, and passes a check', async () => {
    const { code, out } = await call('--check');
    assert.equal(code, 0, out);
    assert.match(out, /^Nothing would change/);
    assert.deepEqual(asked, { statements: { all: 'SELECT 1' } });
  });

  test('says what a region would bring, and what it costs', async () => {
    const { code, out } = await call('-c', 'more.mjs', '--check');
    assert.equal(code, 0, out);
    assert.match(out, /1\. ap begins: 5 database servers/);
    assert.match(out, /2\. copies .*: us-1\.ap, eu-1\.ap \(3\.7 GiB\)/);
    assert.match(out, /4\.00 USD/);
    // The log of each of the two groups goes to two other regions, instead of one.
    assert.match(out, /every day, .*: 5\.6 GiB \(6\.00 USD\) now, 11\.2 GiB \(12\.00 USD\) then\./);
    assert.match(out, /about 9(\.0)? s/);
    assert.match(out, /^ {2}ap .*100 ms → 0\.0 ms/m);
  });

  test('says when it is too early to know what is written, and passes a check', async () => {
    facts = { ...sound, logBytesPerDay: null };
    const { code, out } = await call('-c', 'more.mjs', '--check');
    assert.match(out, /Replicated every day: known half a minute after the start\./);
    assert.equal(code, 0, out);
  });

  test('does not pass a check with what is refused, wrong, otherwise, or not known', async () => {
    const wrong = { name: 'all', failure: 'no', reads: [], writes: [], scattered: [] };
    const amiss: readonly (readonly [PlacementFacts, RegExp])[] = [
      [{ ...sound, declared: { ...sound.declared, primaryRegion: 'eu' } }, /cannot be done/],
      [{ ...sound, schema: { tables: [], statements: [wrong] } }, /WRONG {2}statements\.all: .*no/],
      [
        {
          ...sound,
          ranges: (sound.ranges ?? []).map((range) => ({ ...range, declaredIn: null })),
        },
        /r0001 was split off/,
      ],
      [
        { ...sound, schema: null, missing: ['the schema: us-1 is not open'] },
        /Not known\n.*schema/,
      ],
    ];
    for (const [what, said] of amiss) {
      facts = what;
      const { code, out } = await call('--check');
      assert.match(out, said);
      assert.equal(code, 1, out);
      assert.equal((await call()).code, 0);
    }
  });

  test('is an object for machines', async () => {
    const { out } = await call('-c', 'more.mjs', '--json');
    const plan = JSON.parse(out) as { steps: { kind: string }[]; cost: { amount: number } };
    assert.deepEqual(
      plan.steps.map(({ kind }) => kind),
      ['add-region', 'add-copies'],
    );
    assert.equal(plan.cost.amount, 4);
  });
});
