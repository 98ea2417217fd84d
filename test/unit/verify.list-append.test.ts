/** Anomalies of list appends, each by its name; a store that is right is accepted, a changed one is not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/kernel/random.ts';
import { stronglyConnected } from '../../src/verify/append/components.ts';
import { listAppend } from '../../src/verify/checkers/list-append.ts';
import type { FinalState, History, ListStep } from '../../src/verify/history.ts';
import { historyOf, op, saidBy, type Sketch } from '../support/histories.ts';
import { append, list, see, simulateLists } from '../support/list-histories.ts';

type Lists = FinalState['lists'];
/** All at the same time, so that only what they read orders them. */
const together = (...transactions: readonly ListStep[][]): Sketch[] =>
  transactions.map((steps, at) => op([at / 100, 100], list(...steps)));
/** One after the other. */
const inTurn = (...transactions: readonly ListStep[][]): Sketch[] =>
  transactions.map((steps, at) => op([at * 10, at * 10 + 5], list(...steps)));
/** Names of what was found, with the operations. */
const found = (sketches: readonly Sketch[], lists: Lists): [string, readonly number[]][] =>
  listAppend
    .check(historyOf(sketches, { lists }))
    .violations.map(({ what, operations }) => [what.split(':')[0] ?? '', operations]);

describe('list appends that are right', () => {
  test('transactions in turn, and at once', () => {
    const turns = inTurn(
      [append('x', 1)],
      [see('x', 1), append('x', 2), see('x', 1, 2)],
      [see('x', 1, 2)],
    );
    assert.deepEqual(found(turns, { x: [1, 2] }), []);
    const atOnce = together([see('x', 1), append('y', 2)], [append('x', 1), see('y')]);
    assert.deepEqual(found(atOnce, { x: [1], y: [2] }), []);
  });

  test('a transaction of unknown outcome is there, or not', () => {
    const unknown = op([0, 1], list(append('x', 1), append('y', 2)), { outcome: 'unknown' });
    assert.deepEqual(found([unknown], {}), []);
    assert.deepEqual(found([unknown, op([5, 6], list(see('x')))], { x: [1], y: [2] }), []);
  });
});

describe('what a list may not show', () => {
  test('G1a: an append that failed', () => {
    const failed = op([0, 1], list(append('x', 1)), { outcome: 'failed' });
    assert.deepEqual(found([failed, op([2, 3], list(see('x', 1)))], {})[0], ['G1a', [0, 1]]);
    assert.deepEqual(found([failed], { x: [1] }), [['G1a', [0]]]);
  });

  test('G1b: the midst of another transaction', () => {
    const sketches = together([append('x', 1), append('x', 2)], [see('x', 1)]);
    assert.ok(found(sketches, { x: [1, 2] }).some(([name]) => name === 'G1b'));
  });

  test('an element twice, or of nobody', () => {
    const twice = inTurn([append('x', 1)], [see('x', 1, 1)]);
    assert.deepEqual(found(twice, { x: [1, 1] })[0], ['duplicate element', [0]]);
    assert.deepEqual(found(inTurn([see('x')]), { x: [7] }), [['element of nobody', []]]);
  });

  test('two orders', () => {
    const sketches = together(
      [append('x', 1)],
      [append('x', 2)],
      [see('x', 1, 2)],
      [see('x', 2, 1)],
    );
    assert.deepEqual(found(sketches, { x: [1, 2] })[0], ['incompatible order', [3]]);
  });

  test('a lost write, and half of a transaction', () => {
    assert.deepEqual(found(inTurn([append('x', 1)]), { x: [] }), [['lost write', [0]]]);
    assert.deepEqual(found(inTurn([append('x', 1)]), {}), [['lost write', [0]]]);
    const half = op([0, 1], list(append('x', 1), append('y', 2)), { outcome: 'unknown' });
    assert.deepEqual(found([half], { x: [1], y: [] }), [['lost write', [0]]]);
  });

  test('a transaction that does not see its own append, or sees a list change', () => {
    assert.equal(found(inTurn([append('x', 1), see('x')]), { x: [1] })[0]?.[0], 'internal');
    const changed = together([see('x'), see('x', 1)], [append('x', 1)]);
    assert.ok(found(changed, { x: [1] }).some(([name]) => name === 'internal'));
  });
});

