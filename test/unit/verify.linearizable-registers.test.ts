/** Linearizability of registers: classical histories, a store that is right, and an exhaustive judge. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom, type Random } from '../../src/kernel/random.ts';
import { linearizableRegisters } from '../../src/verify/checkers/linearizable-registers.ts';
import type { Action, History, Operation } from '../../src/verify/history.ts';
import {
  historyOf,
  op,
  read,
  simulateRegisters,
  swap,
  write,
  type Sketch,
} from '../support/histories.ts';

/** By the definition: tries every order. Only for a handful of operations. */
function isLinearizable(history: History, last: number | null): boolean {
  const open = history.operations.filter(({ outcome }) => outcome !== 'failed');
  const endOf = ({ outcome, endedAtMs }: Operation): number =>
    outcome === 'ok' ? endedAtMs : Infinity;
  const search = (left: readonly Operation[], value: number | null): boolean => {
    if (left.every(({ outcome }) => outcome === 'unknown') && value === last) return true;
    const deadline = Math.min(...left.map(endOf));
    return left.some((next) => {
      if (next.startedAtMs > deadline) return false;
      const rest = left.filter((other) => other !== next);
      const after = apply(next, value);
      return after !== undefined && search(rest, after.value);
    });
  };
  return search(open, null);
}

function apply(
  { action, outcome }: Operation,
  value: number | null,
): { readonly value: number | null } | undefined {
  if (action.kind === 'register-write') return { value: action.value };
  if (action.kind === 'register-swap') {
    const swapped = action.expected === value;
    if (outcome === 'ok' && action.swapped !== swapped) return undefined;
    return { value: swapped ? action.value : value };
  }
  if (action.kind === 'register-read' && outcome === 'ok') {
    return action.value === value ? { value } : undefined;
  }
  return { value };
}

const verdict = (sketches: readonly Sketch[], last: number | null) =>
  linearizableRegisters.check(historyOf(sketches, { registers: { x: last } }));
const accepts = (sketches: readonly Sketch[], last: number | null): void => {
  assert.deepEqual(verdict(sketches, last).violations, []);
  assert.equal(verdict(sketches, last).covered['undecided'], 0);
};
/** Refused, with just these operations as the reason. */
const refuses = (
  sketches: readonly Sketch[],
  last: number | null,
  reason: readonly number[],
): void => {
  const { violations } = verdict(sketches, last);
  assert.deepEqual(
    violations.map(({ operations }) => operations),
    [reason],
  );
};
const unknown = { outcome: 'unknown' } as const;
const failed = { outcome: 'failed' } as const;

describe('registers that are right', () => {
  test('operations that overlap may take effect in either order', () => {
    accepts([op([0, 10], write(1)), op([0, 10], write(2)), op([20, 21], read(1))], 1);
    accepts([op([0, 10], write(1)), op([0, 10], write(2)), op([20, 21], read(2))], 2);
    accepts([op([0, 30], write(1)), op([5, 6], read(null)), op([7, 8], read(1))], 1);
  });

  test('what ends in the moment in which another begins overlaps it', () => {
    accepts([op([0, 10], write(1)), op([10, 20], read(null))], 1);
  });

  test('an unknown write may take effect late, or never', () => {
    accepts([op([0, 10], write(1), unknown), op([20, 30], read(null)), op([40, 50], read(1))], 1);
    accepts([op([0, 10], write(1), unknown), op([20, 30], read(null))], null);
    accepts([op([0, 1], swap(null, 1), unknown), op([2, 3], read(1)), op([4, 5], read(1))], 1);
  });

  test('a refused swap is explained by a write that nobody saw', () => {
    const before = [op([0, 1], write(1)), op([2, 3], read(1))];
    const after = op([10, 11], swap(1, 9, false));
    accepts([...before, op([4, 20], write(2)), after, op([30, 31], write(3))], 3);
    accepts([...before, op([4, 5], write(2), unknown), after, op([30, 31], write(3))], 3);
    accepts([...before, op([4, 5], swap(1, 2), unknown), after, op([30, 31], write(3))], 3);
  });

  test('reads on replicas are not its business', () => {
    accepts([op([0, 1], write(1)), op([2, 3], read(null, { kind: 'token', token: '' }))], 1);
  });
});

