/** The configuration of one server: who confirms its commits, whom it streams from, how text is quoted. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { EngineServices } from '../../src/engines/engine.ts';
import { settleFollowers } from '../../src/engines/postgres/arbiter/following.ts';
import type { GroupArbiter } from '../../src/engines/postgres/arbiter/group-arbiter.ts';
import { GROUP_PHASES, type GroupPhase } from '../../src/engines/postgres/arbiter/group-machine.ts';
import { Cluster } from '../../src/engines/postgres/cluster.ts';
import { nodePlaces } from '../../src/engines/postgres/places.ts';
import type { ServerServices } from '../../src/engines/postgres/server.ts';
import {
  connectionInfo,
  hostAccess,
  mainSettings,
  roleSettings,
  slotName,
} from '../../src/engines/postgres/settings.ts';
import type { NodeSpec } from '../../src/topology/node.ts';
import { DESIRED } from './engine.fixtures.ts';

const OPTIONS = {
  ...{ sharedBuffersMb: 16, connectionsMax: 50, fsync: true, startTimeoutMs: 1_000 },
  ...{ leaseMs: 3_000, clockOffsetMaxMs: 0 },
  heartbeat: { activeMs: 100, idleMs: 1_000 },
};
const NODES = DESIRED.groups.flatMap((group) => group.nodes);

/** The running cluster's own bookkeeping, with nothing running; remembers what it stored. */
function clusterOf(stored?: unknown): {
  cluster: Cluster;
  written: Record<string, unknown>[];
  asked: () => number;
  full: (is: boolean) => void;
  /** So many writes from now on, before anything is written or after all of it is. */
  fails: (times: number, when: 'before' | 'after') => void;
} {
  const written: Record<string, unknown>[] = [];
  let ports = 20_000;
  let failing: { left: number; when: 'before' | 'after' } = { left: 0, when: 'before' };
  const services = {
    host: {
      endCommands: () => {},
      freePort: async () => {
        const port = (ports += 1);
        // Later askers are answered sooner.
        for (let turn = 0; turn < 20 - (port % 20); turn += 1) await Promise.resolve();
        return port;
      },
    },
    links: { link: (route: { target: object }) => Promise.resolve(route.target) },
    store: {
      read: () => stored,
      write: async (document: Record<string, unknown>) => {
        const fails = failing.left > 0;
        failing.left -= 1;
        if (fails && failing.when === 'before') throw new Error('no space left');
        written.push(structuredClone(document));
        await Promise.resolve();
        if (fails) throw new Error('the folder could not be flushed');
      },
    },
  } as unknown as EngineServices;
  const cluster = new Cluster({ options: OPTIONS } as unknown as ServerServices, services);
  return {
    ...{ cluster, written, asked: () => ports - 20_000 },
    full: (is) => (failing = { left: is ? Infinity : 0, when: 'before' }),
    fails: (left, when) => (failing = { left, when }),
  };
}

