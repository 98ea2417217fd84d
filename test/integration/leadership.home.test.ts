/**
 * A group that was recovered by force in other regions comes home: one switchover makes its declared voters
 * the voters again, nothing that was acknowledged since is lost, and it survives the supervisor's death.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { shapeFor } from '../../src/conformance/schema.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

const DECLARED = ['home-1.a', 'home-1.b', 'home-1.c'];
const HOME = 'home-1.a';
/** Who is left, and so votes, after the loss: alone, or two that confirm to each other. */
const LEFT: readonly (readonly string[])[] = [['near'], ['near', 'far']];

/** Its home region lost, opened elsewhere, and the region back with fresh copies. */
async function abroad(rig: GroupRig): Promise<string> {
  for (const name of DECLARED) rig.down(name);
  await rig.until('the region to be told as lost', async () => {
    return (await rig.group()).operation?.kind === 'region-lost';
  });
  await performOn(rig, { recover: [GROUP] });
  for (const name of DECLARED) rig.up(name);
  await rig.whole(90_000);
  return rig.leader() ?? '';
}

/** What stands on every server is what the declaration says. */
async function asDeclared(rig: GroupRig): Promise<void> {
  const leader = rig.leader() ?? '';
  assert.ok(DECLARED.includes(leader), leader);
  assert.equal((await rig.group()).recoveredVoters, undefined);
  for (const { name, kind } of rig.nodes) {
    const [row] = await rig.sql<{ names: string }>(
      name,
      `SELECT current_setting('synchronous_standby_names') AS names`,
    );
    const others = DECLARED.filter((one) => one !== name).map((one) => `"${one}"`);
    assert.equal(row?.names, kind === 'voter' ? `ANY 1 (${others.join(', ')})` : '', name);
  }
  const follow = await rig.sql<{ name: string; state: string }>(
    leader,
    `SELECT application_name AS name, sync_state AS state FROM pg_stat_replication
     WHERE application_name LIKE 'home-1%' ORDER BY 1`,
  );
  const followers = DECLARED.filter((one) => one !== leader);
  assert.deepEqual(
    follow,
    followers.map((name) => ({ name, state: 'quorum' })),
  );
}

for (const left of LEFT) {
  const regions = ['home', ...left].map((name) => ({ name, zones: ['a', 'b', 'c'] }));
  const shape = { ...shapeFor('zone'), regions };

  test(`home from ${left.join(' and ')}`, async () => {
    await using rig = await startGroup('zone', { shape });
    await using load = new Acknowledged(rig);
    await load.nextAck();
    const first = await abroad(rig);
    await load.nextAck();
    assert.deepEqual(
      (await rig.group()).recoveredVoters,
      left.map((region) => `home-1.${region}`).sort(),
    );
    // What was acknowledged before, the person has given up.
    load.acked.clear();
    await load.nextAck();
    load.longestGapMs = 0;
    await performOn(rig, { leaders: { [GROUP]: HOME } });
    await load.nextAck();
    process.stderr.write(`${left.join(' and ')}: pause ${load.longestGapMs.toFixed(0)} ms\n`);
    assert.equal(rig.leader(), HOME);
    await rig.whole();
    assert.equal((await rig.snapshot()).nodes[first]?.repair, undefined, 'it was not cloned');
    await asDeclared(rig);
    await load.stop();
    assert.deepEqual(await load.missing(HOME), []);
    assert.equal(new Set(await load.copies()).size, 1);
    // What is stored says the same.
    await rig.nextLife();
    await rig.whole();
    await asDeclared(rig);
  });
}

test('on the way home the supervisor dies at every phase, and servers are lost', async () => {
  let armed: { readonly phase: string; readonly act: () => Promise<void> } | undefined;
  await using rig = await startGroup('zone', {
    onPhase: (_machine, phase) => {
      if (armed?.phase !== phase) return;
      const { act } = armed;
      armed = undefined;
      return act();
    },
  });
  await using load = new Acknowledged(rig);
  const converged = async (): Promise<void> => {
    await rig.whole(60_000);
    await load.nextAck();
    assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
  };
  const dieAt = async (phase: string): Promise<void> => {
    const reached = new Promise<void>((resolve) => {
      // From here on this life of the supervisor does nothing any more.
      const act = (): Promise<never> => {
        resolve();
        return new Promise(() => {});
      };
      armed = { phase, act };
    });
    // Whoever asked dies with it.
    void performOn(rig, { leaders: { [GROUP]: HOME } }).catch(() => {});
    await reached;
  };
  const leave = async (): Promise<string> => {
    const first = await abroad(rig);
    load.acked.clear();
    await load.nextAck();
    return first;
  };
  const first = await leave();
  // No second voter would have what the old leader ships at its end: it stays the leader.
  const seconds = DECLARED.filter((name) => name !== HOME);
  const freeze = async (): Promise<void> => {
    for (const name of seconds) rig.freeze(name);
  };
  armed = { phase: 'stopping', act: freeze };
  await assert.rejects(performOn(rig, { leaders: { [GROUP]: HOME } }), {
    code: 'ERR_OPERATION_REFUSED',
  });
  for (const name of seconds) rig.thaw(name);
  await converged();
  assert.equal(rig.leader(), first);
  // The successor is not written down yet: the old leader comes back, with its voters.
  for (const phase of ['preparing', 'closing', 'stopping']) {
    await dieAt(phase);
    await rig.nextLife();
    await converged();
    assert.equal(rig.leader(), first, phase);
    assert.notEqual((await rig.group()).recoveredVoters, undefined, phase);
  }
  // It is, and goes on.
  for (const phase of ['promoting', 'opening']) {
    await dieAt(phase);
    await rig.nextLife();
    await converged();
    assert.equal(rig.leader(), HOME, phase);
    await asDeclared(rig);
    await leave();
  }
  // Its successor is lost with the supervisor: another of the new voters has everything.
  await dieAt('promoting');
  rig.down(HOME);
  const life = rig.nextLife();
  await rig.until('another to lead', () => ['home-1.b', 'home-1.c'].includes(rig.leader() ?? ''));
  await load.nextAck();
  assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
  rig.up(HOME);
  await life;
  await converged();
  await asDeclared(rig);
  await load.stop();
  assert.equal(new Set(await load.copies()).size, 1);
});
