/** Space-Saving: what it promises of counts holds for every stream. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { HeavyHitters } from '../../src/kernel/heavy-hitters.ts';

const coming = fc.record({
  // Few come often: the larger the number, the rarer.
  key: fc.tuple(fc.nat(30), fc.nat(30)).map(([a, b]) => `k${String(Math.min(a, b))}`),
  marked: fc.boolean(),
});

describe('heavy hitters', () => {
  test('nobody is counted too little, and the frequent ones are all there', () => {
    fc.assert(
      fc.property(
        fc.array(coming, { maxLength: 400 }),
        fc.integer({ min: 1, max: 12 }),
        (stream, capacity) => {
          const hitters = new HeavyHitters(capacity);
          const exact = new Map<string, { count: number; marked: number }>();
          for (const { key, marked } of stream) {
            hitters.count(key, marked);
            const one = exact.get(key) ?? { count: 0, marked: 0 };
            exact.set(key, { count: one.count + 1, marked: one.marked + (marked ? 1 : 0) });
          }
          assert.equal(hitters.total, stream.length);
          const held = hitters.list();
          assert.equal(hitters.size, held.length);
          assert.equal(held.length, Math.min(capacity, exact.size));
          assert.equal(
            held.reduce((sum, { count }) => sum + count, 0),
            stream.length,
          );
          const bound = stream.length / capacity;
          for (const { key, count, overcount, marked } of held) {
            const truth = exact.get(key) ?? { count: 0, marked: 0 };
            assert.ok(truth.count <= count && count - overcount <= truth.count);
            assert.ok(overcount <= bound);
            assert.ok(marked <= truth.marked);
            if (exact.size <= capacity) assert.deepEqual({ count, marked }, truth);
          }
          const names = new Set(held.map(({ key }) => key));
          for (const [key, { count }] of exact) if (count > bound) assert.ok(names.has(key), key);
        },
      ),
    );
  });

  test('is empty again when it is cleared', () => {
    const hitters = new HeavyHitters(2);
    for (const key of ['a', 'b', 'c', 'a']) hitters.count(key);
    hitters.clear();
    assert.deepEqual([hitters.list(), hitters.total, hitters.size], [[], 0, 0]);
    hitters.count('z', true);
    assert.deepEqual(hitters.list(), [{ key: 'z', count: 1, overcount: 0, marked: 1 }]);
  });
});
