/** Whom a node follows, what is due for it, and when a leader counts as lost. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  judgeNode,
  SILENT_MAX_MS,
  STRANDED_MAX_MS,
  type NodeFacts,
} from '../../src/engines/postgres/arbiter/node-judgement.ts';
import { readControl } from '../../src/engines/postgres/arbiter/pg-control.ts';
import { judgePulse } from '../../src/engines/postgres/arbiter/pulse.ts';
import { chooseUpstreams } from '../../src/engines/postgres/arbiter/upstreams.ts';
import { present } from '../../src/kernel/assert.ts';
import { descendants } from '../../src/orchestrate/drivers/process-tree.ts';
import { DESIRED } from './engine.fixtures.ts';

const SPEC = present(DESIRED.groups[0], 'a group');
const VOTERS = SPEC.nodes.filter((node) => node.kind === 'voter').map((node) => node.name);
const OTHERS = SPEC.nodes.filter((node) => node.kind !== 'voter').map((node) => node.name);

describe('upstreams', () => {
  const choose = (
    leader: string,
    unfit: readonly string[] = [],
    current: ReadonlyMap<string, string> = new Map(),
  ): Map<string, string> =>
    chooseUpstreams({
      ...{ spec: SPEC, leader, voters: new Set(VOTERS), unfit: new Set(unfit), current },
    });

  test('of non-voters are voting followers that are fit, never the leader', () => {
    fc.assert(
      fc.property(fc.constantFrom(...VOTERS), fc.subarray(VOTERS), (leader, unfit) => {
        const chosen = choose(leader, unfit);
        const fit = VOTERS.filter((name) => name !== leader && !unfit.includes(name));
        for (const name of OTHERS) {
          const upstream = present(chosen.get(name), name);
          assert.notEqual(upstream, leader);
          if (fit.length > 0) assert.ok(fit.includes(upstream));
        }
        assert.equal(chosen.get(leader), undefined);
      }),
    );
  });

  test('stay where they are allowed to, and move away from a new leader', () => {
    const [a = '', b = '', c = ''] = VOTERS;
    const [x = '', y = ''] = OTHERS;
    const first = choose(a);
    assert.deepEqual(new Set([first.get(x), first.get(y)]), new Set([b, c]), 'spread');
    const second = choose(b, [a], first);
    assert.deepEqual([second.get(x), second.get(y)], [c, c]);
    assert.deepEqual(choose(b, [], second).get(x), c, 'no move without a reason');
  });
});

const WELL: NodeFacts = {
  ...{ leads: false, runs: true, starting: false, reached: true, whole: true, excluded: false },
  ...{ endings: 0, open: true, dispensable: false, upstreamWell: true, silentMs: 0, strandedMs: 0 },
};

describe('what is due for a node', () => {
  test('is nothing while it is well, and a start when it is down', () => {
    assert.equal(judgeNode(WELL), 'nothing');
    assert.equal(judgeNode({ ...WELL, runs: false }), 'start');
    assert.equal(judgeNode({ ...WELL, runs: false, endings: 4 }), 'rebuild');
    assert.equal(judgeNode({ ...WELL, silentMs: SILENT_MAX_MS + 1 }), 'end');
    assert.equal(judgeNode({ ...WELL, strandedMs: STRANDED_MAX_MS + 1 }), 'rebuild');
  });

  test('is never to discard what a group without a leader may need, nor anything of a leader', () => {
    const facts = fc.record({
      ...{ leads: fc.boolean(), runs: fc.boolean(), starting: fc.boolean() },
      ...{ reached: fc.boolean(), whole: fc.boolean(), excluded: fc.boolean() },
      ...{ endings: fc.nat(9), open: fc.boolean(), dispensable: fc.boolean() },
      ...{ upstreamWell: fc.boolean(), silentMs: fc.nat(20_000), strandedMs: fc.nat(40_000) },
    });
    fc.assert(
      fc.property(facts, (seen) => {
        const due = judgeNode(seen);
        if (due === 'rebuild') assert.ok(!seen.leads && (seen.open || seen.dispensable));
        if (due !== 'wait') assert.ok(seen.reached && !seen.leads);
        if (seen.excluded) assert.notEqual(due, 'start', 'its data may have forked');
      }),
    );
  });
});

describe("a leader's pulse", () => {
  const facts = { nowMs: 10_000, othersWell: true };
  test('is lost after two beats, not after one', () => {
    assert.equal(judgePulse({ misses: 1, aloneSinceMs: undefined }, facts), 'well');
    assert.equal(judgePulse({ misses: 2, aloneSinceMs: undefined }, facts), 'silent');
  });
  test('of one without standbys is worth nothing only while those could elect another', () => {
    const alone = { misses: 0, aloneSinceMs: 5_000 };
    assert.equal(judgePulse(alone, facts), 'isolated');
    assert.equal(judgePulse(alone, { ...facts, othersWell: false }), 'well');
    assert.equal(judgePulse({ ...alone, aloneSinceMs: 9_000 }, facts), 'well');
  });
});

test('a control file says how its server ended', () => {
  const head = Buffer.alloc(48);
  head.writeBigUInt64LE(7_000n, 0);
  head.writeUInt32LE(1, 16);
  head.writeBigUInt64LE(0x3000148n, 32);
  assert.deepEqual(readControl(head), {
    systemIdentifier: 7_000n,
    state: 'shut down',
    checkpoint: 0x3000148n,
  });
  head.writeUInt32LE(6, 16);
  assert.equal(readControl(head).state, 'in production');
});

test('descendants are all below a process, parents first, and nobody else', () => {
  const parents = new Map([
    [2, 1],
    [3, 2],
    [4, 2],
    [5, 4],
    [9, 8],
  ]);
  assert.deepEqual(descendants(2, parents), [3, 4, 5]);
});
