/**
 * The supervisor dies at every phase of a failover, a switchover and a rebuild, with all its servers; the
 * next one starts from what is stored, converges, and has everything that was acknowledged.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, startGroup, type GroupRig } from '../support/group-rig.ts';

const FAILOVER = ['restarting', 'fencing', 'promoting', 'opening'];
const SWITCHOVER = ['preparing', 'closing', 'stopping', 'promoting', 'opening'];
const REBUILD = ['lost', 'excluding', 'copying', 'starting', 'catching-up'];

describe('the supervisor dies', () => {
  let rig: GroupRig;
  let load: Acknowledged;
  let armed: { readonly at: string; readonly reached: () => void } | undefined;

  before(async () => {
    rig = await startGroup('zone', {
      // From here on this life of the supervisor does nothing any more.
      onPhase: (machine, phase) => {
        if (armed?.at !== `${machine} ${phase}`) return;
        const { reached } = armed;
        armed = undefined;
        reached();
        return new Promise<never>(() => {});
      },
    });
    load = new Acknowledged(rig);
    await load.nextAck();
  });
  after(async () => {
    await load[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });

  const dieAt = async (at: string, begin: () => void): Promise<void> => {
    const reached = new Promise<void>((resolve) => {
      armed = { at, reached: resolve };
    });
    begin();
    await reached;
    for (const { name } of rig.nodes) rig.up(name);
    await rig.nextLife();
    await rig.whole(60_000);
    await load.nextAck();
    assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
  };
  const follower = (): string =>
    rig.nodes.find((node) => node.kind === 'voter' && node.name !== rig.leader())?.name ?? '';
  const ask = (wanted: Parameters<GroupRig['engine']['planWanted']>[0]): void => {
    const { engine, desired } = rig;
    void rig
      .snapshot()
      .then((seen) => {
        const steps = engine.planWanted(wanted, seen);
        return Promise.all(steps.map((step) => engine.perform(step, desired)));
      })
      // Whoever asked dies with it.
      .catch(() => {});
  };

  for (const phase of FAILOVER) {
    test(`in a failover, ${phase}`, async () => {
      await dieAt(`leadership ${phase}`, () => {
        rig.down(rig.leader() ?? '');
      });
    });
  }
  for (const phase of SWITCHOVER) {
    test(`in a switchover, ${phase}`, async () => {
      await dieAt(`leadership ${phase}`, () => {
        ask({ leaders: { [GROUP]: follower() } });
      });
    });
  }
  for (const phase of REBUILD) {
    test(`in a rebuild, ${phase}`, async () => {
      await dieAt(`rebuild ${phase}`, () => {
        ask({ rebuild: [follower()] });
      });
    });
  }
  test('and all copies are equal in the end', async () => {
    await load.stop();
    assert.equal(new Set(await load.copies()).size, 1);
  });
});