describe('what is stored', () => {
  test('an election that could not be written is not brought along by the next write', async () => {
    const { cluster, written, full } = clusterOf();
    cluster.adopt(DESIRED);
    const [group] = DESIRED.groups;
    const { name, nodes } = group ?? { name: '', nodes: [] };
    const before = cluster.group(name).leader;
    const other = nodes.find((node) => node.name !== before)?.name ?? '';
    await cluster.raiseEpoch(name, 0);
    full(true);
    await assert.rejects(cluster.elect(name, { leader: other, excluded: [before] }));
    full(false);
    assert.equal(cluster.group(name).leader, before);
    await cluster.raiseEpoch(name, 0);
    const groups = written.at(-1)?.['groups'] as Record<string, Record<string, unknown>>;
    const { leader, epoch, excluded } = groups[name] ?? {};
    assert.deepEqual(
      { leader, epoch, excluded },
      { leader: before, epoch: 2, excluded: undefined },
    );
  });

  test('one that the disk has, though its write failed, is written over at once', async () => {
    const { cluster, written, fails } = clusterOf();
    const { name, voters } = threeVoters(cluster);
    const [leader = '', winner = ''] = voters;
    fails(1, 'after');
    await assert.rejects(cluster.elect(name, { leader: winner, excluded: [leader] }));
    const leaders = written.map((document) => {
      const groups = document['groups'] as Record<string, Record<string, unknown>>;
      return groups[name]?.['leader'];
    });
    assert.deepEqual(leaders, [winner, leader]);
  });

  const threeVoters = (cluster: Cluster): { name: string; voters: readonly string[] } => {
    cluster.adopt(DESIRED);
    const [group] = [...cluster.groups.values()];
    assert.ok(group !== undefined);
    const voters = [...group.voters].toSorted((a) => (a === group.leader ? -1 : 1));
    return { name: group.spec.name, voters };
  };

  test('an election while a copy is included: what both have changed is stored', async () => {
    const { cluster, written } = clusterOf();
    const { name, voters } = threeVoters(cluster);
    const [leader = '', winner = '', copied = ''] = voters;
    await cluster.exclude(copied);
    const included = cluster.include(copied, 0);
    const elected = cluster.elect(name, { leader: winner, excluded: [leader] });
    assert.deepEqual(await Promise.all([included, elected]), [true, true]);
    const groups = written.at(-1)?.['groups'] as Record<string, Record<string, unknown>>;
    assert.deepEqual(groups[name]?.['excluded'], [leader]);
    assert.deepEqual([...cluster.group(name).excluded], [leader]);
  });

  test('a copy of before an election is not included', async () => {
    const { cluster } = clusterOf();
    const { name, voters } = threeVoters(cluster);
    const [leader = '', winner = '', copied = ''] = voters;
    await cluster.exclude(copied);
    const elected = cluster.elect(name, { leader: winner, excluded: [leader] });
    assert.equal(await cluster.include(copied, 0), false);
    assert.equal(await elected, true);
    assert.deepEqual([...cluster.group(name).excluded], [copied, leader]);
    assert.equal(await cluster.include(copied, 1), true);
  });

  test('nobody is elected without a voter that was left out and may be used again', async () => {
    const { cluster, written } = clusterOf();
    const { name, voters } = threeVoters(cluster);
    const [leader = '', winner = '', copied = ''] = voters;
    await cluster.exclude(copied);
    const to = { leader: winner, excluded: [leader], leftOut: [copied] };
    const included = cluster.include(copied, 0);
    assert.equal(await cluster.elect(name, to), false);
    assert.equal(await included, true);
    assert.equal(cluster.group(name).leader, leader);
    assert.equal(written.length, 2, 'nothing was written for it');
  });

  test('nobody is elected by the position of one whose fence was lifted since', async () => {
    const { cluster, written } = clusterOf();
    const { name, voters } = threeVoters(cluster);
    const [leader = '', winner = '', other = ''] = voters;
    const to = { leader: winner, excluded: [leader], asked: [winner, other] };
    cluster.node(winner).fenced = true;
    assert.equal(await cluster.elect(name, to), false);
    assert.equal(written.length, 0);
    cluster.node(other).fenced = true;
    assert.equal(await cluster.elect(name, to), true);
  });

  test('one that was started again is not excluded', async () => {
    const { cluster, written } = clusterOf();
    const { voters } = threeVoters(cluster);
    assert.equal(await cluster.exclude(voters[1] ?? '', () => false), false);
    assert.equal(written.length, 0);
  });
});

