/** Token buckets: how much passes in any span of time, and how much memory they take. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { TokenBuckets } from '../../src/gateway/rate-limit.ts';
import { refusalHeaders } from '../../src/gateway/refusal-headers.ts';
import { MeridianError } from '../../src/kernel/errors.ts';

describe('token buckets', () => {
  test('a burst passes at once, then the rate, then a burst again after a pause', () => {
    const buckets = new TokenBuckets({ ratePerSecond: 10, burst: 3 }, 100);
    const taken = (atMs: number): boolean => buckets.take('a', atMs) === 0;
    assert.deepEqual([0, 0, 0, 0].map(taken), [true, true, true, false]);
    assert.equal(buckets.take('a', 40), 60);
    assert.deepEqual([100, 100, 200].map(taken), [true, false, true]);
    assert.deepEqual([900, 900, 900, 900].map(taken), [true, true, true, false]);
    assert.equal(buckets.take('b', 900), 0);
  });

  test('in any span no more passes than burst and rate allow, and waiting as told suffices', () => {
    const limit = fc.record({
      ratePerSecond: fc.double({ min: 0.1, max: 1_000, noNaN: true }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    const pauses = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(limit, pauses, ({ ratePerSecond, burst }, list) => {
        const buckets = new TokenBuckets({ ratePerSecond, burst }, 4);
        const passed: number[] = [];
        let nowMs = 0;
        for (const pauseMs of list) {
          nowMs += pauseMs;
          const waitMs = buckets.take('a', nowMs);
          if (waitMs === 0) passed.push(nowMs);
          else {
            nowMs += waitMs * 1.000_001 + 1e-9;
            assert.equal(buckets.take('a', nowMs), 0, 'waited as told');
            passed.push(nowMs);
          }
        }
        for (const [first, fromMs] of passed.entries()) {
          for (let last = first; last < passed.length; last += 1) {
            const spanMs = (passed[last] ?? 0) - fromMs;
            const allowed = burst + (spanMs / 1_000) * ratePerSecond;
            assert.ok(last - first + 1 <= allowed * 1.000_01 + 0.001);
          }
        }
      }),
    );
  });

  test('memory is bounded, and what is forgotten is forgotten in favour of the client', () => {
    const buckets = new TokenBuckets({ ratePerSecond: 1, burst: 2 }, 100);
    for (let i = 0; i < 10_000; i += 1) {
      assert.equal(buckets.take(`client-${String(i)}`, i / 1_000), 0);
      assert.ok(buckets.size <= 100);
    }
  });

  test('a flood from many others does not renew the bucket of a client that keeps asking', () => {
    const buckets = new TokenBuckets({ ratePerSecond: 0.01, burst: 2 }, 100);
    let passed = 0;
    for (let i = 0; i < 5_000; i += 1) {
      if (buckets.take('greedy', i / 1_000) === 0) passed += 1;
      buckets.take(`other-${String(i)}`, i / 1_000);
    }
    assert.equal(passed, 2);
  });

  test('the refusal says policy, quota, window and when', () => {
    const error = new MeridianError('ERR_GATEWAY_RATE_LIMITED', 'x', {
      retryAfterMs: 1_200,
      details: { policy: 'account', ratePerSecond: 50, burst: 100 },
    });
    assert.deepEqual(refusalHeaders(error), [
      ...['ratelimit-policy', '"account";q=100;w=2'],
      ...['ratelimit', '"account";r=0;t=2'],
    ]);
  });
});
