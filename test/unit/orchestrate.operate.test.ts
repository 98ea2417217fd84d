/** Operations on replication groups: what is chosen and refused, what is told, and what an end interrupts. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { OperationEvent, OperationRequest } from '../../src/control/operation.ts';
import type { Engine, EngineStep, PerformOptions, Wanted } from '../../src/engines/engine.ts';
import type { ClusterSnapshot, ObservedGroup, ObservedNode } from '../../src/engines/snapshot.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { Operations } from '../../src/orchestrate/operate.ts';
import { wantedOf } from '../../src/orchestrate/operation-plan.ts';
import { possibleLoss } from '../../src/orchestrate/possible-loss.ts';
import type { GroupSpec } from '../../src/topology/node.ts';
import { converged, DESIRED } from './engine.fixtures.ts';

const GROUP = 'us-east-1';
const groupSpec = (): GroupSpec => {
  const found = DESIRED.groups.find(({ name }) => name === GROUP);
  assert.ok(found);
  return found;
};

/** The converged cluster with some nodes and the group otherwise. */
function seen(
  nodes: Readonly<Record<string, Partial<ObservedNode>>> = {},
  group: Partial<ObservedGroup> = {},
): ClusterSnapshot {
  const all = converged();
  const changed = Object.entries(nodes).map(([name, change]) => {
    const node = all.nodes[name];
    assert.ok(node, name);
    return [name, { ...node, ...change }];
  });
  const before = all.groups[GROUP];
  assert.ok(before);
  return {
    ...all,
    nodes: { ...all.nodes, ...(Object.fromEntries(changed) as typeof all.nodes) },
    groups: { ...all.groups, [GROUP]: { ...before, ...group } },
  };
}

const stepOf = (id: string, after: readonly string[] = []): EngineStep => ({
  ...{ id, after, summary: `do ${id}`, effect: 'role-change', action: {} },
});

type Perform = (step: EngineStep, options: PerformOptions) => Promise<void> | void;

/** An engine that plans the steps it is given, and does what the test says. */
class PaperEngine {
  readonly wanted: Wanted[] = [];
  readonly done: string[] = [];
  nowMs = 0;
  readonly operations: Operations;

  constructor(
    steps: readonly EngineStep[],
    perform: Perform = () => {},
    snapshot: ClusterSnapshot = seen(),
  ) {
    const engine: Pick<Engine, 'observe' | 'planWanted' | 'perform'> = {
      observe: () => Promise.resolve(snapshot),
      planWanted: (wanted) => {
        this.wanted.push(wanted);
        return steps;
      },
      perform: async (step, _desired, options = {}) => {
        await perform(step, options);
        this.done.push(step.id);
        return { kind: 'done' };
      },
    };
    const clock: Clock = { ...systemClock, monotonicMs: () => this.nowMs };
    this.operations = new Operations({ engine, desired: DESIRED, clock, log: silentLog });
  }
}

const SWITCHOVER: OperationRequest = { kind: 'switchover', group: GROUP };

