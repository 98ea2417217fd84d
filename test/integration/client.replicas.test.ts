/** Replicas that say nothing: reads go elsewhere, and nobody's end waits for them. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { freeze } from '../support/node-signals.ts';

const GROUP = 'us-east-1';
const REPLICA = 'us-east-1.ap-south';

/** Of this process. */
function socketsTo(port: number | undefined): number {
  const { libuv } = process.report.getReport() as unknown as {
    libuv: readonly { type: string; remoteEndpoint?: { port: number } | null }[];
  };
  return libuv.filter((one) => one.type === 'tcp' && one.remoteEndpoint?.port === port).length;
}

describe('a replica that is stopped', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  let ap: TestClient;

  before(async () => {
    cluster = await startTestPlatform({ changes: () => ({ latency: 'off' }) });
    us = await cluster.connect('us-east');
    ap = await cluster.connect('ap-south');
  });
  after(() => cluster[Symbol.asyncDispose]());

  const open = async (id: string): Promise<string> => {
    await us.createAccount({ region: 'us-east', id });
    return id;
  };

  test('does not keep a read: another answers within a second, later ones at once', async () => {
    const id = await open('reader');
    await ap.locate(id);
    const read = async (): Promise<{ node: string; ms: number }> => {
      const startedAt = performance.now();
      const { node } = await ap.account(id).read((tx) => tx.query('SELECT 1'), {
        token: '',
        staleness: 60_000,
      });
      return { node, ms: performance.now() - startedAt };
    };
    const replicaAnswers = async (): Promise<void> => {
      const deadline = Date.now() + 20_000;
      while ((await read()).node !== REPLICA) assert.ok(Date.now() < deadline, 'it answers');
    };
    await replicaAnswers();
    const silent = ap.counters().replicasSilent;
    const thaw = await freeze(cluster, REPLICA);
    try {
      const first = await read();
      assert.notEqual(first.node, REPLICA);
      assert.ok(first.ms < 1_000, `${String(first.ms)} ms`);
      const later = await Promise.all([read(), read(), read()]);
      assert.ok(!later.some(({ node }) => node === REPLICA));
      assert.equal(ap.counters().replicasSilent, silent + 1, 'only the first waited for it');
      // The connection is kept for an answer that does not come; nobody's end waits for that.
      const startedAt = performance.now();
      await ap.close();
      const ms = performance.now() - startedAt;
      assert.ok(ms < 2_000, `closed in ${String(ms)} ms`);
      ap = await cluster.connect('ap-south');
    } finally {
      thaw();
    }
    await replicaAnswers();
  });

  test('does not keep a client from its end, whatever it owes it', async () => {
    const id = await open('leaver');
    const read = async (
      client: TestClient,
      meanwhile: () => Promise<void> = () => Promise.resolve(),
    ): Promise<string> => {
      const { node } = await client.account(id).read(
        async (tx) => {
          await tx.query('SELECT 1');
          await meanwhile();
        },
        { token: '', staleness: 60_000 },
      );
      return node;
    };
    const port = ap.control.view.groups[GROUP]?.nodes.find(({ name }) => name === REPLICA)?.address
      .port;
    const before = socketsTo(port);
    const [idle, ending] = [await cluster.connect('ap-south'), await cluster.connect('ap-south')];
    const deadline = Date.now() + 20_000;
    for (const client of [idle, ending]) {
      while ((await read(client)) !== REPLICA) assert.ok(Date.now() < deadline, 'it answers');
    }
    assert.ok(socketsTo(port) > before);
    let thaw = (): void => {};
    let held = (): void => {};
    const stopped = new Promise<void>((resolve) => (held = resolve));
    let leave = (): void => {};
    const using = read(idle, () => {
      held();
      return new Promise((resolve) => (leave = resolve));
    });
    await stopped;
    try {
      // It has all that was asked for; only the end of its transaction goes unanswered.
      const node = await read(ending, async () => {
        thaw = await freeze(cluster, REPLICA);
      });
      assert.equal(node, REPLICA);
      const closing = async (client: TestClient): Promise<void> => {
        const startedAt = performance.now();
        await client.close();
        const ms = performance.now() - startedAt;
        assert.ok(ms < 2_500, `closed in ${String(ms)} ms`);
      };
      // Given back while its pool is being ended.
      const inUse = closing(idle);
      leave();
      await Promise.all([inUse, closing(ending), using]);
      // The orderly end is given a second.
      const deadline = Date.now() + 5_000;
      while (socketsTo(port) > before) {
        assert.ok(Date.now() < deadline, 'no connection outlives its client');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      thaw();
    }
  });
});