describe('cycles', () => {
  test('G0: writes in opposite orders', () => {
    const sketches = together([append('x', 1), append('y', 1)], [append('x', 2), append('y', 2)]);
    assert.deepEqual(found(sketches, { x: [1, 2], y: [2, 1] }), [['G0', [0, 1]]]);
  });

  test('G1c: each read what the other wrote', () => {
    const sketches = together([append('x', 1), see('y', 2)], [append('y', 2), see('x', 1)]);
    assert.deepEqual(found(sketches, { x: [1], y: [2] }), [['G1c', [0, 1]]]);
  });

  test('G-single: half of what another wrote', () => {
    const sketches = together([append('x', 1), append('y', 2)], [see('x', 1), see('y')]);
    assert.deepEqual(found(sketches, { x: [1], y: [2] }), [['G-single', [0, 1]]]);
  });

  test('G2: write skew', () => {
    const sketches = together([see('x'), append('y', 1)], [see('y'), append('x', 2)]);
    assert.deepEqual(found(sketches, { x: [2], y: [1] }), [['G2', [0, 1]]]);
  });

  test('G2: long fork', () => {
    const writers = [[append('x', 1)], [append('y', 2)]];
    const sketches = together(...writers, [see('x', 1), see('y')], [see('y', 2), see('x')]);
    assert.deepEqual(found(sketches, { x: [1], y: [2] }), [['G2', [0, 1, 2, 3]]]);
  });

  test('lost update: both found the same list and added to it', () => {
    const sketches = together([see('x'), append('x', 1)], [see('x'), append('x', 2)]);
    assert.deepEqual(found(sketches, { x: [1, 2] }), [['lost update', [0, 1]]]);
  });

  test('realtime: a stale read, and a write before one that had been acknowledged', () => {
    const stale = inTurn([append('x', 1)], [see('x')]);
    assert.deepEqual(found(stale, { x: [1] }), [['G-single-realtime', [0, 1]]]);
    const back = inTurn([append('x', 1)], [append('x', 2)]);
    assert.deepEqual(found(back, { x: [2, 1] }), [['G0-realtime', [0, 1]]]);
    const future = inTurn([see('x', 1)], [append('x', 1)]);
    assert.deepEqual(found(future, { x: [1] }), [['G1c-realtime', [0, 1]]]);
  });

  test('the description names every step', () => {
    const sketches = together([see('x'), append('y', 1)], [see('y'), append('x', 2)]);
    const said = saidBy(listAppend.check(historyOf(sketches, { lists: { x: [2], y: [1] } })));
    assert.deepEqual(said, ['G2: 0 -rw (x: not yet 2)-> 1 -rw (y: not yet 1)-> 0']);
  });
});

test('groups whose values are not unique are undecided', () => {
  const sketches = inTurn([append('x', 1)], [append('x', 1)], [append('y', 1)]);
  const { covered } = listAppend.check(historyOf(sketches, { lists: { x: [1], y: [1] } }));
  assert.deepEqual([covered['groups'], covered['undecided']], [2, 1]);
});

test('strongly connected components are those of the definition', () => {
  const edges = fc.array(fc.array(fc.record({ to: fc.nat(7) }), { maxLength: 3 }), {
    minLength: 8,
    maxLength: 8,
  });
  fc.assert(
    fc.property(edges, (graph) => {
      const reach = graph.map((_, from) => {
        const seen = new Set<number>();
        const queue = [from];
        for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
          for (const { to } of graph[node] ?? []) {
            if (!seen.has(to)) queue.push(to);
            seen.add(to);
          }
        }
        return seen;
      });
      const mates = (a: number): number[] =>
        graph.flatMap((_, b) => (a !== b && reach[a]?.has(b) && reach[b]?.has(a) ? [b] : []));
      const expected = graph.flatMap((_, a) => {
        const members = [a, ...mates(a)].sort((x, y) => x - y);
        return members.length > 1 && members[0] === a ? [members] : [];
      });
      const components = stronglyConnected(graph).sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
      assert.deepEqual(components, expected);
    }),
  );
});

