/** Percentiles are exact: by nearest rank, on every sample. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Samples } from '../../examples/bank/load/latency.ts';

function samplesOf(values: readonly number[]): Samples {
  const samples = new Samples();
  for (const value of values) samples.add(value);
  return samples;
}

describe('bank latency', () => {
  test('of 1 to 100 in any order, the percentiles are their own numbers', () => {
    const values = Array.from({ length: 100 }, (_, index) => ((index * 37) % 100) + 1);
    const samples = samplesOf(values);
    assert.deepEqual(samples.percentiles([0, 0.01, 0.5, 0.95, 0.99, 1]), [1, 1, 50, 95, 99, 100]);
  });

  test('numbers are ordered as numbers', () => {
    assert.deepEqual(samplesOf([10, 9, 100, 1]).percentiles([0.5, 1]), [9, 100]);
  });

  test('one sample is every percentile; none has no percentile', () => {
    assert.deepEqual(samplesOf([4.5]).percentiles([0.5, 0.99]), [4.5, 4.5]);
    assert.deepEqual(samplesOf([]).percentiles([0.5, 0.99]), [null, null]);
  });

  test('more samples than the first block, and none left after clearing', () => {
    const samples = samplesOf(Array.from({ length: 10_000 }, (_, index) => index));
    assert.equal(samples.count, 10_000);
    assert.deepEqual(samples.percentiles([0.5, 0.99]), [4_999, 9_899]);
    samples.clear();
    assert.deepEqual(samples.percentiles([0.5]), [null]);
    samples.add(3);
    assert.deepEqual(samples.percentiles([0.5]), [3]);
  });

  test('at least the share lies at or below, and less than it lies below', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, share) => {
          const [found] = samplesOf(values).percentiles([share]);
          assert.ok(typeof found === 'number');
          const atOrBelow = values.filter((value) => value <= found).length;
          const below = values.filter((value) => value < found).length;
          assert.ok(atOrBelow >= share * values.length - 1e-9);
          assert.ok(below < share * values.length + 1e-9);
        },
      ),
    );
  });
});
