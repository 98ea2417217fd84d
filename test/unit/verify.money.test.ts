/** Money made, lost, moved twice, or seen half-way. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { money } from '../../src/verify/checkers/money.ts';
import type { Action, FinalState, History, Operation } from '../../src/verify/history.ts';
import { historyOf, op, saidBy, type Sketch } from '../support/histories.ts';

const transfer = (id: string, way: readonly [string, string, number], key?: string): Action => ({
  kind: 'transfer',
  ...{ id, from: way[0], to: way[1], amount: way[2], key },
});
const balances = (of: Readonly<Record<string, number>>): Action => ({
  kind: 'balances',
  group: 'g',
  balances: of,
});
const opened = { a: 100, b: 100, c: 100 };
const run = (
  sketches: readonly Sketch[],
  final: Partial<FinalState>,
  more: Partial<History> = { openedWith: 300, opened },
): string[] => saidBy(money.check(historyOf(sketches, final, more)));
const moved = [op([0, 1], transfer('t1', ['a', 'b', 10])), op([2, 3], balances({ a: 90, b: 110 }))];
const right = { balances: { a: 90, b: 110, c: 100 }, transfers: { t1: 1 } };

describe('money', () => {
  test('that was moved is there', () => {
    assert.deepEqual(run(moved, right), []);
    assert.deepEqual(run(moved, right, { openedWith: 300 }), []);
    const { covered } = money.check(historyOf(moved, right, { openedWith: 300, opened }));
    assert.deepEqual(covered, { accounts: 3, transfers: 1, reads: 1, skipped: 0 });
  });

  test('vanished by one', () => {
    const gone = { ...right, balances: { a: 90, b: 110, c: 99 } };
    assert.deepEqual(run(moved, gone, { openedWith: 300 }), [
      'accounts were opened with 300 in all and hold 299 at the end',
    ]);
    assert.equal(run(moved, gone).length, 2);
  });

  test('in the wrong account, although the sum is right', () => {
    assert.deepEqual(run(moved, { ...right, balances: { a: 90, b: 109, c: 101 } }).slice(0, 2), [
      'b holds 109; with the transfers that were applied it should be 110',
      'c holds 101; with the transfers that were applied it should be 100',
    ]);
  });

  test('of a transfer that was lost, failed and was applied, was applied twice, or is nobody’s', () => {
    const unmoved = { balances: opened, transfers: {} };
    const sent = (outcome: Operation['outcome']): Sketch[] => [
      op([0, 1], transfer('t1', ['a', 'b', 10]), { outcome }),
    ];
    assert.deepEqual(run(sent('ok'), unmoved), ['transfer t1 (ok) was applied 0 times']);
    assert.deepEqual(run(sent('unknown'), unmoved), []);
    assert.deepEqual(run(sent('unknown'), right), []);
    assert.deepEqual(run(sent('failed'), right), ['transfer t1 (failed) was applied 1 times']);
    const twice = { balances: { a: 80, b: 120, c: 100 }, transfers: { t1: 2 } };
    assert.deepEqual(run(sent('unknown'), twice), ['transfer t1 (unknown) was applied 2 times']);
    assert.deepEqual(run([], { balances: opened, transfers: { t9: 1 } }), [
      'transfer t9 was applied, and nobody asked for it',
    ]);
  });

  test('seen half-way in a read of its group', () => {
    const half = [...moved, op([0, 1], balances({ a: 90, b: 100 }))];
    assert.deepEqual(run(half, right), [
      'a read of g found 190 in accounts that always hold 200 together',
    ]);
  });

  test('reads of accounts whose transfers lead outside are skipped, and counted', () => {
    const outside = [...moved, op([4, 5], transfer('t2', ['b', 'c', 5]), { outcome: 'unknown' })];
    const history = historyOf(outside, right, { openedWith: 300, opened });
    assert.deepEqual(money.check(history).violations, []);
    assert.deepEqual(money.check(history).covered['skipped'], 1);
    const refused = outside.map((item) => ({
      ...item,
      outcome: item.outcome === 'unknown' ? ('failed' as const) : ('ok' as const),
    }));
    assert.equal(money.check(historyOf(refused, right)).covered['skipped'], 0);
  });

  test('any run of transfers adds up, and not with one unit more anywhere', () => {
    const account = fc.constantFrom('a', 'b', 'c');
    const sent = fc.record({
      way: fc.tuple(account, account, fc.integer({ min: 1, max: 50 })),
      outcome: fc.constantFrom<Operation['outcome']>('ok', 'failed', 'unknown'),
      applied: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(sent), account, (list, victim) => {
        const held: Record<string, number> = { ...opened };
        const transfers: Record<string, number> = {};
        const sketches = list.flatMap(({ way, outcome, applied }, at): Sketch[] => {
          if (outcome === 'ok' || (outcome === 'unknown' && applied)) {
            held[way[0]] = (held[way[0]] ?? 0) - way[2];
            held[way[1]] = (held[way[1]] ?? 0) + way[2];
            transfers[`t${at}`] = 1;
          }
          const seen = op([at * 10 + 5, at * 10 + 6], balances({ ...held }));
          return [op([at * 10, at * 10 + 1], transfer(`t${at}`, way), { outcome }), seen];
        });
        assert.deepEqual(run(sketches, { balances: held, transfers }), []);
        const more = { ...held, [victim]: (held[victim] ?? 0) + 1 };
        assert.notDeepEqual(run(sketches, { balances: more, transfers }), []);
      }),
    );
  });
});