describe('registers that are wrong', () => {
  test('a stale read', () => {
    refuses([op([0, 1], write(1)), op([2, 3], write(2)), op([4, 5], read(1))], 2, [0, 1, 2]);
    refuses([op([0, 1], write(1)), op([4, 5], read(null))], 1, [0, 1]);
  });

  test('two reads that see two writes in opposite orders', () => {
    const writes = [op([0, 50], write(1)), op([1, 50], write(2))];
    const reads = [op([2, 3], read(1)), op([4, 5], read(2)), op([6, 7], read(1))];
    refuses([...writes, ...reads], 1, [0, 1, 2, 3, 4]);
  });

  test('an acknowledged write that is gone at the end', () => {
    refuses([op([0, 1], write(1)), op([2, 3], write(2))], 1, [0, 1]);
    refuses([op([0, 1], write(1))], null, [0]);
  });

  test('two swaps that found the same value', () => {
    refuses(
      [op([0, 1], write(1)), op([2, 9], swap(1, 2, true)), op([3, 9], swap(1, 3, true))],
      3,
      [1, 2],
    );
  });

  test('a swap that worked although its value had been overwritten', () => {
    const sketches = [op([0, 1], write(1)), op([2, 3], write(2)), op([4, 5], swap(1, 3, true))];
    refuses(sketches, 3, [0, 1, 2]);
  });

  test('a swap that was refused although nothing had changed', () => {
    refuses([op([0, 1], write(1)), op([2, 3], swap(1, 2, false))], 1, [0, 1]);
    refuses([op([2, 3], swap(null, 2, false)), op([4, 5], read(null))], null, [0]);
  });

  test('the value of a write that failed, of a refused swap, of nobody', () => {
    refuses([op([0, 1], write(1), failed), op([2, 3], read(1))], null, [0, 1]);
    refuses([op([0, 1], swap(7, 1, false)), op([2, 3], read(1))], null, [0, 1]);
    refuses([op([2, 3], read(4))], null, [0]);
    refuses([op([0, 1], write(1), failed)], 1, [0]);
  });

  test('swaps in a circle', () => {
    refuses([op([0, 9], swap(2, 1, true)), op([0, 9], swap(1, 2, true))], null, [0, 1]);
  });

  test('a read of a value before anybody had begun to write it', () => {
    refuses([op([0, 1], read(1)), op([2, 3], write(1))], 1, [0, 1]);
  });

  test('the reason is found in a long history', () => {
    const random = seededRandom(5);
    const long = simulateRegisters({
      random,
      clients: 8,
      operations: 600,
      registers: 1,
      unknown: 0.03,
    });
    const end = Math.max(...long.operations.map(({ endedAtMs }) => endedAtMs));
    const wrong = [
      ...long.operations,
      op([end + 1, end + 2], write(9_000, 'r0')),
      op([end + 3, end + 4], write(9_001, 'r0')),
      op([end + 5, end + 6], read(9_000, { kind: 'strong' }, 'r0')),
    ];
    const found = linearizableRegisters.check(historyOf(wrong, { registers: { r0: 9_001 } }));
    assert.deepEqual(
      found.violations.map(({ operations }) => operations),
      [[600, 601, 602]],
    );
  });
});

describe('a register whose values are not unique', () => {
  test('is undecided, not passed', () => {
    const { covered, violations } = verdict([op([0, 1], write(1)), op([2, 3], write(1))], 1);
    assert.deepEqual([covered['undecided'], violations], [1, []]);
  });
});

/** A handful of operations on one register, most of them nonsense together. */
const small = fc
  .array(
    fc.record({
      start: fc.nat(8),
      length: fc.integer({ min: 1, max: 6 }),
      kind: fc.constantFrom('write', 'read', 'swap', 'refused'),
      outcome: fc.constantFrom('ok', 'ok', 'ok', 'unknown', 'failed'),
      about: fc.nat(4),
    }),
    { minLength: 2, maxLength: 7 },
  )
  .map((items) =>
    items.map(({ start, length, kind, outcome, about }, at): Sketch => {
      const old = about === 0 ? null : about;
      const value = at + 1;
      const action: Action =
        kind === 'write'
          ? write(value)
          : kind === 'read'
            ? read(old)
            : outcome === 'ok'
              ? swap(old, value, kind === 'swap')
              : swap(old, value);
      return op([start, start + length], action, { outcome: outcome as 'ok' });
    }),
  );

