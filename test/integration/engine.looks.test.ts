/** Looks at servers: connections that are kept, and never tell of a server that is no more. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type pg from 'pg';
import { Looks } from '../../src/engines/postgres/looks.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { DESIRED } from '../unit/engine.fixtures.ts';
import { startEngineGroups, type EngineGroups } from '../support/engine-groups.ts';

const GROUP = 'us-east-1';
const NODE = 'us-east-1.a';
const ONE_GROUP = {
  ...DESIRED,
  groups: DESIRED.groups.filter((group) => group.name === GROUP),
  ranges: DESIRED.ranges.filter((range) => range.group === GROUP),
};

describe('looks at a server', () => {
  let groups: EngineGroups;
  let looks: Looks;

  before(async () => {
    groups = await startEngineGroups(ONE_GROUP);
    looks = new Looks(systemClock);
  });
  after(() => groups[Symbol.asyncDispose]());

  const pidOf = async (client: pg.Client): Promise<number> => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid ?? -1;
  };
  const look = (): Promise<number> => looks.look(groups.cluster.admin(NODE), pidOf);

  test('one after the other they share a connection; at once, each has its own', async () => {
    const first = await look();
    assert.equal(await look(), first);
    const together = await Promise.all([look(), look(), look()]);
    assert.equal(new Set(together).size, 3);
    assert.ok(together.includes(first));
    const pids = await groups.sql<{ pid: number }>(NODE, 'SELECT pid FROM pg_stat_activity');
    assert.ok(pids.some(({ pid }) => pid === first));
  });

  test('a kept connection ends by itself soon', async () => {
    const pid = await look();
    await waitUntil(systemClock, { what: 'its end', timeoutMs: 15_000 }, async () => {
      const text = 'SELECT FROM pg_stat_activity WHERE pid = $1';
      return (await groups.sql(NODE, text, [pid])).length === 0 ? true : undefined;
    });
  });

  test('one that failed is not used again, and its failure is told', async () => {
    const pid = await look();
    const asked = looks.look(groups.cluster.admin(NODE), (client) => client.query('SELECT 1 / 0'));
    await assert.rejects(asked, { code: 'ERR_ENGINE_STATEMENT' });
    assert.notEqual(await look(), pid);
  });

  test('a server that was replaced is asked anew; one that is gone does not answer', async () => {
    const pid = await look();
    await groups.stop(NODE, 'SIGKILL');
    await assert.rejects(look(), { code: 'ERR_ENGINE_UNAVAILABLE' });
    await groups.start(NODE);
    const second = await look();
    assert.notEqual(second, pid);
    // Its end may be noticed only when the connection is used.
    await groups.sql(NODE, 'SELECT pg_terminate_backend($1)', [second]);
    assert.notEqual(await look(), second);
  });

  test('a server that cannot be reached is not asked, kept connection or not', async () => {
    await look();
    const cut = { ...groups.cluster.admin(NODE), reachable: () => false };
    await assert.rejects(looks.look(cut, pidOf), { code: 'ERR_ENGINE_UNAVAILABLE' });
  });
});