describe('a fence', () => {
  test('is lifted while the group is open or being opened, and by whoever has decided', async () => {
    const { cluster } = clusterOf();
    const [name = ''] = DESIRED.groups.map((group) => group.name);
    cluster.adopt(DESIRED);
    const group = cluster.group(name);
    const asked = [...group.voters].find((one) => one !== group.leader) ?? '';
    const fencedAfter = async (phase: GroupPhase, how?: { decided: boolean }): Promise<boolean> => {
      group.leadership = { phase } as GroupArbiter;
      cluster.node(asked).fenced = true;
      await settleFollowers(cluster, name, how);
      return cluster.node(asked).fenced;
    };
    for (const phase of GROUP_PHASES) {
      assert.equal(await fencedAfter(phase), phase !== 'open' && phase !== 'opening', phase);
    }
    assert.equal(await fencedAfter('fencing', { decided: true }), false);
  });
});

describe('the quorum', () => {
  test('of every voter is any one of the two others, leader or not; a non-voter has none', async () => {
    const { cluster } = clusterOf();
    cluster.adopt(DESIRED);
    for (const node of NODES) {
      const text = roleSettings(node, { ...(await cluster.roleOf(node.name)), passfile: '/p' });
      const names = /^synchronous_standby_names = '(.*)'$/m.exec(text)?.[1];
      const others = NODES.filter(
        (one) => one.group === node.group && one.kind === 'voter' && one.name !== node.name,
      ).map((one) => `"${one.name}"`);
      assert.equal(names, node.kind === 'voter' ? `ANY 1 (${others.join(', ')})` : '');
      if (node.kind === 'voter') assert.equal(others.length, 2);
    }
  });
});

describe('the upstream', () => {
  const leads = (leader: string): Cluster => {
    const groups = { 'us-east-1': { leader, epoch: 3, settled: true, connectionsMax: 50 } };
    const { cluster } = clusterOf({ groups });
    cluster.adopt(DESIRED);
    return cluster;
  };

  test('of a voter is the leader, of a non-voter a voting follower and never the leader', () => {
    for (const leader of ['us-east-1.a', 'us-east-1.b', 'us-east-1.c']) {
      const cluster = leads(leader);
      for (const node of NODES.filter((one) => one.group === 'us-east-1')) {
        const upstream = cluster.upstreamOf(node.name);
        if (node.name === leader) assert.equal(upstream, undefined);
        else if (node.kind === 'voter') assert.equal(upstream, leader);
        else {
          assert.notEqual(upstream, leader);
          assert.equal(NODES.find((one) => one.name === upstream)?.kind, 'voter');
        }
      }
    }
  });

  test('of two non-voters are two followers, so that one loss cuts off one of them', () => {
    const upstreams = ['us-east-1.eu-west', 'us-east-1.ap-south'].map((name) =>
      leads('us-east-1.a').upstreamOf(name),
    );
    assert.equal(new Set(upstreams).size, 2);
  });
});

