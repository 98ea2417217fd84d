/**
 * A range goes to another group while it is written to: nothing that was acknowledged is lost, nothing of
 * it is left behind, whoever fails or dies meanwhile.
 */
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { present } from '../../src/kernel/assert.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

const RANGE = 'r0001';
const OTHER = 'near-1';
const WAY = [
  ...['settling', 'clearing', 'preparing', 'copying', 'catching-up', 'closing'],
  ...['handing-over', 'routing', 'verifying', 'cleaning'],
];

describe('a range moves', () => {
  let rig: GroupRig;
  let load: Acknowledged;
  let armed: { readonly at: string; readonly reached: () => Promise<void> | void } | undefined;

  before(async () => {
    rig = await startGroup('zone', {
      groups: 2,
      onPhase: (machine, phase) => {
        if (armed?.at !== `${machine} ${phase}`) return;
        const { reached } = armed;
        armed = undefined;
        return reached();
      },
    });
    load = new Acknowledged(rig);
    await load.nextAck();
  });
  after(async () => {
    await load[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });
  afterEach(() => {
    armed = undefined;
  });

  const placeOf = (range: string): string => rig.engine.routes().ranges[range]?.group ?? '';
  const leaderOf = (group: string): string =>
    present(rig.engine.routes().groups[group]?.leader, `a leader of ${group}`);
  const elsewhere = (): string => (placeOf(RANGE) === GROUP ? OTHER : GROUP);

  const leftovers = async (group: string): Promise<string[]> => {
    const rows = await rig.sql<{ what: string }>(
      leaderOf(group),
      `SELECT 'publication ' || pubname AS what FROM pg_publication WHERE pubname <> 'meridian_global'
       UNION ALL SELECT 'subscription ' || subname FROM pg_subscription WHERE subname NOT LIKE 'meridian_global%'
       UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE slot_name LIKE 'meridian_move%'
       UNION ALL SELECT 'marker ' || marker FROM meridian.move_marker
       UNION ALL SELECT 'trigger on ' || tgrelid::regclass FROM pg_trigger WHERE tgname = 'meridian_moved'
       UNION ALL SELECT 'closed ' || name FROM meridian.range WHERE state <> 'open'
       UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE n.nspname LIKE 'r0%'
         AND NOT EXISTS (SELECT FROM meridian.range r WHERE r.name = n.nspname)
       UNION ALL SELECT 'record of ' || scope FROM meridian.migration m WHERE scope <> 'database'
         AND NOT EXISTS (SELECT FROM meridian.range r WHERE r.name = m.scope)`,
    );
    return rows.map(({ what }) => `${group}: ${what}`);
  };
  const nothingLeft = async (): Promise<void> => {
    const left = [...(await leftovers(GROUP)), ...(await leftovers(OTHER))];
    assert.deepEqual(left, []);
    const snapshot = await rig.snapshot();
    assert.equal(snapshot.ranges[RANGE]?.move, undefined);
  };
  const nothingLost = async (): Promise<void> => {
    await load.nextAck();
    assert.deepEqual(await load.missing(leaderOf(placeOf(RANGE))), []);
  };

  test('there, and back, under load', async () => {
    for (const to of [OTHER, GROUP]) {
      const epoch = rig.engine.routes().ranges[RANGE]?.epoch ?? 0;
      const phases = await performOn(rig, { moves: { [RANGE]: to } });
      assert.deepEqual(phases, WAY);
      assert.equal(placeOf(RANGE), to);
      assert.equal(rig.engine.routes().ranges[RANGE]?.epoch, epoch + 1);
      await nothingLost();
      await nothingLeft();
    }
    process.stderr.write(
      `# longest time without an acknowledged write: ${String(Math.round(load.longestGapMs))} ms\n`,
    );
  });

  /** Resolves with the move's outcome; `at` its phase, `then` is done before the phase is. */
  const moveWith = async (
    at: string,
    then: () => Promise<void> | void,
  ): Promise<{ readonly from: string; readonly to: string; readonly phases: string[] }> => {
    const [from, to] = [placeOf(RANGE), elsewhere()];
    armed = { at: `move ${at}`, reached: then };
    const phases = await performOn(rig, { moves: { [RANGE]: to } });
    assert.equal(armed, undefined, `${at} was reached`);
    return { from, to, phases };
  };

  test('and everybody is told where to before it goes, to dial whoever will lead it', async () => {
    const goingTo = (): string | undefined => rig.engine.routes().ranges[RANGE]?.goingTo;
    for (const phase of ['catching-up', 'closing']) {
      let told: string | undefined;
      const { to } = await moveWith(phase, () => {
        told = goingTo();
      });
      assert.equal(told, to, phase);
      assert.equal(goingTo(), undefined);
    }
    await nothingLost();
  });

  for (const [side, phase, attempts] of [
    ['source', 'copying', 2],
    ['source', 'closing', 2],
    ['source', 'handing-over', 2],
    ['source', 'cleaning', 1],
    ['target', 'copying', 2],
    ['target', 'handing-over', 2],
    ['target', 'routing', 1],
    ['target', 'verifying', 1],
  ] as const) {
    test(`and its ${side} is killed, ${phase}`, async () => {
      const { to, phases } = await moveWith(phase, async () => {
        const group = side === 'source' ? placeOf(RANGE) : elsewhere();
        const before = rig.engine.routes().groups[group]?.epoch ?? 0;
        rig.kill(leaderOf(group));
        await rig.until(`${group} to open again`, () => {
          const now = rig.engine.routes().groups[group];
          return now?.leader !== undefined && now.epoch > before;
        });
      });
      assert.equal(placeOf(RANGE), to);
      assert.equal(phases.filter((one) => one === 'preparing').length, attempts);
      await nothingLost();
      await nothingLeft();
    });
  }

  for (const phase of ['copying', 'closing']) {
    test(`and is cancelled, ${phase}`, async () => {
      const [from, to] = [placeOf(RANGE), elsewhere()];
      let cancelling: Promise<unknown> = Promise.resolve();
      armed = {
        at: `move ${phase}`,
        reached: async () => {
          cancelling = performOn(rig, { cancelMoves: [RANGE] });
          // It has been asked for once it is planned and performed.
          await rig.until('the move to be cancelled', () => true);
          await new Promise((resolve) => setTimeout(resolve, 500));
        },
      };
      await assert.rejects(performOn(rig, { moves: { [RANGE]: to } }), {
        code: 'ERR_ABORTED',
        message: `the move of ${RANGE} was cancelled: it is in ${from}`,
      });
      await cancelling;
      assert.equal(placeOf(RANGE), from);
      await nothingLost();
      await nothingLeft();
    });
  }

  test('and is refused with the reason: no such range, no way to follow a table, the last of its group', async () => {
    const refused = { code: 'ERR_OPERATION_REFUSED' };
    const [from, to] = [placeOf(RANGE), elsewhere()];
    await assert.rejects(performOn(rig, { moves: { r9999: to } }), refused);
    await assert.rejects(performOn(rig, { cancelMoves: [RANGE] }), refused);
    const last = Object.entries(rig.engine.routes().ranges).find(([, { group }]) => group === to);
    await assert.rejects(performOn(rig, { moves: { [last?.[0] ?? '']: from } }), {
      ...refused,
      message: /is the only range of/,
    });
    await rig.sql(leaderOf(from), `CREATE TABLE ${RANGE}.loose (account_id text)`);
    await assert.rejects(performOn(rig, { moves: { [RANGE]: to } }), {
      ...refused,
      message: /has a table without a primary key, loose/,
    });
    await rig.sql(leaderOf(from), `DROP TABLE ${RANGE}.loose`);
    assert.equal(placeOf(RANGE), from);
    await nothingLost();
    await nothingLeft();
  });

  test('and a difference is told; what was there is kept', async () => {
    const { from, to } = { from: placeOf(RANGE), to: elsewhere() };
    armed = {
      at: 'move closing',
      // What replication would never do.
      reached: async () => {
        const table = `${RANGE}.item`;
        await rig.sql(
          leaderOf(to),
          `UPDATE ${table} SET amount = 7 WHERE id = (SELECT min(id) FROM ${table})`,
        );
      },
    };
    await assert.rejects(performOn(rig, { moves: { [RANGE]: to } }), {
      code: 'ERR_RANGE_DIFFERS',
      message: new RegExp(`other rows than it had in ${from}: ${RANGE}.item$`),
    });
    assert.equal(placeOf(RANGE), to);
    const left = [...(await leftovers(from)), ...(await leftovers(to))];
    assert.deepEqual(left, [
      `${from}: trigger on ${RANGE}.item`,
      `${from}: trigger on ${RANGE}.meridian_idempotency`,
      `${from}: closed ${RANGE}`,
    ]);
    // The next move back takes its place.
    await performOn(rig, { moves: { [RANGE]: from } });
    await nothingLost();
    await nothingLeft();
  });

  for (const phase of WAY) {
    test(`and the supervisor dies, ${phase}`, async () => {
      const to = elsewhere();
      const reached = new Promise<void>((resolve) => {
        armed = {
          at: `move ${phase}`,
          // From here on this life of the supervisor does nothing any more.
          reached: () => {
            resolve();
            return new Promise<never>(() => {});
          },
        };
      });
      performOn(rig, { moves: { [RANGE]: to } }).catch(() => {});
      await reached;
      await rig.nextLife();
      await rig.until(
        'the move to go on by itself',
        async () => {
          const { [RANGE]: range } = (await rig.snapshot()).ranges;
          return range?.group === to && range.move === undefined;
        },
        60_000,
      );
      await nothingLost();
      await nothingLeft();
    });
  }
});
