/** What a person reads of leases, leader changes, and what is being done to groups and replicas. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leaseLines, underWayLines } from '../../src/cli/group-text.ts';
import type { GroupStatus, NodeStatus, OperationStatus } from '../../src/control/status.ts';

const group = (change: Partial<GroupStatus> = {}): GroupStatus => ({
  ...{
    name: 'us-east-1',
    homeRegion: 'us-east',
    residency: null,
    epoch: 7,
    leader: 'us-east-1.b',
    ranges: [],
    moves: [],
  },
  ...{ accounts: null, globalLagBytes: null, inDoubt: null, operation: null, lease: null },
  ...{ lastChange: null, leaderChanges: {}, recoveredVoters: null, ...change },
});
const operation = (change: Partial<OperationStatus>): Partial<GroupStatus> => ({
  operation: {
    ...{ kind: 'failover', phase: 'promoting us-east-1.b', cause: 'silent', detail: '' },
    ...{ forMs: 1_234, decision: null, ...change },
  },
});
const under = (change: Partial<OperationStatus>): string[] =>
  underWayLines([group(operation(change))], []);

describe('the table of leases', () => {
  test('has holder, tenure, what remains, and the last change with its cause and duration', () => {
    const lines = leaseLines([
      group({
        lease: { holder: 'us-east-1.b', tenureMs: 185_000, remainingMs: 1_900 },
        leaderChanges: { started: 1, silent: 2, switchover: 1 },
        lastChange: {
          ...{ cause: 'silent', from: 'us-east-1.a', to: 'us-east-1.b', epoch: 7 },
          ...{ at: '2026-01-01T00:00:00.000Z', agoMs: 185_000, tookMs: 820 },
        },
      }),
      group({
        name: 'eu-west-1',
        lease: { holder: 'eu-west-1.a', tenureMs: 0, remainingMs: 0 },
        lastChange: {
          ...{ cause: 'died', from: 'eu-west-1.a', to: 'eu-west-1.a', epoch: 3 },
          ...{ at: '2026-01-01T00:00:00.000Z', agoMs: 500, tookMs: 300 },
        },
      }),
    ]);
    for (const line of [
      /^LEASES +HOLDER +TENURE +REMAINING +EPOCH +CHANGES +LAST CHANGE$/,
      /^us-east-1 +us-east-1\.b +3 min 5 s +1\.9 s +7 +3 +leader silent: us-east-1\.a → us-east-1\.b, took 820 ms, 3 min 5 s ago$/,
      /^eu-west-1 +eu-west-1\.a +0 ms +run out +7 +0 +leader died: eu-west-1\.a, took 300 ms, 500 ms ago$/,
    ]) {
      assert.ok(
        lines.some((one) => line.test(one)),
        `${String(line)} in\n${lines.join('\n')}`,
      );
    }
  });

  test('is left out where there are no leases and nothing has changed', () => {
    assert.deepEqual(leaseLines([group()]), []);
  });
});

describe('what is under way', () => {
  test('is nothing at rest', () => {
    assert.deepEqual(underWayLines([group()], []), []);
  });

  test('is one line for a machine, with phase, cause and how long', () => {
    assert.deepEqual(under({}), [
      'us-east-1: failover, promoting us-east-1.b (leader silent), for 1.2 s',
    ]);
    assert.deepEqual(
      under({
        kind: 'switchover',
        phase: 'closing',
        cause: 'switchover',
        detail: 'to us-east-1.c',
      }),
      ['us-east-1: switchover, closing (planned), for 1.2 s: to us-east-1.c'],
    );
  });

  test('says what a group without quorum waits for', () => {
    assert.deepEqual(
      under({ kind: 'no-quorum', cause: 'died', detail: 'waits for us-east-1.b', forMs: 65_000 }),
      ['no quorum in us-east-1 (leader died), for 1 min 5 s: waits for us-east-1.b'],
    );
  });

  test('says what a person may decide when a region is lost, and what it may cost', () => {
    const lines = under({
      ...{ kind: 'region-lost', cause: 'silent', detail: 'no voter answers' },
      decision: { command: 'meridian recover us-east-1 --accept-loss', mayLose: 'the last 2 s' },
    });
    assert.deepEqual(lines, [
      'region lost with the quorum of us-east-1 (leader silent), for 1.2 s: no voter answers',
      '  to open it without waiting: meridian recover us-east-1 --accept-loss',
      '  the last 2 s',
    ]);
  });

  test('says who votes since a recovery by force, and the way home', () => {
    const command = 'meridian switchover us-east-1 --region us-east';
    const names = ['us-east-1.ap-south', 'us-east-1.eu-west'];
    assert.deepEqual(underWayLines([group({ recoveredVoters: { names, command } })], []), [
      'us-east-1 was recovered by force: not its declared voters confirm its commits but us-east-1.ap-south, us-east-1.eu-west',
      '  to bring it home, once its declared voters are streaming again: meridian switchover us-east-1 --region us-east',
    ]);
  });

  test('tells moves with their progress, and why one is tried again', () => {
    const move = {
      ...{ range: 'r0004', from: 'us-east-1', to: 'eu-west-1', attempt: 1, detail: '' },
      ...{ phase: 'copying', doneBytes: 1_048_576, totalBytes: 4_194_304, forMs: 2_300 },
    };
    assert.deepEqual(underWayLines([group({ moves: [move] })], []), [
      'r0004: moving from us-east-1 to eu-west-1, copying, 1.0 MiB of 4.0 MiB (25 %), for 2.3 s',
    ]);
    const again = { ...move, phase: 'clearing', attempt: 2, detail: 'a leader changed' };
    assert.deepEqual(underWayLines([group({ moves: [again] })], []), [
      'r0004: moving from us-east-1 to eu-west-1, clearing, attempt 2, for 2.3 s',
      '  the last attempt failed: a leader changed',
    ]);
  });

  test('tells replicas under repair with their progress', () => {
    const node = (repair: NodeStatus['repair']): NodeStatus => ({
      ...{ name: 'us-east-1.c', group: 'us-east-1', kind: 'voter', region: 'us-east', zone: 'c' },
      ...{ state: 'rebuilding', pid: null, port: 1, position: null, lagBytes: null, lagMs: null },
      repair,
    });
    const mib = 1024 * 1024;
    const forMs = 3_000;
    const lines = underWayLines(
      [],
      [
        node(null),
        node({ phase: 'lost', doneBytes: 0, totalBytes: null, forMs }),
        node({ phase: 'copying', doneBytes: 5 * mib, totalBytes: 20 * mib, forMs }),
        // It grew while it was copied.
        node({ phase: 'copying', doneBytes: 21 * mib, totalBytes: 20 * mib, forMs }),
        node({ phase: 'excluding', doneBytes: 0, totalBytes: null, forMs }),
      ],
    );
    assert.deepEqual(lines, [
      'us-east-1.c: its data may not be used; waits to be rebuilt, for 3.0 s',
      'us-east-1.c: rebuilding, copying, 5.0 MiB of 20.0 MiB (25 %), for 3.0 s',
      'us-east-1.c: rebuilding, copying, 21.0 MiB of 20.0 MiB (100 %), for 3.0 s',
      'us-east-1.c: rebuilding, excluding, for 3.0 s',
    ]);
  });
});