describe('a store that is right', () => {
  const simulated = fc.record({ seed: fc.nat(), clients: fc.integer({ min: 1, max: 12 }) });
  const run = ({ seed, clients }: { seed: number; clients: number }): History =>
    simulateLists({
      random: seededRandom(seed),
      ...{ clients, transactions: 150, groups: 3, unknown: 0.1 },
    });

  test('is accepted', () => {
    fc.assert(
      fc.property(simulated, (of) => assert.deepEqual(listAppend.check(run(of)).violations, [])),
      { numRuns: 150 },
    );
  });

  test('is refused without an acknowledged append', () => {
    fc.assert(
      fc.property(simulated, fc.nat(), (of, pick) => {
        const history = run(of);
        const appends = history.operations.flatMap(({ action, outcome }) =>
          action.kind === 'list' && outcome === 'ok'
            ? action.steps.filter((step) => step.kind === 'append')
            : [],
        );
        const gone = appends[pick % appends.length];
        const without = historyWithout(history, gone?.kind === 'append' ? gone.value : -1);
        const said = saidBy(listAppend.check(without));
        assert.ok(
          said.some((what) => what.startsWith('lost write')),
          said.join('\n'),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('is refused with a read that lacks what had been acknowledged before it began', () => {
    let changed = 0;
    fc.assert(
      fc.property(simulated, (of) => {
        const stale = withStaleList(run(of));
        if (stale === undefined) return;
        changed += 1;
        assert.notDeepEqual(listAppend.check(stale).violations, []);
      }),
      { numRuns: 60 },
    );
    assert.ok(changed > 40, String(changed));
  });

  test('20,000 transactions by 16 clients are judged in seconds', (t) => {
    const of = { clients: 16, transactions: 20_000, groups: 100, unknown: 0.03 };
    const history = simulateLists({ random: seededRandom(1), ...of });
    const startedAt = performance.now();
    assert.deepEqual(listAppend.check(history).violations, []);
    const tookMs = performance.now() - startedAt;
    t.diagnostic(`${tookMs.toFixed(0)} ms`);
    assert.ok(tookMs < 30_000, `${tookMs} ms`);
  });
});

/** As if this append had never reached anybody, except its own transaction. */
function historyWithout(history: History, gone: number): History {
  const without = (values: readonly number[]): number[] => values.filter((value) => value !== gone);
  const lists = Object.fromEntries(
    Object.entries(history.final.lists).map(([key, values]) => [key, without(values)]),
  );
  const operations = history.operations.map((operation) => {
    const { action } = operation;
    if (action.kind !== 'list') return operation;
    const steps = action.steps.map((step) =>
      step.kind === 'read' && step.values !== undefined
        ? { ...step, values: without(step.values) }
        : step,
    );
    return { ...operation, action: { ...action, steps } };
  });
  return { ...history, operations, final: { ...history.final, lists } };
}

/** The last transaction that only reads is made to miss the last element that had been acknowledged. */
function withStaleList(history: History): History | undefined {
  for (const reader of history.operations.toReversed()) {
    const { action, outcome } = reader;
    const [step, ...others] = action.kind === 'list' ? action.steps : [];
    if (outcome !== 'ok' || others.length > 0 || step?.kind !== 'read') continue;
    const last = step.values?.at(-1);
    const writer = history.operations.find(
      (other) =>
        other.action.kind === 'list' &&
        other.outcome === 'ok' &&
        other.endedAtMs < reader.startedAtMs &&
        other.action.steps.some((item) => item.kind === 'append' && item.value === last),
    );
    if (last === undefined || writer === undefined) continue;
    const changed = list(see(step.key, ...(step.values ?? []).slice(0, -1)));
    const operations = history.operations.map((item) =>
      item === reader ? { ...item, action: changed } : item,
    );
    return { ...history, operations };
  }
  return undefined;
}
