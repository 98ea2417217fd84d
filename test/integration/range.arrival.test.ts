/** A range that accounts of another group have come to: whoever enters it knows where they were before. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { Connector } from '../../src/engines/connector.ts';
import { postgresAdapter } from '../../src/engines/postgres/adapter.ts';
import { present } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { parseToken } from '../../src/topology/position.ts';
import type { RoutedRange } from '../../src/topology/routing.ts';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

const OTHER = 'near-1';
const INTO = 'r0003';

describe('a range that accounts have come to', () => {
  let rig: GroupRig;
  let load: Acknowledged;
  let connector: Connector;

  before(async () => {
    rig = await startGroup('zone', { groups: 2 });
    const leader = present(rig.engine.routes().groups[GROUP]?.leader, 'a leader');
    await rig.sql(leader, `INSERT INTO meridian.account (id, range) VALUES ('anna', 'r0001')`);
    load = new Acknowledged(rig);
    connector = postgresAdapter.connector({
      ...{ clock: systemClock, random: systemRandom, log: silentLog },
      ...{ applicationName: 'reader', connectionsMax: 4, connectTimeoutMs: 1_000 },
      credentials: rig.engine.applicationCredentials(),
    });
    await load.nextAck();
  });
  after(async () => {
    await load[Symbol.asyncDispose]();
    await connector[Symbol.asyncDispose]();
    await rig[Symbol.asyncDispose]();
  });

  const routes = (): ReturnType<typeof rig.engine.routes> => rig.engine.routes();
  const route = (): Omit<RoutedRange, 'name'> => present(routes().ranges[INTO], INTO);
  const enter = async (epoch: number): Promise<void> => {
    const scopes = [{ range: { name: INTO, epoch }, account: 'anna' }];
    const target = { ...present(load.target('strong-read'), 'a route'), scopes };
    const tx = await connector.begin(target, { signal: AbortSignal.timeout(30_000) });
    try {
      await tx.query(0, { text: 'SELECT count(*) FROM item', values: [] });
    } finally {
      await tx.rollback();
    }
  };

  test('is not entered by a route from before, and its tokens tell where they were', async () => {
    const before = route();
    assert.equal(before.origins, undefined);
    await performOn(rig, { transfers: [{ kind: 'rehome', accounts: ['anna'], to: OTHER }] });
    await load.nextAck();
    assert.equal(load.range, INTO);
    const now = route();
    assert.ok(now.epoch > before.epoch, `${String(now.epoch)} after ${String(before.epoch)}`);
    const groups = parseToken(now.origins ?? '').map(({ group }) => group);
    assert.ok(groups.includes(GROUP), groups.join());
    await assert.rejects(enter(before.epoch), { code: 'ERR_ENGINE_STALE_ROUTE' });
    await enter(now.epoch);
  });

  test('keeps its epoch when accounts of its own group come: nobody has to hear of them', async () => {
    await performOn(rig, { transfers: [{ kind: 'split', from: INTO, accounts: ['anna'] }] });
    const [made] = present(
      Object.entries(routes().ranges).find(([, range]) => range.made),
      'a range',
    );
    const before = route();
    await performOn(rig, { transfers: [{ kind: 'merge', from: made, into: INTO }] });
    assert.deepEqual(route(), before);
    await load.nextAck();
    assert.deepEqual(
      await load.missing(present(rig.engine.routes().groups[OTHER]?.leader, OTHER)),
      [],
    );
  });
});
