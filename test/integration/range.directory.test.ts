/**
 * Answers of the directory that are old, or were never put right because somebody died before: they lead to a range
 * that an account has left, wherever that range is by then. Nobody may find the account there without its rows.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { WantedTransfer } from '../../src/engines/engine.ts';
import { present } from '../../src/kernel/assert.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

const RANGE = 'r0001';
const OTHER = 'near-1';

describe('a range that an account has left', () => {
  let rig: GroupRig;
  let load: Acknowledged;
  let onCarry: (() => Promise<void>) | undefined;

  before(async () => {
    rig = await startGroup('zone', {
      groups: 2,
      onPhase: (machine, phase) =>
        `${machine} ${phase}` === 'transfer carry' ? onCarry?.() : undefined,
    });
    await primary(`INSERT INTO meridian.account (id, range) VALUES ('anna', '${RANGE}')`);
    load = new Acknowledged(rig);
    await load.nextAck();
  });
  after(async () => {
    await load[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });

  const leaderOf = (group: string): string =>
    present(rig.engine.routes().groups[group]?.leader, `a leader of ${group}`);
  const primary = <R extends object>(text: string): Promise<R[]> =>
    rig.sql<R>(leaderOf(GROUP), text);
  const groupOf = (range: string): string => rig.engine.routes().ranges[range]?.group ?? 'nowhere';
  const home = async (): Promise<string> => {
    const [row] = await primary<{ range: string }>(
      `SELECT range FROM meridian.account WHERE id = 'anna'`,
    );
    return row?.range ?? '';
  };
  const transfer = (wanted: WantedTransfer): Promise<string[]> =>
    performOn(rig, { transfers: [wanted] });
  const split = async (): Promise<string> => {
    await transfer({ kind: 'split', from: await home(), accounts: ['anna'] });
    return home();
  };
  const move = (to: string): Promise<string[]> => performOn(rig, { moves: { [RANGE]: to } });
  /** Whoever was told long ago that she is in the range is told where she is now, and finds her rows. */
  const foundByOldAnswer = async (): Promise<void> => {
    const range = await home();
    load.range = RANGE;
    // A write that was under way may be acknowledged before anybody has asked there.
    await load.nextAck();
    await rig.until('the word of where she is', () => load.range === range);
    await load.nextAck();
    const leader = leaderOf(groupOf(range));
    assert.deepEqual(await load.missing(leader), []);
    if (range === RANGE) return;
    const astray = await rig.sql(
      leaderOf(groupOf(RANGE)),
      `SELECT FROM ${RANGE}.item WHERE account_id = 'anna'`,
    );
    assert.equal(astray.length, 0);
  };

  test('tells so in the group that it has moved to', async () => {
    await split();
    await move(OTHER);
    await foundByOldAnswer();
  });

  test('and does not tell so any more where she has come back to it', async () => {
    // Here it was written down that she has left; where she comes back, that is taken back.
    await transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER });
    if ((await home()) !== RANGE) {
      const range = await split();
      await transfer({ kind: 'merge', from: range, into: RANGE });
    }
    assert.equal(await home(), RANGE);
    await move(GROUP);
    await foundByOldAnswer();
  });

  test('is not acted on for hers where the directory was never told, wherever it is', async () => {
    const range = await split();
    // As a death leaves it between the departure and the word of it; and then the range moves.
    await primary(`UPDATE meridian.account SET range = '${RANGE}' WHERE id = 'anna'`);
    await move(OTHER);
    load.range = RANGE;
    await load.nextAck();
    await rig.until('the word of where she is', () => load.range === range);
    await transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER });
    assert.equal(groupOf(await home()), OTHER);
    await foundByOldAnswer();
    await move(GROUP);
    await foundByOldAnswer();
  });

  test('and a transfer that is called off then leaves her where her rows are', async () => {
    await transfer({ kind: 'rehome', accounts: ['anna'], to: GROUP });
    const range = await split();
    await transfer({ kind: 'merge', from: range, into: RANGE }).catch(() => {});
    assert.equal(await home(), RANGE);
    const again = await split();
    await primary(`UPDATE meridian.account SET range = '${RANGE}' WHERE id = 'anna'`);
    const rehoming = transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER });
    await rig.until('it has begun', async () => (await rig.snapshot()).transfers?.length === 1);
    const [under] = (await rig.snapshot()).transfers ?? [];
    await Promise.allSettled([
      rehoming,
      performOn(rig, { cancelTransfers: [under?.number ?? ''] }),
    ]);
    assert.deepEqual((await rig.snapshot()).transfers, []);
    assert.notEqual(await home(), '');
    load.range = again;
    await load.nextAck();
    assert.deepEqual(await load.missing(leaderOf(groupOf(await home()))), []);
  });

  test('and accounts that were to come into a range that goes meanwhile come into another', async () => {
    await transfer({ kind: 'rehome', accounts: ['anna'], to: GROUP });
    if (groupOf(RANGE) !== OTHER) await move(OTHER);
    await split();
    let carries = 0;
    let gone: string | undefined;
    onCarry = async () => {
      carries += 1;
      // The first into the range that carries them, the second out of it.
      if (carries !== 2) return;
      onCarry = undefined;
      const [made] = Object.keys(rig.engine.routes().ranges).filter(
        (range) => range.startsWith('s') && groupOf(range) === OTHER,
      );
      assert.ok(made !== undefined);
      const at = Object.keys(rig.engine.routes().ranges).filter(
        (range) => range.startsWith('r') && groupOf(range) === OTHER,
      );
      assert.equal(at.length, 2);
      // Both are empty: the first would have taken them.
      gone = at.sort()[0] ?? '';
      await performOn(rig, { moves: { [gone]: GROUP } });
    };
    await transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER });
    onCarry = undefined;
    assert.equal(groupOf(gone ?? ''), GROUP);
    assert.equal(groupOf(await home()), OTHER);
    load.range = await home();
    await load.nextAck();
    assert.deepEqual(await load.missing(leaderOf(OTHER)), []);
  });

  test('and a range that somebody leaves, or comes into, is not moved meanwhile', async () => {
    await transfer({ kind: 'rehome', accounts: ['anna'], to: GROUP });
    const from = await home();
    let refusal: unknown;
    onCarry = async () => {
      onCarry = undefined;
      refusal = await performOn(rig, { moves: { [from]: OTHER } }).catch((error: unknown) => error);
    };
    await split();
    assert.match(String(refusal), /accounts are on their way from or to r000\d/);
  });
});
