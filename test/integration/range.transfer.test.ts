/**
 * Accounts go from range to range while they are written to: nothing that was acknowledged is lost, nothing is
 * left behind, and nobody else's rows go along, whoever fails or dies meanwhile.
 */
import { after, afterEach, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { migration } from '../../src/conformance/schema.ts';
import { postgresAdapter } from '../../src/engines/postgres/adapter.ts';
import type { Connector } from '../../src/engines/connector.ts';
import type { WantedTransfer } from '../../src/engines/engine.ts';
import { present } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { regional } from '../../src/topology/locality.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

const RANGE = 'r0001';
const OTHER = 'near-1';

/** Keys that say nothing of the account, given out by a sequence, and references between rows. */
const ENTRY = migration(
  'regional',
  '0002_entry.sql',
  `CREATE TABLE entry (
     id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
     account_id text NOT NULL,
     ref bigint REFERENCES entry (id),
     twice bigint GENERATED ALWAYS AS (2 * ref) STORED,
     PRIMARY KEY (account_id, id)
   );
   INSERT INTO entry (account_id) VALUES ('seed');`,
);

describe('accounts are transferred', () => {
  let rig: GroupRig;
  let load: Acknowledged;
  let connector: Connector;
  let armed: { readonly at: string; readonly reached: () => Promise<void> | void } | undefined;

  before(async () => {
    rig = await startGroup('zone', {
      groups: 2,
      declare: (desired) => ({
        ...desired,
        tables: { ...desired.tables, entry: regional({ by: 'account_id' }) },
        regionalMigrations: [...desired.regionalMigrations, ENTRY],
      }),
      onPhase: (machine, phase) => {
        if (armed?.at !== `${machine} ${phase}`) return;
        const { reached } = armed;
        armed = undefined;
        return reached();
      },
    });
    await primary(`INSERT INTO meridian.account (id, range) VALUES
      ('anna', '${RANGE}'), ('anne', '${RANGE}'), ('bert', 'r0002'), ('cleo', 'r0003')`);
    await primary(`INSERT INTO ${RANGE}.item SELECT 'anne', n, n FROM generate_series(1, 50) n`);
    await primary(`INSERT INTO ${RANGE}.entry (account_id) SELECT 'anna' FROM generate_series(1, 9);
      INSERT INTO ${RANGE}.meridian_idempotency (account_id, key, fingerprint, expires_at)
      VALUES ('anna', 'k', 'f', now() + interval '1 day'), ('anne', 'k', 'f', now() + interval '1 day')`);
    load = new Acknowledged(rig);
    connector = postgresAdapter.connector({
      ...{ clock: systemClock, random: systemRandom, log: silentLog },
      ...{ applicationName: 'late', connectionsMax: 4, connectTimeoutMs: 1_000 },
      credentials: rig.engine.applicationCredentials(),
    });
    await load.nextAck();
  });
  after(async () => {
    await load[Symbol.asyncDispose]();
    await connector[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });
  afterEach(() => {
    armed = undefined;
  });

  const leaderOf = (group: string): string =>
    present(rig.engine.routes().groups[group]?.leader, `a leader of ${group}`);
  const primary = <R extends object>(text: string): Promise<R[]> =>
    rig.sql<R>(leaderOf(GROUP), text);
  const home = async (account: string): Promise<string> => {
    const rows = await primary<{ range: string }>(
      `SELECT range FROM meridian.account WHERE id = '${account}'`,
    );
    return rows[0]?.range ?? '';
  };
  const groupOf = (range: string): string => rig.engine.routes().ranges[range]?.group ?? 'nowhere';
  const made = (): string[] =>
    Object.keys(rig.engine.routes().ranges).filter((name) => name.startsWith('s'));
  const transfer = (wanted: WantedTransfer): Promise<string[]> =>
    performOn(rig, { transfers: [wanted] });
  const split = (...accounts: string[]): Promise<string[]> =>
    transfer({ kind: 'split', from: RANGE, accounts });

  /** Every row and key of the account is where the directory says, and no row of anybody else's came along. */
  const nothingLost = async (): Promise<void> => {
    await load.nextAck();
    const range = await home('anna');
    assert.equal(load.range, range);
    const leader = leaderOf(groupOf(range));
    assert.deepEqual(await load.missing(leader), []);
    const [row] = await rig.sql<{ entries: string; keys: string; others: string; next: boolean }>(
      leader,
      `SELECT (SELECT count(*) FROM ${range}.entry WHERE account_id = 'anna') AS entries,
         (SELECT count(*) FROM ${range}.meridian_idempotency WHERE account_id = 'anna') AS keys,
         (SELECT count(*) FROM ${range}.entry WHERE account_id = 'seed') AS others,
         (SELECT max(id) FROM ${range}.entry) <
           nextval(pg_get_serial_sequence('${range}.entry', 'id')) AS next`,
    );
    const others = range.startsWith('s') ? '0' : '1';
    assert.deepEqual(row, { entries: '9', keys: '1', others, next: true });
  };
  const nothingLeft = async (): Promise<void> => {
    const snapshot = await rig.snapshot();
    assert.deepEqual(snapshot.transfers, []);
    for (const group of [GROUP, OTHER]) {
      const rows = await rig.sql<{ what: string }>(
        leaderOf(group),
        `SELECT 'schema ' || n.nspname AS what FROM pg_namespace n WHERE n.nspname ~ '^[rs]0'
           AND NOT EXISTS (SELECT FROM meridian.range r WHERE r.name = n.nspname)
         UNION ALL SELECT 'range ' || name FROM meridian.range WHERE name LIKE 's%'
         UNION ALL SELECT 'migration of ' || scope FROM meridian.migration WHERE scope LIKE 's%'
         UNION ALL SELECT 'directory leads to ' || range FROM meridian.account WHERE range LIKE 's%'
         UNION ALL SELECT 'rows in ' || '${RANGE}' FROM meridian.account a WHERE a.id = 'anna'
           AND a.range <> '${RANGE}' AND '${group}' = '${GROUP}'
           AND EXISTS (SELECT FROM ${group === GROUP ? RANGE : 'r0003'}.item WHERE account_id = 'anna'
             AND a.range NOT IN ('r0001', 'r0003'))`,
      );
      assert.deepEqual(rows, [], group);
    }
    assert.deepEqual(made(), []);
  };
  const into = async (range: string, account: string): Promise<void> => {
    const from = await home(account);
    if (from === range) return;
    if (!made().includes(from)) await transfer({ kind: 'split', from, accounts: [account] });
    await transfer({ kind: 'merge', from: await home(account), into: range });
  };
  const back = async (): Promise<void> => {
    if (groupOf(await home('anna')) !== GROUP) {
      await transfer({ kind: 'rehome', accounts: ['anna'], to: GROUP });
    }
    await into(RANGE, 'anna');
  };

  test('into a range of their own, and back', async () => {
    assert.deepEqual(await split('anna'), ['name-carrier', 'carry', 'end']);
    const range = await home('anna');
    assert.match(range, /^s\d{4}$/);
    assert.equal(groupOf(range), GROUP);
    assert.equal(rig.engine.routes().ranges[range]?.made, true);
    await nothingLost();
    const [left] = await primary<{ n: string }>(
      `SELECT (SELECT count(*) FROM ${RANGE}.item WHERE account_id = 'anna')
         + (SELECT count(*) FROM ${RANGE}.entry WHERE account_id = 'anna')
         + (SELECT count(*) FROM ${RANGE}.meridian_idempotency WHERE account_id = 'anna') AS n`,
    );
    assert.equal(left?.n, '0');
    const [kept] = await primary<{ n: string }>(`SELECT count(*) AS n FROM ${RANGE}.item`);
    assert.equal(kept?.n, '50');
    const phases = await transfer({ kind: 'merge', from: range, into: RANGE });
    assert.deepEqual(phases, ['carry', 'remove', 'end']);
    await nothingLost();
    await nothingLeft();
  });

  test('to another group, and back, under load', async () => {
    load.longestGapMs = 0;
    for (const to of [OTHER, GROUP]) {
      const phases = await transfer({ kind: 'rehome', accounts: ['anna'], to });
      assert.deepEqual(phases, ['name-carrier', 'carry', 'move', 'carry', 'remove', 'end']);
      assert.equal(groupOf(await home('anna')), to);
      await nothingLost();
      await nothingLeft();
    }
    process.stderr.write(
      `# longest time without an acknowledged write: ${String(Math.round(load.longestGapMs))} ms\n`,
    );
    await back();
    await nothingLeft();
  });

  test('together, from several ranges and groups, and those who are there stay', async () => {
    await transfer({ kind: 'rehome', accounts: ['bert', 'anna', 'cleo', 'anne'], to: OTHER });
    for (const account of ['anna', 'anne', 'bert', 'cleo']) {
      assert.equal(groupOf(await home(account)), OTHER, account);
    }
    await nothingLost();
    await nothingLeft();
    const again = await rig.engine.perform(
      present(
        rig.engine.planWanted(
          { transfers: [{ kind: 'rehome', accounts: ['anna'], to: OTHER }] },
          await rig.snapshot(),
        )[0],
        'a step',
      ),
      rig.desired,
    );
    assert.equal(again.kind, 'already-done');
    await transfer({ kind: 'rehome', accounts: ['anne', 'bert'], to: GROUP });
    await back();
    await into(RANGE, 'anne');
    await nothingLost();
    await nothingLeft();
  });

  for (const first of ['before it has read anything', 'and has read its rows']) {
    test(`and a writer that had entered before, ${first}, is refused`, async () => {
      await back();
      await load.nextAck();
      const signal = AbortSignal.timeout(60_000);
      const tx = await connector.begin(present(load.target('write'), 'a route'), { signal });
      try {
        const text = first.includes('has read its')
          ? 'SELECT count(*) FROM item'
          : 'SELECT 1 AS entered';
        await tx.query(0, { text, values: [] });
        await split('anna');
        await assert.rejects(
          async () => {
            await tx.query(0, {
              text: "INSERT INTO item (account_id, id, amount) VALUES ('anna', -1, 1)",
              values: [],
            });
            await tx.commit();
          },
          { code: 'ERR_ENGINE_SERIALIZATION' },
        );
      } finally {
        await tx.rollback();
      }
      const [late] = await primary<{ n: string }>(
        `SELECT count(*) AS n FROM ${RANGE}.item WHERE account_id = 'anna'`,
      );
      assert.equal(late?.n, '0');
      await back();
      await nothingLost();
      await nothingLeft();
    });
  }

  test('and a replica that has not heard of its arrival says nothing of it', async () => {
    await back();
    await load.nextAck();
    const replica = present(
      rig.nodes.find(({ group, name }) => group === GROUP && name !== leaderOf(GROUP)),
      'a replica',
    ).name;
    const read = (): Promise<number> => load.readAt(replica);
    assert.ok((await read()) > 0);
    await split('anna');
    // It knows of the range that she goes to, where she never was, and not of her arrival.
    armed = {
      at: 'transfer carry',
      reached: async () => {
        await rig.sql(replica, 'SELECT pg_wal_replay_pause()');
      },
    };
    try {
      await transfer({ kind: 'merge', from: await home('anna'), into: 'r0002' });
      await load.nextAck();
      assert.equal(load.range, 'r0002');
      await assert.rejects(read(), { code: 'ERR_ENGINE_STALE_ROUTE' });
    } finally {
      await rig.sql(replica, 'SELECT pg_wal_replay_resume()');
    }
    await rig.until('the replica to know of it', async () => (await read().catch(() => 0)) > 0);
    await back();
    await nothingLost();
    await nothingLeft();
  });

  test('and rows that cannot be there turn it round, with the reason', async () => {
    await back();
    await split('anna');
    const range = await home('anna');
    // A key that both have been given since: that is what sequences of two ranges do.
    await primary(`INSERT INTO ${RANGE}.entry (id, account_id) OVERRIDING SYSTEM VALUE VALUES (900001, 'anne');
      INSERT INTO ${range}.entry (id, account_id) OVERRIDING SYSTEM VALUE VALUES (900001, 'anna')`);
    await assert.rejects(transfer({ kind: 'merge', from: range, into: RANGE }), {
      code: 'ERR_OPERATION_REFUSED',
      message: /0 of 1 accounts have arrived .*the same entry_id_key already/,
    });
    assert.equal(await home('anna'), range);
    await primary(`DELETE FROM ${range}.entry WHERE id = 900001;
      DELETE FROM ${RANGE}.entry WHERE id = 900001`);
    await transfer({ kind: 'merge', from: range, into: RANGE });
    await nothingLost();
    await nothingLeft();
  });

  test('and references between accounts keep them together', async () => {
    await back();
    await primary(`INSERT INTO ${RANGE}.entry (account_id, ref)
      SELECT 'anne', min(id) FROM ${RANGE}.entry WHERE account_id = 'anna'`);
    await assert.rejects(split('anna'), {
      code: 'ERR_OPERATION_REFUSED',
      message: /rows of entry refer to rows of entry that belong to other accounts/,
    });
    assert.equal(await home('anna'), RANGE);
    await nothingLost();
    await nothingLeft();
    await split('anna', 'anne');
    await transfer({ kind: 'merge', from: await home('anna'), into: RANGE });
    await primary(`DELETE FROM ${RANGE}.entry WHERE account_id = 'anne'`);
    await nothingLost();
    await nothingLeft();
  });

  test('and is refused with the reason: nobody of that name, somewhere else, declared, in another group', async () => {
    const refused = { code: 'ERR_OPERATION_REFUSED' };
    await assert.rejects(split('anna', 'nobody'), { code: 'ERR_ACCOUNT_NOT_FOUND' });
    await assert.rejects(split('anna', 'cleo'), { ...refused, message: /cleo is in r0003/ });
    await assert.rejects(transfer({ kind: 'merge', from: RANGE, into: 'r0002' }), {
      ...refused,
      message: /r0001 is declared/,
    });
    await assert.rejects(performOn(rig, { cancelTransfers: ['999'] }), refused);
    await primary(`CREATE TABLE ${RANGE}.loose AS SELECT 1 AS n`);
    await assert.rejects(split('anna'), { ...refused, message: /no account's, loose/ });
    await primary(`DROP TABLE ${RANGE}.loose`);
    await nothingLost();
    await nothingLeft();
  });

  for (const phase of ['carry', 'move']) {
    test(`and is cancelled, ${phase}`, async () => {
      await back();
      let cancelling: Promise<unknown> = Promise.resolve();
      armed = {
        at: `transfer ${phase}`,
        reached: async () => {
          const [under] = (await rig.snapshot()).transfers ?? [];
          cancelling = performOn(rig, { cancelTransfers: [under?.number ?? ''] });
          await systemClock.sleep(500);
        },
      };
      await assert.rejects(transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER }), {
        code: 'ERR_ABORTED',
      });
      await cancelling;
      assert.equal(groupOf(await home('anna')), GROUP);
      await nothingLost();
      await nothingLeft();
    });
  }

  for (const [group, phase] of [
    [GROUP, 'carry'],
    [GROUP, 'move'],
    [OTHER, 'move'],
    [OTHER, 'remove'],
  ] as const) {
    test(`and the leader of ${group} is killed, ${phase}`, async () => {
      await back();
      armed = { at: `transfer ${phase}`, reached: () => void rig.kill(leaderOf(group)) };
      await transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER });
      assert.equal(armed, undefined);
      assert.equal(groupOf(await home('anna')), OTHER);
      await nothingLost();
      await nothingLeft();
    });
  }

  const acts = ['name-carrier', 'carry', 'move', 'remove', 'end'].map((act) => `transfer ${act}`);
  for (const at of [...acts, 'move copying']) {
    test(`and the supervisor dies, ${at}`, async () => {
      await back();
      const reached = new Promise<void>((resolve) => {
        armed = {
          at,
          // From here on this life of the supervisor does nothing any more.
          reached: () => {
            resolve();
            return new Promise<never>(() => {});
          },
        };
      });
      transfer({ kind: 'rehome', accounts: ['anna'], to: OTHER }).catch(() => {});
      await reached;
      await rig.nextLife();
      await rig.until(
        'the transfer to go on by itself',
        async () => {
          const { transfers = [] } = await rig.snapshot();
          assert.ok(!transfers.some(({ cancelled }) => cancelled), 'it goes on');
          return transfers.length === 0;
        },
        60_000,
      );
      assert.equal(groupOf(await home('anna')), OTHER);
      await nothingLost();
      await nothingLeft();
    });
  }
});