describe('the choice of a leader', () => {
  const chosen = (
    asked: { readonly to?: string; readonly region?: string; readonly zone?: string },
    snapshot = seen(),
  ): string | undefined =>
    wantedOf({ ...SWITCHOVER, ...asked }, groupSpec(), snapshot).leaders?.[GROUP];

  test('by name, by zone, by region, or the voter nearest to the log', () => {
    assert.equal(chosen({ to: 'us-east-1.c' }), 'us-east-1.c');
    assert.equal(chosen({ zone: 'c' }), 'us-east-1.c');
    assert.equal(chosen({ region: 'us-east', zone: 'b' }), 'us-east-1.b');
    assert.equal(chosen({ region: 'us-east' }), 'us-east-1.b');
    assert.equal(chosen({}, seen({ 'us-east-1.b': { lagBytes: 9 } })), 'us-east-1.c');
    assert.equal(chosen({}, seen({ 'us-east-1.b': { lagBytes: null } })), 'us-east-1.c');
  });

  test('never one that is down, cut off, silent or under repair, unless it was named', () => {
    const repair = { phase: 'copying', doneBytes: 0, totalBytes: null, sinceMs: 0 } as const;
    const unfit: readonly Partial<ObservedNode>[] = [
      { role: 'down', running: false },
      { role: 'unknown' },
      { streaming: false },
      { repair },
    ];
    for (const change of unfit) {
      assert.equal(chosen({}, seen({ 'us-east-1.b': change })), 'us-east-1.c');
      assert.equal(chosen({ to: 'us-east-1.b' }, seen({ 'us-east-1.b': change })), 'us-east-1.b');
    }
  });

  const refused: readonly (readonly [object, RegExp, string?])[] = [
    [{ to: 'us-east-1.a' }, /us-east-1\.a leads us-east-1 already/],
    [{ zone: 'a' }, /us-east-1\.a leads us-east-1 already/],
    [{ to: 'us-east-1.eu-west' }, /is a non-voter/],
    [{ region: 'eu-west' }, /has no voter in region eu-west/],
    [{ zone: 'q' }, /has no voter in zone q/],
    [
      { to: 'eu-west-1.a' },
      /no database server of us-east-1 "eu-west-1\.a"/,
      'ERR_CONTROL_REQUEST',
    ],
  ];
  for (const [asked, message, code = 'ERR_OPERATION_REFUSED'] of refused) {
    test(`is refused for ${JSON.stringify(asked)}`, () => {
      assert.throws(() => chosen(asked), { code, message });
    });
  }

  test('is refused with the state of each voter when none can', () => {
    const nobody = seen({ 'us-east-1.b': { role: 'down' }, 'us-east-1.c': { streaming: false } });
    assert.throws(() => chosen({}, nobody), {
      code: 'ERR_OPERATION_REFUSED',
      message: /us-east-1\.b is down, us-east-1\.c does not follow its leader$/,
    });
  });
});

describe('an operation', () => {
  test('performs the steps in their order, and tells phases, progress and the end', async () => {
    const paper = new PaperEngine([stepOf('b', ['a']), stepOf('a')], (step, on) => {
      if (step.id === 'b') return;
      paper.nowMs = 20;
      on.onPhase?.('copying');
      for (const doneBytes of [1, 2, 3]) {
        on.onProgress?.({ doneBytes, totalBytes: 4 });
        paper.nowMs += 150;
      }
      // The whole is told however soon it comes.
      on.onProgress?.({ doneBytes: 4, totalBytes: 4 });
    });
    const events: OperationEvent[] = [];
    await paper.operations.run(
      { kind: 'rebuild', node: 'us-east-1.b' },
      { onEvent: (event) => events.push(event) },
    );
    assert.deepEqual(paper.wanted, [{ rebuild: ['us-east-1.b'] }]);
    assert.deepEqual(paper.done, ['a', 'b']);
    const progress = { kind: 'progress', what: 'do a', totalBytes: 4 };
    assert.deepEqual(events, [
      { kind: 'begun', summary: 'do a; then do b' },
      { kind: 'phase', phase: 'copying', atMs: 20 },
      { ...progress, doneBytes: 1 },
      { ...progress, doneBytes: 3 },
      { ...progress, doneBytes: 4 },
      { kind: 'ended', summary: 'do a; then do b', tookMs: 470 },
    ]);
  });

  test('is refused for what is not declared', async () => {
    const paper = new PaperEngine([stepOf('a')]);
    for (const request of [
      { kind: 'switchover', group: 'mars-1' },
      { kind: 'rebuild', node: 'us-east-1' },
      { kind: 'recover', group: 'us-east', acceptLoss: true },
    ] as const) {
      await assert.rejects(paper.operations.run(request), { code: 'ERR_CONTROL_REQUEST' });
    }
    assert.deepEqual(paper.done, []);
  });

  test('is alone on its group, and beside those on others', async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const paper = new PaperEngine([stepOf('a')], () => gate);
    const first = paper.operations.run(SWITCHOVER);
    await assert.rejects(paper.operations.run({ kind: 'rebuild', node: 'us-east-1.c' }), {
      code: 'ERR_OPERATION_REFUSED',
      message: /under way/,
    });
    const elsewhere = paper.operations.run({ kind: 'rebuild', node: 'eu-west-1.c' });
    open();
    await Promise.all([first, elsewhere]);
    await paper.operations.run(SWITCHOVER);
    assert.equal(paper.done.length, 3);
  });

  test('that fails says what with, begins nothing further, and leaves the group to the next', async () => {
    let broken = true;
    const own = new MeridianError('ERR_ENGINE_UNAVAILABLE', 'the leader is silent');
    const causes: unknown[] = [own, new Error('boom')];
    const paper = new PaperEngine([stepOf('a'), stepOf('b')], () => {
      if (broken) throw causes.shift() as Error;
    });
    await assert.rejects(paper.operations.run(SWITCHOVER), own);
    await assert.rejects(paper.operations.run(SWITCHOVER), {
      code: 'ERR_INTERNAL',
      message: 'do a: boom',
    });
    assert.deepEqual(paper.done, []);
    broken = false;
    await paper.operations.run(SWITCHOVER);
    assert.deepEqual(paper.done, ['a', 'b']);
  });

  test('whose asker leaves finishes its step, uninterrupted, and begins no other', async () => {
    const left = new AbortController();
    const paper = new PaperEngine([stepOf('a'), stepOf('b')], (_step, on) => {
      left.abort();
      assert.equal(on.signal?.aborted, false);
    });
    await assert.rejects(paper.operations.run(SWITCHOVER, { signal: left.signal }), {
      code: 'ERR_ABORTED',
      message: /1 of 2 steps/,
    });
    assert.deepEqual(paper.done, ['a']);
  });

  test('is interrupted by the end of the platform, which waits for it and begins nothing more', async () => {
    let begun = (): void => {};
    const under = new Promise<void>((resolve) => (begun = resolve));
    const paper = new PaperEngine([stepOf('a')], (_step, on) => {
      begun();
      return new Promise((_resolve, reject) => {
        on.signal?.addEventListener('abort', () => {
          reject(new MeridianError('ERR_ABORTED', 'stopping'));
        });
      });
    });
    const run = assert.rejects(paper.operations.run(SWITCHOVER), { code: 'ERR_ABORTED' });
    await under;
    await paper.operations.close();
    await run;
    await assert.rejects(paper.operations.run(SWITCHOVER), { message: /stopping/ });
  });
});