describe('agrees with the definition', () => {
  test('on any small history', () => {
    const seen = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(small, fc.nat(4), (sketches, about) => {
        const last = about === 0 ? null : about;
        const history = historyOf(sketches, { registers: { x: last } });
        const right = isLinearizable(history, last);
        seen[right ? 'right' : 'wrong'] += 1;
        const { violations, covered } = linearizableRegisters.check(history);
        assert.equal(covered['undecided'], 0);
        assert.equal(violations.length === 0, right, JSON.stringify(history.operations, null, 1));
      }),
      { numRuns: 20_000 },
    );
    assert.ok(seen.right > 500 && seen.wrong > 500, JSON.stringify(seen));
  });

  test('on small histories of a right store with one answer changed', () => {
    const seen = { right: 0, wrong: 0 };
    const of = { clients: 4, operations: 8, registers: 1, unknown: 0.25, swaps: 0.5, reads: 0.25 };
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = seededRandom(seed);
        const history = withOneAnswerChanged(simulateRegisters({ random, ...of }), random);
        const right = isLinearizable(history, history.final.registers['r0'] ?? null);
        seen[right ? 'right' : 'wrong'] += 1;
        const { violations, covered } = linearizableRegisters.check(history);
        assert.equal(covered['undecided'], 0);
        assert.equal(violations.length === 0, right, JSON.stringify(history.operations, null, 1));
      }),
      { numRuns: 5_000 },
    );
    assert.ok(seen.right > 500 && seen.wrong > 500, JSON.stringify(seen));
  });

  test('and what it names is impossible by itself, and nothing of it can go', () => {
    fc.assert(
      fc.property(small, fc.nat(4), (sketches, about) => {
        const last = about === 0 ? null : about;
        const history = historyOf(sketches, { registers: { x: last } });
        for (const { what, operations } of linearizableRegisters.check(history).violations) {
          if (!what.includes('no order')) continue;
          const named = history.operations.filter(({ index }) => operations.includes(index));
          const values = [null, 1, 2, 3, 4, 5, 6, 7];
          const possible = what.includes('last value')
            ? isLinearizable({ ...history, operations: named }, last)
            : values.some((value) => isLinearizable({ ...history, operations: named }, value));
          assert.ok(!possible, what);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

/** A swap says the opposite, or a read another value; sometimes that is right as well. */
function withOneAnswerChanged(history: History, random: Random): History {
  const target = random.below(history.operations.length);
  const operations = history.operations.map((item): Operation => {
    const { action } = item;
    if (item.index !== target || item.outcome !== 'ok') return item;
    if (action.kind === 'register-swap') {
      return { ...item, action: { ...action, swapped: action.swapped !== true } };
    }
    if (action.kind !== 'register-read') return item;
    return { ...item, action: { ...action, value: 1 + random.below(6) } };
  });
  return { ...history, operations };
}

describe('a store that is right', () => {
  const simulated = fc.record({
    seed: fc.nat(),
    clients: fc.integer({ min: 1, max: 12 }),
    swaps: fc.constantFrom(0, 0.2, 0.5),
  });
  const run = ({
    seed,
    clients,
    swaps,
  }: {
    seed: number;
    clients: number;
    swaps: number;
  }): History =>
    simulateRegisters({
      random: seededRandom(seed),
      ...{ clients, swaps, operations: 200, registers: 2, unknown: 0.1 },
    });

  test('is accepted', () => {
    fc.assert(
      fc.property(simulated, (of) => {
        const { violations, covered } = linearizableRegisters.check(run(of));
        assert.deepEqual(violations, []);
        assert.equal(covered['undecided'], 0);
      }),
      { numRuns: 150 },
    );
  });

  test('is refused once a strong read is made to return what was certainly overwritten', () => {
    let changed = 0;
    fc.assert(
      fc.property(simulated, (of) => {
        const history = run(of);
        const stale = withStaleRead(history);
        if (stale === undefined) return;
        changed += 1;
        const [violation, ...others] = linearizableRegisters.check(stale).violations;
        assert.deepEqual(others, []);
        // Write, write, and the read of the first: rarely another way to see it is found before.
        assert.ok((violation?.operations.length ?? Infinity) <= 5, violation?.what);
      }),
      { numRuns: 60 },
    );
    assert.ok(changed > 30, String(changed));
  });
});

/** Two acknowledged writes, one wholly after the other, and a later read: it returns the first. */
function withStaleRead(history: History): History | undefined {
  const plain = history.operations.filter(
    ({ action, outcome }) => action.kind === 'register-write' && outcome === 'ok',
  );
  for (const reader of history.operations.toReversed()) {
    const { action } = reader;
    if (action.kind !== 'register-read' || reader.outcome !== 'ok') continue;
    const before = plain.filter(
      (w) =>
        'register' in w.action &&
        w.action.register === action.register &&
        w.endedAtMs < reader.startedAtMs,
    );
    const second = before.at(-1);
    const first = before.find((w) => second !== undefined && w.endedAtMs < second.startedAtMs);
    if (first?.action.kind !== 'register-write') continue;
    const changed = { ...reader, action: { ...action, value: first.action.value } };
    const operations = history.operations.map((item) => (item === reader ? changed : item));
    return { ...history, operations };
  }
  return undefined;
}

describe('a long history', () => {
  for (const swaps of [0.1, 0.4]) {
    test(`20 registers of 2,000 operations by 16 clients each, ${swaps} swaps`, (t) => {
      const startedAt = performance.now();
      let operations = 0;
      for (let seed = 0; seed < 20; seed += 1) {
        const of = { clients: 16, operations: 2_000, registers: 1, unknown: 0.03, swaps };
        const history = simulateRegisters({ random: seededRandom(seed), ...of });
        const { violations, covered } = linearizableRegisters.check(history);
        assert.deepEqual(violations, []);
        assert.equal(covered['undecided'], 0);
        operations += covered['operations'] ?? 0;
      }
      const tookMs = performance.now() - startedAt;
      t.diagnostic(`${operations} operations in ${tookMs.toFixed(0)} ms`);
      assert.ok(tookMs < 30_000, `${tookMs} ms`);
    });
  }
});
