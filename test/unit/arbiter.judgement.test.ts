/** What is judged from a pulse, and what is due for a node: cautious where caution costs nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Copies, mayBegin, type Wish } from '../../src/engines/postgres/arbiter/copies.ts';
import {
  judgeNode,
  SILENT_MAX_MS,
  STRANDED_MAX_MS,
  type NodeFacts,
} from '../../src/engines/postgres/arbiter/node-judgement.ts';
import {
  afterOpening,
  beatTimeoutMs,
  judgePulse,
  newPulse,
  patienceAfter,
  usualWith,
  type Usual,
} from '../../src/engines/postgres/arbiter/pulse.ts';

const WELL: NodeFacts = {
  ...{ leads: false, runs: true, starting: false, reached: true, whole: true, excluded: false },
  ...{ endings: 0, open: true, dispensable: false, upstreamWell: true },
  ...{ silentMs: 0, strandedMs: 0, outrun: false },
};

const facts: fc.Arbitrary<NodeFacts> = fc.record({
  leads: fc.boolean(),
  runs: fc.boolean(),
  starting: fc.boolean(),
  reached: fc.boolean(),
  whole: fc.boolean(),
  excluded: fc.boolean(),
  endings: fc.nat(8),
  open: fc.boolean(),
  dispensable: fc.boolean(),
  upstreamWell: fc.boolean(),
  silentMs: fc.nat(2 * SILENT_MAX_MS),
  strandedMs: fc.nat(2 * STRANDED_MAX_MS),
  outrun: fc.boolean(),
});

const due = (change: Partial<NodeFacts>): string => judgeNode({ ...WELL, ...change });

describe('a pulse', () => {
  const at = (misses: number, aloneSinceMs?: number): string =>
    judgePulse({ ...newPulse(), misses, aloneSinceMs }, { nowMs: 10_000, othersWell: true });

  test('one missed beat is nothing, two are silence', () => {
    assert.deepEqual([at(0), at(1), at(2), at(9)], ['well', 'well', 'silent', 'silent']);
    assert.equal(judgePulse(newPulse(), { nowMs: 0, othersWell: true }), 'well');
  });

  test('a leader whom nobody follows is isolated after a while, if the others are well', () => {
    assert.equal(at(0, 9_000), 'well');
    assert.equal(at(0, 5_000), 'isolated');
    const alone = { ...newPulse(), aloneSinceMs: 0 };
    assert.equal(judgePulse(alone, { nowMs: 10_000, othersWell: false }), 'well');
  });

  test('a silent one is silent whoever follows it', () => {
    assert.equal(at(2, 0), 'silent');
  });

  test('a beat is waited for longer where beats take long, within bounds', () => {
    const after = (...tookMs: number[]): number =>
      beatTimeoutMs({ patience: 1, usual: tookMs.reduce<Usual | undefined>(usualWith, undefined) });
    const unknown = after();
    const quick = after(...Array.from({ length: 50 }, (_, i) => 5 + (i % 3)));
    const slow = after(...Array.from({ length: 50 }, (_, i) => 100 + 60 * (i % 3)));
    assert.equal(quick, 700);
    assert.ok(slow > quick && slow <= unknown, String(slow));
    assert.equal(after(...Array.from({ length: 50 }, () => 5_000)), 2_000);
    assert.equal(unknown, 2_000);
    // It learns back: a busy hour is not remembered for a day.
    const back = after(
      ...Array.from({ length: 20 }, () => 600),
      ...Array.from({ length: 60 }, () => 5),
    );
    assert.equal(back, 700);
  });
});

describe('patience with a leader', () => {
  test('grows with each suspicion soon after it was opened, and is forgotten once all went well', () => {
    const suspected = (patience: number, afterMs: number): number =>
      patienceAfter({ openedAtMs: 1_000, patience }, 1_000 + afterMs);
    assert.deepEqual([suspected(1, 900), suspected(2, 900), suspected(4, 900)], [2, 4, 4]);
    assert.deepEqual([suspected(1, 60_000), suspected(4, 60_000)], [1, 1]);
    const atOnce = { planned: false, nowMs: 1_000 };
    assert.deepEqual(afterOpening({ patience: 2 }, atOnce), { patience: 2, openedAtMs: 1_000 });
    const waits = (patience: number): number => beatTimeoutMs({ patience, usual: undefined });
    assert.deepEqual([waits(1), waits(2), waits(4)], [2_000, 4_000, 8_000]);
  });

  test('does not grow after a planned change: whoever fails just then is succeeded without delay', () => {
    const opened = afterOpening({ patience: 4 }, { planned: true, nowMs: 1_000 });
    assert.equal(opened.patience, 1);
    assert.equal(patienceAfter(opened, 1_900), 1);
  });
});

describe('which copies are made', () => {
  const wish = (node: string, opens = false): Wish => {
    const [group = ''] = node.split('.');
    return { node, group, opens };
  };

  test('what opens a group comes at once, unless its group has another on its way', () => {
    assert.ok(mayBegin(wish('a.1', true), [wish('b.1'), wish('c.1'), wish('d.1', true)]));
    assert.ok(mayBegin(wish('a.1', true), [wish('a.9')]));
    assert.ok(!mayBegin(wish('a.1', true), [wish('a.2', true)]));
  });

  test('others come a few at a time, and not beside one that opens a group', () => {
    assert.ok(mayBegin(wish('a.1'), []));
    assert.ok(mayBegin(wish('a.1'), [wish('b.1')]));
    assert.ok(!mayBegin(wish('a.1'), [wish('b.1'), wish('c.1')]));
    assert.ok(!mayBegin(wish('a.1'), [wish('b.1', true)]));
    assert.ok(!mayBegin(wish('a.1'), [wish('a.2')]));
  });

  test('each place is given back', () => {
    const copies = new Copies();
    const ends = [copies.begin(wish('a.1')), copies.begin(wish('b.1'))];
    assert.equal(copies.begin(wish('c.1')), undefined);
    ends[0]?.();
    assert.ok(copies.begin(wish('c.1')) !== undefined);
  });
});

describe('what is due for a node', () => {
  const cases: readonly [string, Partial<NodeFacts>, string][] = [
    ['one that is well', {}, 'nothing'],
    ['one that is down', { runs: false }, 'start'],
    ['one that is down, in a group that is closed', { runs: false, open: false }, 'start'],
    ['one that ends again and again', { runs: false, endings: 4 }, 'rebuild'],
    ['… with nobody to clone it from', { runs: false, endings: 4, open: false }, 'start'],
    ['one that is late to answer', { silentMs: 100 }, 'wait'],
    ['one that hangs', { silentMs: SILENT_MAX_MS + 1 }, 'end'],
    ['one that does not stream yet', { strandedMs: 100 }, 'follow'],
    ['… in a group that is closed', { strandedMs: 100, open: false }, 'wait'],
    ['one that has forked', { strandedMs: STRANDED_MAX_MS + 1 }, 'rebuild'],
    ['one whose upstream has no log that old', { strandedMs: 100, outrun: true }, 'rebuild'],
    ['one whose upstream is lost', { upstreamWell: false }, 'wait'],
    ['one whose files are gone', { runs: false, whole: false }, 'rebuild'],
    ['… with nobody to clone it from', { runs: false, whole: false, open: false }, 'wait'],
    ['one that is excluded, before the barrier', { excluded: true, open: false }, 'wait'],
    ['… that nobody needs', { excluded: true, open: false, dispensable: true }, 'rebuild'],
    ['one that is starting', { runs: false, starting: true }, 'wait'],
    ['one on a machine that is down', { runs: false, reached: false }, 'wait'],
    ['a leader that is down', { leads: true, runs: false }, 'wait'],
  ];
  for (const [what, change, expected] of cases) {
    test(`${what}: ${expected}`, () => {
      assert.equal(due(change), expected);
    });
  }

  test('nothing is done to a leader, nor where nobody gets, nor during a start', () => {
    fc.assert(
      fc.property(facts, (seen) => {
        if (seen.leads || !seen.reached || seen.starting) assert.equal(judgeNode(seen), 'wait');
      }),
    );
  });

  test('data is thrown away only when there is a leader to copy, or nobody needs it', () => {
    fc.assert(
      fc.property(facts, (seen) => {
        if (judgeNode(seen) !== 'rebuild') return;
        assert.ok(!seen.leads && seen.reached);
        assert.ok(seen.open || seen.dispensable);
        // For a reason.
        const forked = seen.runs && (seen.outrun || seen.strandedMs > STRANDED_MAX_MS);
        assert.ok(seen.excluded || !seen.whole || forked || (!seen.runs && seen.endings >= 4));
      }),
      { numRuns: 1_000 },
    );
  });

  test('what is excluded or half is never started', () => {
    fc.assert(
      fc.property(facts, (seen) => {
        if (seen.excluded || !seen.whole) assert.ok(['wait', 'rebuild'].includes(judgeNode(seen)));
      }),
    );
  });

  test('only what runs is ended', () => {
    fc.assert(
      fc.property(facts, (seen) => {
        if (judgeNode(seen) === 'end') assert.ok(seen.runs && seen.silentMs > SILENT_MAX_MS);
      }),
    );
  });
});