describe('recovery by force', () => {
  const down = { role: 'down', running: false, position: null } as const;
  const cutOff = { streaming: false, lagMs: 12_500 };
  const lost = seen(
    {
      ...{ 'us-east-1.a': down, 'us-east-1.b': down, 'us-east-1.c': down },
      'us-east-1.eu-west': { ...cutOff, position: 200n },
      'us-east-1.ap-south': { ...cutOff, position: 300n, lagMs: 11_200 },
    },
    {
      leader: null,
      operation: {
        ...{ kind: 'region-lost', phase: 'no-quorum', cause: 'silent', detail: 'none answers' },
        sinceMs: 10_000,
      },
    },
  );

  test('states what may be lost, by the server that has most, and what would be done', async () => {
    const paper = new PaperEngine([stepOf('a')], () => {}, lost);
    const asked = { kind: 'recover', group: GROUP } as const;
    await assert.rejects(paper.operations.run({ ...asked, acceptLoss: false }), (error) => {
      assert.ok(error instanceof MeridianError);
      assert.equal(error.code, 'ERR_OPERATION_REFUSED');
      assert.match(error.message, /us-east-1\.ap-south, us-east-1\.eu-west are left/);
      assert.match(error.message, /the last 1\.2 s .*not on us-east-1\.ap-south/);
      assert.match(error.message, /To be done: do a$/);
      assert.match(error.remedy, /meridian recover us-east-1 --accept-loss/);
      return true;
    });
    assert.deepEqual(paper.done, []);
    await paper.operations.run({ ...asked, acceptLoss: true });
    assert.deepEqual(paper.wanted, [{ recover: [GROUP] }, { recover: [GROUP] }]);
    assert.deepEqual(paper.done, ['a']);
  });

  test('says so when nothing is left, and never calls an unknown age small', () => {
    const nodes = Object.fromEntries(groupSpec().nodes.map(({ name }) => [name, down]));
    assert.match(possibleLoss(groupSpec(), seen(nodes)), /there is nothing to open it from/);
    const ageless = seen({
      'us-east-1.a': down,
      'us-east-1.b': { position: 9_999_999_999n, lagMs: null },
    });
    const said = possibleLoss(groupSpec(), ageless);
    assert.match(said, /is not on us-east-1\.b would be lost/);
    assert.doesNotMatch(said, /\d s /);
  });
});
