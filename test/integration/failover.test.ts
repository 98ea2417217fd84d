/** Failover of a group: what was acknowledged stays, whoever dies, and somebody leads again soon. */
import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { present } from '../../src/kernel/assert.ts';
import type { ObservedGroup } from '../../src/engines/snapshot.ts';
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { startGroup, type GroupRig } from '../support/group-rig.ts';

const LAYOUTS: readonly SurvivalGoal[] = ['zone', 'region'];

for (const survive of LAYOUTS) {
  describe(`failover with survive: '${survive}'`, () => {
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

    const voters = (): string[] =>
      rig.nodes.filter((node) => node.kind === 'voter').map((node) => node.name);
    const followers = (): [string, string] => {
      const [first, second] = voters().filter((name) => name !== rig.leader());
      return [present(first, 'a follower'), present(second, 'a follower')];
    };

    /** The group is open at a later epoch than it was, and writes are acknowledged. */
    const reopened = async (before: ObservedGroup): Promise<ObservedGroup> => {
      await rig.until('the group to be open again', () => {
        const now = rig.engine.routes().groups[before.name];
        return now?.leader !== undefined && now.epoch > before.epoch;
      });
      await load.nextAck();
      return rig.group();
    };

    /** Everything acknowledged is on the leader, and all copies are equal. */
    const nothingLost = async (): Promise<void> => {
      await rig.whole();
      await load.stop();
      assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
      assert.equal(new Set(await load.copies()).size, 1);
    };

    test('a leader that ends is started in place, at the next epoch', async () => {
      const before = await rig.group();
      rig.kill(before.leader ?? '');
      const after = await reopened(before);
      assert.equal(after.leader, before.leader);
      assert.equal(after.lastChange?.cause, 'died');
      await nothingLost();
    });

    test('a leader whose machine is down is succeeded, and is cloned when the machine returns', async () => {
      const before = await rig.group();
      const leader = before.leader ?? '';
      rig.down(leader);
      const after = await reopened(before);
      assert.notEqual(after.leader, leader);
      assert.equal((await rig.snapshot()).nodes[leader]?.repair?.phase, 'lost');
      rig.up(leader);
      await nothingLost();
      assert.equal((await rig.snapshot()).nodes[leader]?.role, 'follower');
    });

    test('a leader that hangs is ended and succeeded', async () => {
      const before = await rig.group();
      const leader = before.leader ?? '';
      rig.freeze(leader);
      const after = await reopened(before);
      assert.notEqual(after.leader, leader);
      assert.equal(after.lastChange?.cause, 'silent');
      await nothingLost();
    });

    test('a leader that is cut off serves no strong read once its successor is open', async () => {
      const before = await rig.group();
      const leader = before.leader ?? '';
      await rig.isolate(leader);
      await reopened(before);
      // As a client in its own zone would ask it, with the route that it still has.
      await assert.rejects(load.strongRead(leader, AbortSignal.timeout(2_000), before.epoch), {
        code: 'ERR_ENGINE_NO_NODE',
      });
      await rig.rejoin(leader);
      await nothingLost();
    });

    test('of two followers the more advanced one leads', async () => {
      const [first, second] = followers();
      const before = await rig.group();
      // One receives nothing for a while: everything is confirmed by the other alone.
      const [receiver] = await rig.sql<{ pid: number }>(
        second,
        'SELECT pid FROM pg_stat_wal_receiver',
      );
      process.kill(receiver?.pid ?? -1, 'SIGSTOP');
      await load.nextAck();
      await load.nextAck();
      rig.down(before.leader ?? '');
      // What hangs cannot be fenced, so nobody may be promoted: it may have confirmed what the other lacks.
      await rig.until('no quorum', async () => (await rig.group()).operation?.kind === 'no-quorum');
      process.kill(receiver?.pid ?? -1, 'SIGCONT');
      const after = await reopened(before);
      assert.equal(after.leader, first);
      rig.up(before.leader ?? '');
      await nothingLost();
    });

    test('with one of two followers gone nobody is promoted, and the leader goes on when it returns', async () => {
      const [first] = followers();
      const before = await rig.group();
      const leader = before.leader ?? '';
      rig.down(first);
      await load.nextAck();
      rig.down(leader);
      await rig.until('no quorum', async () => (await rig.group()).operation?.kind === 'no-quorum');
      assert.equal(rig.leader(), undefined);
      rig.up(leader);
      const after = await reopened(before);
      assert.equal(after.leader, leader);
      rig.up(first);
      await nothingLost();
    });

    test('after the leader and its successor the return of one of them is enough', async () => {
      const before = await rig.group();
      rig.down(before.leader ?? '');
      const between = await reopened(before);
      const successor = between.leader ?? '';
      rig.down(successor);
      // The third one is elected, and there is nobody to confirm that.
      await rig.until('somebody else is elected', async () => {
        const { phase } = (await rig.group()).operation ?? {};
        return phase === 'opening';
      });
      rig.up(successor);
      const after = await reopened(between);
      assert.ok(![before.leader, successor].includes(after.leader));
      rig.up(before.leader ?? '');
      await nothingLost();
    });

    test('the successor dies before the old leader is cloned: nothing is lost', async () => {
      const before = await rig.group();
      rig.down(before.leader ?? '');
      const between = await reopened(before);
      rig.down(between.leader ?? '');
      // Two of three are gone.
      await rig.until('no quorum', async () => (await rig.group()).operation !== undefined);
      rig.up(before.leader ?? '');
      rig.up(between.leader ?? '');
      await reopened(between);
      await nothingLost();
    });
  });
}
