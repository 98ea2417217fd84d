/** Replicas copied anew from real servers under writes: whole or not at all. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAdmin } from '../../src/engines/postgres/admin.ts';
import { cloneNode } from '../../src/engines/postgres/backup/clone.ts';
import { readMarker } from '../../src/engines/postgres/initialise.ts';
import { makeSlotsOn } from '../../src/engines/postgres/slots.ts';
import { nodePaths } from '../../src/engines/postgres/storage.ts';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';
import { DESIRED } from '../unit/engine.fixtures.ts';
import { startEngineGroups, type EngineGroups } from '../support/engine-groups.ts';

const GROUP = 'us-east-1';
const ONE_GROUP = {
  ...DESIRED,
  groups: DESIRED.groups.filter((group) => group.name === GROUP),
  ranges: DESIRED.ranges.filter((range) => range.group === GROUP),
};
const LEADER = 'us-east-1.a';
const VOTER = 'us-east-1.b';
const OTHER_VOTER = 'us-east-1.c';

describe('a replica copied anew', () => {
  let groups: EngineGroups;
  let nonVoter: string;
  const stopWriting = new AbortController();
  let writing: Promise<void> = Promise.resolve();

  before(async () => {
    groups = await startEngineGroups(ONE_GROUP);
    const spec = groups.cluster.group(GROUP).spec;
    nonVoter = spec.nodes.find((node) => node.kind === 'non-voter')?.name ?? '';
    await groups.sql(
      LEADER,
      `CREATE TABLE bulk (id bigint PRIMARY KEY, body text);
       INSERT INTO bulk SELECT i, (SELECT string_agg(md5(i::text || j::text), '')
         FROM generate_series(1, 15) j) FROM generate_series(1, 30000) i;
       CREATE TABLE tally (id int PRIMARY KEY, n bigint);
       INSERT INTO tally SELECT i, 0 FROM generate_series(1, 200) i`,
    );
    writing = write();
  });
  after(async () => {
    stopWriting.abort();
    await writing;
    await groups[Symbol.asyncDispose]();
  });

  async function write(): Promise<void> {
    const client = await connectAdmin(groups.cluster.admin(LEADER));
    for (let turn = 1; !stopWriting.signal.aborted; turn += 1) {
      await client.query('UPDATE tally SET n = n + 1 WHERE id = 1 + $1::int % 200', [turn]);
      await client.query('UPDATE bulk SET body = body || $2 WHERE id = 1 + $1::int % 30000', [
        ...[turn * 7, String(turn % 10)],
      ]);
    }
    await client.end();
  }

  const exists = (path: string): Promise<boolean> =>
    access(path).then(
      () => true,
      () => false,
    );
  const sums = async (node: string): Promise<unknown> =>
    groups.sql(
      node,
      `SELECT (SELECT md5(string_agg(b::text, ',' ORDER BY id)) FROM bulk b) AS bulk,
              (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM tally t) AS tally`,
    );
  /** The leader in a transaction's snapshot, and the replica once it has replayed just that much. */
  const assertEqual = async (node: string): Promise<void> => {
    await groups.admin(LEADER, async (client) => {
      await client.query('BEGIN; LOCK TABLE bulk, tally IN SHARE MODE');
      const expected = await sums(LEADER);
      // Of a record of its own: the place where the next one would begin may be past a page's header.
      const { rows } = await client.query<{ at: string }>(
        `SELECT pg_logical_emit_message(false, 'test', '', true) AS at`,
      );
      await waitUntil(
        systemClock,
        { what: `${node} to replay`, timeoutMs: 20_000, intervalMs: 50 },
        async () => {
          const [seen] = await groups.sql<{ done: boolean }>(
            node,
            'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done',
            [rows[0]?.at],
          );
          return seen?.done === true ? true : undefined;
        },
      );
      assert.deepEqual(await sums(node), expected);
      await client.query('COMMIT');
    });
  };
  const streams = (node: string): Promise<true> =>
    waitUntil(systemClock, { what: `${node} to stream`, timeoutMs: 20_000 }, async () => {
      const rows = await groups.sql(
        node,
        `SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'`,
      );
      return rows.length === 1 ? true : undefined;
    });

  const rebuild = async (node: string, source: string): Promise<void> => {
    const { cluster, server } = groups;
    await groups.stop(node, 'SIGKILL');
    const told: { doneBytes: number; totalBytes: number | null }[] = [];
    const began = systemClock.monotonicMs();
    await cloneNode(server, {
      target: cluster.node(node).spec,
      source: cluster.admin(source),
      onProgress: (progress) => told.push(progress),
    });
    const copiedMs = systemClock.monotonicMs() - began;
    const last = told.at(-1);
    assert.ok(last !== undefined && last.doneBytes > 25e6, 'told how much');
    assert.ok(told.length > 20 && last.doneBytes <= (last.totalBytes ?? 0));
    assert.ok(told.every((one, index) => one.doneBytes >= (told[index - 1]?.doneBytes ?? 0)));
    assert.deepEqual(await readMarker(server.storage, node), {
      ...{ node, group: GROUP, postgres: '18' },
    });
    const upstream = cluster.upstreamOf(node);
    assert.ok(upstream !== undefined);
    await makeSlotsOn(cluster, upstream, [node]);
    await groups.start(node);
    await streams(node);
    const tookMs = Math.round(systemClock.monotonicMs() - began);
    process.stdout.write(
      `# ${node} from ${source}: ${(last.doneBytes / 1e6).toFixed(1)} MB, ` +
        `copied in ${copiedMs.toFixed(0)} ms, streaming after ${String(tookMs)} ms\n`,
    );
    const { partial, replaced } = nodePaths(server.storage, node);
    assert.deepEqual([await exists(partial), await exists(replaced)], [false, false]);
    await assertEqual(node);
  };

  test('a voter from the leader', () => rebuild(VOTER, LEADER));
  test('a voter from a standby', () => rebuild(VOTER, OTHER_VOTER));
  test('a non-voter from a standby', () => rebuild(nonVoter, OTHER_VOTER));
  test('a non-voter from the leader', () => rebuild(nonVoter, LEADER));

  test('given up in the middle, it leaves the old files as they were', async () => {
    const { cluster, server } = groups;
    await groups.stop(VOTER);
    const { partial, data } = nodePaths(server.storage, VOTER);
    const stop = new AbortController();
    let midway = false;
    const copying = cloneNode(server, {
      target: cluster.node(VOTER).spec,
      source: cluster.admin(OTHER_VOTER),
      signal: stop.signal,
      onProgress: ({ doneBytes }) => {
        if (doneBytes < 3e6 || midway) return;
        midway = true;
        stop.abort();
      },
    });
    await assert.rejects(copying, { code: 'ERR_ABORTED' });
    assert.ok(midway);
    assert.equal(await exists(partial), false);
    assert.ok(await exists(join(data, 'PG_VERSION')));
    assert.notEqual(await readMarker(server.storage, VOTER), undefined);
    await groups.start(VOTER);
    await streams(VOTER);
    await assertEqual(VOTER);
    await waitUntil(systemClock, { what: 'the backup to end', timeoutMs: 10_000 }, async () => {
      const rows = await groups.sql(
        OTHER_VOTER,
        `SELECT FROM pg_stat_replication WHERE application_name = 'meridian-backup'`,
      );
      return rows.length === 0 ? true : undefined;
    });
  });

  test('a source that dies in the middle leaves the old files as they were', async () => {
    const { cluster, server } = groups;
    await groups.stop(VOTER);
    let killed: Promise<void> | undefined;
    const copying = cloneNode(server, {
      target: cluster.node(VOTER).spec,
      source: cluster.admin(nonVoter),
      onProgress: ({ doneBytes }) => {
        if (doneBytes > 3e6) killed ??= groups.stop(nonVoter, 'SIGQUIT');
      },
    });
    await assert.rejects(copying, { code: 'ERR_ENGINE_UNAVAILABLE' });
    await killed;
    assert.notEqual(await readMarker(server.storage, VOTER), undefined);
    await Promise.all([groups.start(VOTER), groups.start(nonVoter)]);
    await streams(VOTER);
    await streams(nonVoter);
  });
});
