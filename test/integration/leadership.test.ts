/** What an operator asks of a group: a planned change of leader, a copy made anew, a recovery by force. */
import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

const LAYOUTS: readonly SurvivalGoal[] = ['zone', 'region'];

for (const survive of LAYOUTS) {
  describe(`operations with survive: '${survive}'`, () => {
    let rig: GroupRig;
    let load: Acknowledged;

    beforeEach(async () => {
      rig = await startGroup(survive);
      load = new Acknowledged(rig);
      await load.nextAck();
    });
    afterEach(async () => {
      await load[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
    });

    const followers = (): string[] =>
      rig.nodes
        .filter((node) => node.kind === 'voter' && node.name !== rig.leader())
        .map((node) => node.name);
    const nothingLost = async (): Promise<void> => {
      await rig.whole();
      await load.stop();
      assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
      assert.equal(new Set(await load.copies()).size, 1);
    };

    test('a switchover and the way back: nobody is cloned, nothing is lost', async () => {
      const first = rig.leader() ?? '';
      const [to = ''] = followers();
      load.longestGapMs = 0;
      const phases = await performOn(rig, { leaders: { [GROUP]: to } });
      await load.nextAck();
      process.stderr.write(`${survive}: switchover pause ${load.longestGapMs.toFixed(0)} ms\n`);
      assert.deepEqual(phases, [
        ...['preparing', 'closing', 'stopping', 'promoting', 'opening', 'open'],
      ]);
      assert.equal(rig.leader(), to);
      assert.equal((await rig.snapshot()).nodes[first]?.repair, undefined);
      await rig.whole();
      await performOn(rig, { leaders: { [GROUP]: first } });
      assert.equal(rig.leader(), first);
      await nothingLost();
    });

    test('what would not do is refused, and nothing has happened', async () => {
      const leader = rig.leader() ?? '';
      const before = await rig.group();
      const refused = { code: 'ERR_OPERATION_REFUSED' };
      await assert.rejects(performOn(rig, { leaders: { [GROUP]: 'nobody' } }), refused);
      await assert.rejects(performOn(rig, { rebuild: [leader] }), refused);
      await assert.rejects(performOn(rig, { recover: [GROUP] }), refused);
      const [first = ''] = followers();
      rig.down(first);
      await rig.until('the follower to be gone', async () => {
        return (await rig.snapshot()).nodes[first]?.role === 'down';
      });
      await assert.rejects(performOn(rig, { leaders: { [GROUP]: first } }), refused);
      rig.up(first);
      assert.equal((await rig.group()).epoch, before.epoch);
      await nothingLost();
    });

    test('a replica is cloned while writes go on, voter or not', async () => {
      const copies = [followers()[0] ?? '', rig.nodes.at(-1)?.name ?? ''];
      for (const node of new Set(copies)) {
        const phases = await performOn(rig, { rebuild: [node] });
        assert.ok(phases.includes('copying'), phases.join(' '));
        await load.nextAck();
      }
      await nothingLost();
    });
  });
}

test('a home region that is lost: told, and opened elsewhere once a person accepts the loss', async () => {
  await using rig = await startGroup('zone');
  await using load = new Acknowledged(rig);
  await load.nextAck();
  const voters = rig.nodes.filter((node) => node.kind === 'voter').map((node) => node.name);
  for (const name of voters) rig.down(name);
  await rig.until('the region to be told as lost', async () => {
    return (await rig.group()).operation?.kind === 'region-lost';
  });
  await performOn(rig, { recover: [GROUP] });
  const elsewhere = rig.leader() ?? '';
  assert.ok(!voters.includes(elsewhere));
  await load.strongRead(elsewhere, AbortSignal.timeout(5_000), (await rig.group()).epoch);
  // The region returns, and leads again.
  for (const name of voters) rig.up(name);
  await rig.whole(90_000);
  await load.stop();
  assert.equal(new Set(await load.copies()).size, 1);
});

test('a copy that was begun under another leader is thrown away', async () => {
  const phases: string[] = [];
  let leaves = (): Promise<void> => Promise.resolve();
  await using rig = await startGroup('zone', {
    onPhase: async (machine, phase) => {
      if (machine !== 'rebuild') return;
      phases.push(phase);
      if (phase === 'starting') await leaves();
    },
  });
  await using load = new Acknowledged(rig);
  await load.nextAck();
  const leader = rig.leader() ?? '';
  const follower = rig.nodes.find(({ kind, name }) => kind === 'voter' && name !== leader)?.name;
  leaves = async () => {
    leaves = () => Promise.resolve();
    rig.down(leader);
    // The other voter, and nobody to confirm it but the copy.
    await rig.until('a successor', async () => {
      return (await rig.group()).operation?.phase === 'opening';
    });
  };
  await performOn(rig, { rebuild: [follower ?? ''] }).catch(() => {});
  await load.nextAck();
  assert.notEqual(rig.leader(), leader);
  // Others that have to be copied anew since may have begun by now.
  const copied = phases.filter((phase) => ['copying', 'starting', 'catching-up'].includes(phase));
  assert.deepEqual(copied.slice(0, 5), [
    'copying',
    'starting',
    'copying',
    'starting',
    'catching-up',
  ]);
  rig.up(leader);
  await rig.whole(60_000);
  await load.stop();
  assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
  assert.equal(new Set(await load.copies()).size, 1);
});
