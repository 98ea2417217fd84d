/** What is declared, what subscribers are told, what status shows: pure pictures of one cluster. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { EngineRoutes } from '../../src/engines/engine.ts';
import { desiredState, type Declaration } from '../../src/orchestrate/desired.ts';
import { statusReport } from '../../src/orchestrate/status.ts';
import { viewFor, type ViewSources } from '../../src/orchestrate/view.ts';
import { regionPair } from '../../src/topology/region.ts';
import { converged, DESIRED, LATENCY, REGIONS } from './engine.fixtures.ts';

const declaration = (change: Partial<Declaration> = {}): Declaration => ({
  ...{ regions: REGIONS, primaryRegion: 'eu-west', survive: 'zone', tables: {} },
  tenantFence: true,
  ...{ groupsPerRegion: 1, rangesPerRegion: 2, latency: { matrix: LATENCY } },
  ...change,
});
const NONE = { database: [], regional: [] };

describe('the desired state', () => {
  test('has the primary group in the primary region and each range in a group of its region', () => {
    const desired = desiredState(declaration(), NONE);
    assert.equal(desired.primaryGroup, 'eu-west-1');
    const homes = desired.ranges.map(
      ({ group }) => desired.groups.find((one) => one.name === group)?.homeRegion,
    );
    assert.deepEqual(homes, ['us-east', 'eu-west', 'ap-south', 'us-east', 'eu-west', 'ap-south']);
  });

  test('more ranges leave those that are there where they are', () => {
    const [few, many] = [2, 5].map(
      (rangesPerRegion) => desiredState(declaration({ rangesPerRegion }), NONE).ranges,
    );
    assert.deepEqual(many?.slice(0, few?.length), few);
  });

  test('ranges of a region are dealt out over its groups', () => {
    const desired = desiredState(declaration({ groupsPerRegion: 2 }), NONE);
    assert.equal(new Set(desired.ranges.map((range) => range.group)).size, 6);
  });

  test('a primary region without a group is a bug', () => {
    assert.throws(() => desiredState(declaration({ primaryRegion: 'mars' }), NONE), {
      code: 'ERR_INTERNAL',
    });
  });
});

describe("a subscriber's view", () => {
  const routes: EngineRoutes = {
    groups: { 'us-east-1': { epoch: 4, leader: 'us-east-1.a' } },
    ranges: { r0001: { group: 'us-east-1', epoch: 2 } },
    nodes: [
      { node: 'us-east-1.a', address: { host: '127.0.0.1', port: 7_001 } },
      { node: 'us-east-1.b', address: { host: '127.0.0.1', port: 0 } },
      { node: 'us-east-1.eu-west', address: { host: '127.0.0.1', port: 7_003 } },
    ],
  };
  const sources = (change: Partial<ViewSources> = {}): ViewSources => ({
    ...{ version: 9, groups: DESIRED.groups, primaryGroup: DESIRED.primaryGroup, routes },
    latency: {
      betweenRegionsMs: { [regionPair('us-east', 'eu-west')]: 80 },
      betweenZonesMs: 1,
    },
    appServers: [
      {
        ...{ name: 'eu-west.0', locality: { region: 'eu-west', zone: 'a' }, ready: true },
        ...{ instance: 'eu-west.0#1', address: { host: '127.0.0.1', port: 9_001 } },
      },
    ],
    // Shows who asks: the port is the target's and the asker's region's number.
    link: ({ from, target }) =>
      Promise.resolve({ ...target, port: target.port + (from.region === 'eu-west' ? 100 : 0) }),
    ...change,
  });

  test('has addresses and round trips as they are from where it stands', async () => {
    const view = await viewFor(sources(), { region: 'eu-west', zone: 'a' });
    const nodes = view.groups['us-east-1']?.nodes ?? [];
    assert.deepEqual(
      nodes.map(({ name, address, roundTripMs }) => [name, address.port, roundTripMs]),
      [
        ['us-east-1.a', 7_101, 80],
        ['us-east-1.eu-west', 7_103, 0],
      ],
    );
    assert.equal(view.appServers[0]?.address.port, 9_101);
    assert.equal(view.appServers[0]?.roundTripMs, 0);
    assert.deepEqual(view.ranges, { r0001: { name: 'r0001', group: 'us-east-1', epoch: 2 } });
    assert.equal(view.version, 9);
  });

  test('a node that has no port yet is not in it, and a group that is not open has no leader', async () => {
    const view = await viewFor(sources(), { region: 'us-east', zone: 'a' });
    assert.ok(!view.groups['us-east-1']?.nodes.some((node) => node.name === 'us-east-1.b'));
    assert.deepEqual(view.groups['ap-south-1'], {
      ...{ name: 'ap-south-1', homeRegion: 'ap-south', epoch: 0, leader: undefined, nodes: [] },
    });
  });

  test('an app server that waits for its next start has no port, and is not in it', async () => {
    const [server] = sources().appServers;
    assert.ok(server !== undefined);
    const waiting = { ...server, instance: 'eu-west.1#2', address: { host: '127.0.0.1', port: 0 } };
    const changed = sources({ appServers: [waiting, server] });
    const view = await viewFor(changed, { region: 'us-east', zone: 'a' });
    assert.deepEqual(
      view.appServers.map(({ instance }) => instance),
      ['eu-west.0#1'],
    );
  });

  test('a link that cannot be made fails the view rather than leaving a node out', async () => {
    const link = (): Promise<never> => Promise.reject(new Error('no link'));
    await assert.rejects(viewFor(sources({ link }), { region: 'us-east', zone: 'a' }), /no link/);
  });
});

describe('the status report', () => {
  const report = (snapshot = converged()): ReturnType<typeof statusReport> =>
    statusReport({
      ...{ installation: 'i', engine: 'postgres', survive: 'zone', primaryRegion: 'us-east' },
      ...{ startedAtMs: 0, supervisorPid: 1, regions: REGIONS, groups: DESIRED.groups },
      ...{ gateways: [], appServers: [], drains: [], faults: [], snapshot },
      rehoming: {
        ...{ mode: 'suggest' as const, accountsSeen: 0, suggested: [], suggestedTotal: 0 },
        ...{ postponedTotal: 0, movedAccounts: 0, movedBytes: 0, hot: [], note: '' },
      },
    });
  const nodeOf = (change: object): ReturnType<typeof report>['nodes'][number] | undefined => {
    const seen = converged();
    const name = 'us-east-1.b';
    const node = { ...seen.nodes[name], ...change } as (typeof seen.nodes)[string];
    return report({ ...seen, nodes: { ...seen.nodes, [name]: node } }).nodes.find(
      (one) => one.name === name,
    );
  };

  test('names every declared node and its state', () => {
    const { nodes, groups, startedAt } = report();
    assert.equal(nodes.length, 15);
    assert.equal(nodes.filter((node) => node.state === 'leader').length, 3);
    assert.equal(nodes.filter((node) => node.state === 'streaming').length, 12);
    assert.deepEqual(
      groups.map((group) => [group.leader, group.ranges.length]),
      [
        ['us-east-1.a', 1],
        ['eu-west-1.a', 1],
        ['ap-south-1.a', 1],
      ],
    );
    assert.equal(startedAt, '1970-01-01T00:00:00.000Z');
  });

  test('a node that was not seen or did not answer is unknown, one that does not run is down', () => {
    assert.equal(nodeOf({ role: 'unknown' })?.state, 'unknown');
    assert.equal(nodeOf({ role: 'down', position: null })?.state, 'down');
    const nothing = report({ atMs: 0, nodes: {}, groups: {}, ranges: {} });
    assert.ok(nothing.nodes.every((node) => node.state === 'unknown' && node.position === null));
    assert.ok(nothing.groups.every((group) => group.leader === null && group.epoch === 0));
  });

  test('a follower that is cut off or far behind is catching up', () => {
    assert.equal(nodeOf({ streaming: false })?.state, 'catching-up');
    assert.equal(nodeOf({ lagBytes: 2 ** 20 })?.state, 'catching-up');
    assert.equal(nodeOf({ lagBytes: 2 ** 20 - 1 })?.state, 'streaming');
  });

  test('positions are written as PostgreSQL writes them, also the very first', () => {
    assert.equal(nodeOf({ position: 0x3_0000_0148n })?.position, '3/148');
    assert.equal(nodeOf({ position: 0n })?.position, '0/0');
    assert.equal(nodeOf({})?.lagMs, 12);
  });

  test('a node under repair is lost or being rebuilt, whether it answers or not', () => {
    const repair = { phase: 'lost', doneBytes: 1, totalBytes: 9, sinceMs: 40.4 } as const;
    assert.equal(nodeOf({ repair })?.state, 'lost');
    assert.equal(
      nodeOf({ repair: { ...repair, phase: 'copying' }, role: 'down' })?.state,
      'rebuilding',
    );
    assert.deepEqual(nodeOf({ repair })?.repair, {
      ...{ phase: 'lost', doneBytes: 1, totalBytes: 9, forMs: 40 },
    });
    assert.equal(nodeOf({})?.repair, null);
  });

  test('what is done to a group, its lease and its last change are told; a lost region with a command', () => {
    const seen = converged();
    const change = (group: object): ReturnType<typeof report>['groups'][number] | undefined => {
      const before = seen.groups['us-east-1'];
      const groups = { ...seen.groups, 'us-east-1': { ...before, ...group } } as typeof seen.groups;
      return report({ ...seen, atMs: 5_000, groups }).groups[0];
    };
    const operation = { phase: 'fencing', cause: 'silent', detail: 'd', sinceMs: 1_200.4 };
    const told = { phase: 'fencing', cause: 'silent', detail: 'd', forMs: 1_200 };
    assert.deepEqual(change({ operation: { ...operation, kind: 'failover' } })?.operation, {
      ...{ ...told, kind: 'failover', decision: null },
    });
    const lost = change({ operation: { ...operation, kind: 'region-lost' } })?.operation;
    assert.equal(lost?.decision?.command, 'meridian recover us-east-1 --accept-loss');
    assert.match(lost?.decision?.mayLose ?? '', /would be lost/);
    const lease = { holder: 'us-east-1.a', tenureMs: 5, remainingMs: 6 };
    const lastChange = { cause: 'died', from: null, to: 'us-east-1.a', epoch: 2, tookMs: 7 };
    const group = change({
      lease,
      lastChange: { ...lastChange, atMs: 4_000 },
      leaderChanges: { died: 1 },
    });
    assert.deepEqual(group?.lease, lease);
    const at = '1970-01-01T00:00:04.000Z';
    assert.deepEqual(group?.lastChange, { ...lastChange, at, agoMs: 1_000 });
    assert.deepEqual(group?.leaderChanges, { died: 1 });
    assert.equal(change({ lastChange: { ...lastChange, atMs: 9_000 } })?.lastChange?.agoMs, 0);
    const { operation: none, lease: noLease, lastChange: noChange } = report().groups[0] ?? {};
    assert.deepEqual([none, noLease, noChange], [null, null, null]);
    assert.equal(report().groups[0]?.recoveredVoters, null);
    const recoveredVoters = ['us-east-1.eu-west'];
    assert.deepEqual(change({ recoveredVoters })?.recoveredVoters, {
      ...{ names: recoveredVoters, command: 'meridian switchover us-east-1 --region us-east' },
    });
  });
});