describe('what the cluster keeps', () => {
  test('a port is given to each node once, however many ask at the same time', async () => {
    const { cluster, asked } = clusterOf();
    cluster.adopt(DESIRED);
    const seen: Map<string, number>[] = [];
    await Promise.all(
      NODES.map(async () => {
        await cluster.assignPorts();
        seen.push(new Map([...cluster.nodes].map(([name, node]) => [name, node.port])));
      }),
    );
    assert.equal(asked(), NODES.length);
    for (const ports of seen) assert.deepEqual(ports, seen.at(-1));
  });

  test('two changes of one group at once are both kept', async () => {
    const { cluster, written } = clusterOf();
    cluster.adopt(DESIRED);
    await Promise.all([cluster.settle('us-east-1'), cluster.raiseEpoch('us-east-1', 4)]);
    const groups = written.at(-1)?.['groups'] as Record<string, unknown>;
    const [spec] = DESIRED.groups;
    assert.ok(spec);
    assert.deepEqual(groups['us-east-1'], {
      ...{ leader: 'us-east-1.a', epoch: 5, settled: true, connectionsMax: 50 },
      nodes: nodePlaces(spec),
    });
  });

  test('an epoch rises above what is stored and what the database says', async () => {
    const groups = {
      'us-east-1': { leader: 'us-east-1.a', epoch: 7, settled: true, connectionsMax: 50 },
    };
    const { cluster } = clusterOf({ groups });
    cluster.adopt(DESIRED);
    assert.equal(await cluster.raiseEpoch('us-east-1', 2), 8);
    assert.equal(await cluster.raiseEpoch('us-east-1', 20), 21);
  });

  test('a declaration that would lose sight of data is refused', async () => {
    const first = clusterOf();
    first.cluster.adopt(DESIRED);
    for (const { name } of DESIRED.groups) {
      await first.cluster.settle(name);
    }
    for (const { name, group } of DESIRED.ranges)
      await first.cluster.register.placeRange(name, group);
    const stored = first.written.at(-1);
    const adopt = (change: Partial<typeof DESIRED>): void => {
      clusterOf(stored).cluster.adopt({ ...DESIRED, ...change });
    };
    adopt({});
    const refused = { code: 'ERR_ENGINE_UNSUPPORTED' };
    // Regions in another order: r0001 would be an empty range elsewhere.
    const [one, two, three] = DESIRED.ranges.map((range) => range.group);
    const reordered = [two, one, three].map((group, index) => ({
      name: `r000${String(index + 1)}`,
      group: group ?? '',
    }));
    assert.throws(
      () => {
        adopt({ ranges: reordered });
      },
      { ...refused, message: /range r0001 would move from us-east-1 to eu-west-1/ },
    );
    assert.throws(() => {
      adopt({ primaryGroup: 'eu-west-1' });
    }, refused);
    assert.throws(() => {
      adopt({ groups: DESIRED.groups.slice(0, 2) });
    }, refused);
    assert.throws(() => {
      adopt({ ranges: DESIRED.ranges.slice(0, 2) });
    }, refused);
    adopt({ ranges: [...DESIRED.ranges, { name: 'r0004', group: 'us-east-1' }] });
  });
});

describe('quoting', () => {
  const node: NodeSpec = {
    ...{ name: "o'brien\\1", group: 'g', kind: 'voter' },
    locality: { region: 'r', zone: 'a' },
  };

  test('of settings doubles quotes and backslashes, so that a value cannot end early', () => {
    const text = mainSettings(node, 20_001, OPTIONS);
    assert.ok(text.includes(`cluster_name = 'o''brien\\\\1'`));
    const values = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    for (const line of values) assert.match(line, /^[\w.]+ (= )?'(?:[^'\\]|''|\\\\)*'$/);
  });

  test('of a connection string escapes within the value, and again as a setting', () => {
    const info = connectionInfo(
      { host: '127.0.0.1', port: 1 },
      { passfile: "/tmp/it's a \\ file", user: 'u' },
    );
    assert.ok(info.includes("passfile='/tmp/it\\'s a \\\\ file'"));
    const upstream = { host: '127.0.0.1', port: 5 };
    const text = roleSettings(node, {
      ...{ otherVoters: [], upstream, follows: true, clockOffsetMs: 0 },
      passfile: "/a'b",
    });
    assert.ok(text.includes(`passfile=''/a\\\\''b''`), text);
    assert.ok(!text.includes('password='), 'passwords stay in the passfile');
  });

  test('gives every node a slot name of its own, of the letters that are allowed', () => {
    const names = NODES.map((one) => slotName(one.name));
    assert.equal(new Set(names).size, NODES.length);
    for (const name of names) assert.match(name, /^[a-z0-9_]{1,63}$/);
  });

  test('of who may connect: the application only once it is admitted', () => {
    assert.doesNotMatch(hostAccess({ application: false }), /meridian_app/);
    assert.match(hostAccess({ application: true }), /^host all meridian_app 127\.0\.0\.1\/32/m);
    assert.doesNotMatch(hostAccess({ application: true }), /trust|0\.0\.0\.0/);
  });
});
